//! Claim: docs/safety-unsafe.md names each module of the engine that has unsafe code, with its counts, what that relies on, and what
//! would find a mistake in it. `CAIRN_BLESS=1` renews the counts; the words are for people to write.

use cairn_tests::scratch;
use cairn_tests::unsafe_code::{self, Counts};
use std::collections::BTreeMap;
use std::{env, fs};

const CRATES: [&str; 3] = ["cairn-core", "cairn-alloc", "cairn-malloc"];
const BEGIN: &str =
    "<!-- the table: counts by CAIRN_BLESS=1 cargo test -p cairn-tests --test unsafe_inventory -->\n";
const END: &str = "<!-- the end of the table -->\n";
const HEAD: &str = "| module | blocks | functions | promises | what it relies on, and where that is written | what would find a mistake |\n|---|---:|---:|---:|---|---|\n";

/// The sources that have unsafe code.
fn counted() -> BTreeMap<String, Counts> {
    let crates = scratch::workspace().join("crates");
    let mut all = BTreeMap::new();
    for name in CRATES {
        for (path, text) in unsafe_code::sources(&crates, &crates.join(name).join("src")) {
            let counts = unsafe_code::count(&text);
            if !counts.is_empty() {
                let module = path.display().to_string().replacen("/src/", "/", 1);
                all.insert(module.trim_end_matches(".rs").to_owned(), counts);
            }
        }
    }
    assert!(all.len() > 30, "the reader of sources doesn't read");
    all
}

fn row(module: &str, counts: Counts, words: &str) -> String {
    let Counts { blocks, functions, promises } = counts;
    format!("| {module} | {blocks} | {functions} | {promises} |{words}\n")
}

#[test]
fn the_inventory_is_what_the_sources_say() {
    let path = scratch::workspace().join("docs/safety-unsafe.md");
    let text = fs::read_to_string(&path).expect("the inventory");
    let (before, rest) = text.split_once(BEGIN).expect("the table's begin");
    let (table, after) = rest.split_once(END).expect("the table's end");
    let mut words = BTreeMap::new();
    for line in table.lines().skip(2) {
        let cells: Vec<&str> = line.splitn(6, '|').collect();
        let [_, module, _, _, _, said] = cells[..] else { panic!("a row of another form: {line}") };
        words.insert(module.trim().to_owned(), said.to_owned());
    }
    let unsaid = " ? | ? |".to_owned();
    let rows = counted()
        .into_iter()
        .map(|(module, counts)| row(&module, counts, words.get(&module).unwrap_or(&unsaid)));
    let fresh = format!("{HEAD}{}", rows.collect::<String>());
    if env::var_os("CAIRN_BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{fresh}{END}{after}"))
            .expect("the inventory can be written");
    } else {
        let differing: Vec<_> = fresh.lines().filter(|line| !table.lines().any(|old| old == *line)).collect();
        let gone: Vec<_> = words.keys().filter(|module| !counted().contains_key(*module)).collect();
        assert!(
            fresh == table,
            "docs/safety-unsafe.md is behind the sources; look at what is new, then CAIRN_BLESS=1 cargo test -p cairn-tests --test \
             unsafe_inventory renews the counts\nnow: {differing:#?}\ngone: {gone:?}"
        );
    }
    let unsaid: Vec<_> = fresh.lines().filter(|line| line.contains(" ? ")).collect();
    assert!(
        unsaid.is_empty(),
        "docs/safety-unsafe.md doesn't say what these rely on and what would find a mistake: {unsaid:#?}"
    );
}

#[test]
fn the_reader_tells_code_from_words() {
    let source = r##"
        //! unsafe { in a comment }
        unsafe impl Sync for A {}
        #[unsafe(no_mangle)]
        unsafe extern "C" fn a() { let s = "unsafe { in a \" string }"; unsafe { b() } }
        fn c() { let q = '"'; if unsafe { d() } {} (unsafe {e()}); !unsafe { f() } || *unsafe { g() } }
    "##;
    assert_eq!(unsafe_code::count(source), Counts { blocks: 5, functions: 1, promises: 1 });
}
