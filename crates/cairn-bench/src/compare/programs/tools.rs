//! A solver and a renderer: z3 on formulas, ghostscript on drawn pages.

use std::fmt::Write as _;

use super::Ready;
use super::place::{Place, find, load, output_of, word};

pub fn z3(place: &Place) -> Ready {
    let Some(program) = find(&["z3"]).filter(|z3| output_of(z3, &["--version"]).is_some()) else {
        return Ok(Err("z3 is not installed or does not start".to_owned()));
    };
    // The smallest problem leaves the quick ones only.
    let mut text = paths(place.count(150, 40));
    text.push_str(&terms(place.count(1000, 100)));
    text.push_str(&sums(if place.count(100, 1) < 100 { 100 } else { 140 }));
    text.push_str(&pigeons(if place.count(100, 1) < 100 { 6 } else { 8 }));
    let file = place.input("formulas.smt2", &text)?;
    Ok(Ok(load(
        "pigeon holes, integer sums, equal terms, a quantifier",
        &[&word(&program), "-smt2", "sat.random_seed=1", "smt.random_seed=1", &file],
    )))
}

/// `holes + 1` pigeons don't fit into `holes` holes.
fn pigeons(holes: usize) -> String {
    let mut text = String::new();
    for pigeon in 0..=holes {
        let names: Vec<String> = (0..holes).map(|hole| format!("in{pigeon}_{hole}")).collect();
        for name in &names {
            let _ = writeln!(text, "(declare-const {name} Bool)");
        }
        let _ = writeln!(text, "(assert (or {}))", names.join(" "));
    }
    for hole in 0..holes {
        for (pigeon, other) in (0..=holes).flat_map(|pigeon| (0..pigeon).map(move |other| (pigeon, other))) {
            let _ = writeln!(text, "(assert (or (not in{pigeon}_{hole}) (not in{other}_{hole})))");
        }
    }
    text + "(check-sat)\n(reset)\n"
}

/// `n` different integers that sums and a function bind together.
fn sums(n: usize) -> String {
    let mut text = String::from("(declare-fun f (Int) Int)\n");
    for i in 0..n {
        let _ = writeln!(text, "(declare-const v{i} Int)");
    }
    for i in 0..n {
        let _ = writeln!(
            text,
            "(assert (and (>= v{i} 0) (<= v{i} {most})))\n\
             (assert (< (+ v{i} (* 2 v{a})) (+ (f v{b}) {bound})))\n\
             (assert (or (= (f v{i}) (+ v{c} {small})) (> v{i} (+ v{d} {less}))))",
            most = 3 * n,
            a = (i * 7 + 1) % n,
            b = (i * 3 + 2) % n,
            bound = i + 5 * n,
            c = (i * 5 + 3) % n,
            small = i % 7,
            d = (i + 1) % n,
            less = i % 5,
        );
    }
    let all: Vec<String> = (0..n).map(|i| format!("v{i}")).collect();
    let _ = writeln!(text, "(assert (distinct {}))", all.join(" "));
    text + "(check-sat)\n(reset)\n"
}

/// Terms over `n` names of which many must be equal.
fn terms(n: usize) -> String {
    let mut text = String::from("(declare-sort S 0)\n(declare-fun f (S S) S)\n(declare-fun g (S) S)\n");
    for i in 0..n {
        let _ = writeln!(text, "(declare-const c{i} S)");
    }
    let mut state = 1_u64;
    let mut next = || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        (state >> 8) as usize % n
    };
    for _ in 0..3 * n {
        let (a, b, c, d) = (next(), next(), next(), next());
        let _ = writeln!(
            text,
            "(assert (or (= (f c{a} c{b}) (g c{c})) (= (g (f c{b} c{d})) c{a}) (not (= c{c} c{d}))))\n\
             (assert (or (not (= (f c{c} c{a}) (g c{b}))) (= c{b} (g c{d}))))"
        );
    }
    text + "(check-sat)\n(reset)\n"
}

/// A path of `n` steps, and a transitive relation whose every instance must be found.
fn paths(n: usize) -> String {
    let mut text = String::from(
        "(declare-fun p (Int Int) Bool)\n\
         (assert (forall ((x Int) (y Int) (z Int)) (! (=> (and (p x y) (p y z)) (p x z)) :pattern ((p x y) (p y z)))))\n",
    );
    for i in 0..n {
        let _ = writeln!(text, "(assert (p {i} {}))", i + 1);
    }
    let _ = writeln!(text, "(assert (not (p 0 {n})))");
    text + "(check-sat)\n(reset)\n"
}

pub fn ghostscript(place: &Place) -> Ready {
    let Some(program) = find(&["gs"]).filter(|gs| output_of(gs, &["--version"]).is_some()) else {
        return Ok(Err("gs is not installed or does not start".to_owned()));
    };
    let file = place.input("work.ps", include_str!("inputs/work.ps"))?;
    let pages = format!("-dpages={}", place.count(24, 1));
    let words = [
        &word(&program),
        "-q",
        "-dBATCH",
        "-dNOPAUSE",
        "-sDEVICE=pdfwrite",
        "-sOutputFile=/dev/null",
        &pages,
        &file,
    ];
    Ok(Ok(load("drawn pages of PostScript to PDF", &words)))
}
