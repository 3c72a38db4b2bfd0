//! Claim: the crates know each other in one direction only: core ← alloc ← malloc, core ← heap ← course, heap ← lab ← cli;
//! and nobody knows the tops.

use cairn_tests::ladder;

#[test]
fn no_manifest_climbs() {
    let crates = ladder::crates();
    for (name, _) in ladder::LADDER {
        assert!(
            crates.iter().any(|(found, _)| found == name),
            "{name} is gone: is the ladder still the right one?"
        );
    }
    let mut climbing = Vec::new();
    for (name, dir) in &crates {
        for other in ladder::dependencies(dir) {
            if !ladder::allowed(name, &other) {
                climbing.push(format!("crates/{name}/Cargo.toml depends on {other}"));
            }
        }
    }
    assert!(climbing.is_empty(), "arrows that climb:\n{}", climbing.join("\n"));
    // The reader of manifests reads: these arrows exist.
    let of =
        |name: &str| crates.iter().find(|(found, _)| found == name).map(|(_, dir)| ladder::dependencies(dir));
    assert!(of("cairn-alloc").is_some_and(|arrows| arrows.contains(&"cairn-core".to_owned())));
    assert!(of("cairn-malloc").is_some_and(|arrows| arrows.contains(&"cairn-alloc".to_owned())));
    assert!(of("cairn-course").is_some_and(|arrows| arrows.contains(&"cairn-heap".to_owned())));
}

#[test]
fn no_source_climbs() {
    let mut climbing = Vec::new();
    for (name, dir) in ladder::crates() {
        let ours: Vec<String> = ladder::crates().into_iter().map(|(name, _)| name).collect();
        for (file, line, other) in ladder::mentions(&dir) {
            if ours.contains(&other) && other != name && !ladder::allowed(&name, &other) {
                climbing.push(format!("{}:{line} uses {other}", file.display()));
            }
        }
    }
    assert!(climbing.is_empty(), "arrows that climb:\n{}", climbing.join("\n"));
}
