//! Claim: libraries that allocate while they are loaded or unloaded do so unharmed, whatever the order, and the
//! library itself can be loaded late.

use cairn_tests::cprogram::{Counts, passes, passes_in_every_mode, preloaded};
use cairn_tests::{command, compile, library};
use std::env::join_paths;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn constructors_and_atexit_of_the_program() {
    let _ = passes("life/constructors.c", &[]);
}

#[test]
fn constructors_of_a_linked_library() {
    let Some(early) = compile::shared("life/lib_constructor.c", &[]) else { return };
    let path = early.to_string_lossy();
    let linked =
        compile::program("life/constructors.c", &["-Wl,--no-as-needed", &path]).expect("a compiler is there");
    command::run(&mut preloaded(&linked, &[]), LIMIT).expect_success();
}

#[test]
fn constructors_of_another_preloaded_library() {
    let Some(early) = compile::shared("life/lib_constructor.c", &[]) else { return };
    let program = compile::program("life/constructors.c", &[]).expect("a compiler is there");
    let cairn = library::shared_object();
    for order in [[cairn, &*early], [&*early, cairn]] {
        let mut command = preloaded(&program, &[]);
        command.env("LD_PRELOAD", join_paths(order).expect("paths without a colon"));
        command::run(&mut command, LIMIT).expect_success();
    }
}

#[test]
fn plugins_come_and_go() {
    let Some(plugin) = compile::shared("life/lib_plugin.cpp", &[]) else { return };
    let _ = passes("life/dlopen_plugin.c", &[&plugin.to_string_lossy()]);
}

#[test]
fn a_crowd_loads_and_unloads_plugins() {
    let plugins =
        ["-DNUMBER=1", "-DNUMBER=2", "-DNUMBER=3"].map(|n| compile::shared("life/lib_plugin.cpp", &[n]));
    let [Some(one), Some(two), Some(three)] = plugins.each_ref().map(|path| path.as_ref()?.to_str()) else {
        return;
    };
    let counts = Counts { full: 1000, usual: 10, brief: 4 };
    passes_in_every_mode("life/dlopen_crowd.c", &["N", one, two, three], counts);
}

#[test]
fn the_library_itself_is_loaded_late() {
    let Some(program) = compile::program("life/dlopen_cairn.c", &[]) else { return };
    let mut command = Command::new(program);
    command.arg(library::shared_object());
    command::run(&mut command, LIMIT).expect_success();
}
