//! Claim: each shape makes a valid, balanced trace of about the length that was asked for, and always the same one.

use cairn_lab::generate::{OPS, Recipe, SHAPES};
use cairn_lab::trace::{Op, Trace};

/// FNV-1a over the text form.
fn digest(trace: &Trace) -> u64 {
    let mut text = Vec::new();
    trace.write(&mut text).expect("a vector takes all");
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn every_shape_is_valid_and_balanced_at_any_length() {
    for shape in SHAPES {
        for ops in [*OPS.start(), 11, 100, 1234, shape.ops] {
            for seed in 0..3 {
                let trace = Recipe { shape, ops, seed }.make();
                trace.validate().unwrap_or_else(|error| panic!("{}: {error}", shape.name));
                let kinds = |wanted: fn(&Op) -> bool| trace.ops.iter().filter(|op| wanted(op)).count();
                let allocated = kinds(|op| matches!(op, Op::Allocate { .. }));
                let freed = kinds(|op| matches!(op, Op::Free { .. }));
                assert_eq!(allocated, freed, "{} {ops} {seed}: not balanced", shape.name);
                let length = trace.ops.len();
                assert!(
                    (ops * 3 / 5..=ops * 7 / 5 + 30).contains(&length),
                    "{}: {ops} requests wanted, {length} made",
                    shape.name
                );
            }
        }
    }
}

#[test]
fn seeds_matter_where_there_is_chance() {
    let differ = SHAPES
        .iter()
        .filter(|shape| {
            let make = |seed| Recipe { shape, ops: 500, seed }.make().ops;
            make(1) != make(2)
        })
        .count();
    assert!(differ >= SHAPES.len() - 3, "only {differ} shapes depend on the seed");
}

#[test]
fn many_heaps_are_larger_than_a_mebibyte() {
    let large = Recipe::all().filter(|recipe| recipe.make().peak_payload() > 1 << 20).count();
    assert!(large >= 8, "only {large}");
}

#[test]
fn recipes_are_read() {
    let recipe = Recipe::parse("uniform,seed=7,ops=500").expect("valid");
    assert_eq!((recipe.shape.name, recipe.ops, recipe.seed), ("uniform", 500, 7));
    assert_eq!(recipe.make().name, "uniform,ops=500,seed=7");
    assert_eq!(Recipe::parse("ramp").expect("valid").make().name, "ramp");
    for (text, word) in [
        ("unifrom", "there are: uniform"),
        ("", "no shape ''"),
        ("uniform,ops", "'ops'"),
        ("uniform,ops=many", "'many'"),
        ("uniform,ops=9", "out of range"),
        ("uniform,ops=99999999999999", "out of range"),
        ("uniform,seed=-1", "'-1'"),
        ("uniform,speed=1", "neither"),
    ] {
        let said = Recipe::parse(text).expect_err(text);
        assert!(said.contains(word), "{word} is missing in: {said}");
    }
}

#[test]
fn traces_are_the_same_for_ever() {
    let found: Vec<(&str, u64)> =
        Recipe::all().map(|recipe| (recipe.shape.name, digest(&recipe.make()))).collect();
    assert_eq!(
        found, DIGESTS,
        "published figures refer to these traces: a new shape is fine, a changed one isn't"
    );
}

const DIGESTS: &[(&str, u64)] = &[
    ("uniform", 0x06092c23ace93f2e),
    ("log-normal", 0xcea5d90f8b49b18c),
    ("ramp", 0xcfef721d5bba2d0c),
    ("peak", 0x85d9f4441ffcdbdc),
    ("plateau", 0x8fe734ea88907d45),
    ("alternating", 0xa832d396f5396eee),
    ("alternating-small", 0x536b8e72fe68486b),
    ("creeping", 0xa21c3cfd068fb7ad),
    ("coalescing", 0x019e8a198dfe673f),
    ("realloc-chain", 0xea9c2e16bf40aa88),
    ("vectors", 0xaf32a590be93c0c9),
    ("server", 0x0d1450ec66062a4d),
    ("compiler", 0x73a2b019842bfcef),
    ("strings", 0x18d0e724c1473a6d),
    ("queue", 0xefa95528e5d088fa),
    ("stack", 0x60535884ba2bbb71),
];
