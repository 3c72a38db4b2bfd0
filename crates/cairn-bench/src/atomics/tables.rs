//! What was counted as tables: on the terminal, and in docs/scaling.md.

use comfy_table::{Table, presets};

use super::Counted;
use super::counts::HOP_NS;
use crate::compare::tables::{align, new_table, show, thousands};

/// Places with a column of their own; the others are summed up in the last.
const ATOMICS: [&str; 7] = ["stack", "pool", "shelf", "class", "pages", "records", "capacity"];
/// The same for locks.
const LOCKS: [&str; 4] = ["shelf", "class", "pages", "records"];

/// Prints the tables.
pub fn print(done: &[Counted]) {
    for (title, table) in tables(done, presets::UTF8_FULL_CONDENSED) {
        println!("\n{title}\n{table}");
    }
}

/// The tables in Markdown.
pub fn markdown(done: &[Counted]) -> String {
    let sections = tables(done, presets::ASCII_MARKDOWN);
    sections.map(|(title, table)| format!("\n### {title}\n\n{table}\n")).join("")
}

fn tables(done: &[Counted], preset: &str) -> [(String, Table); 3] {
    [
        ("Indivisible operations per thousand operations".to_owned(), atomics(done, preset)),
        ("Locks and system calls per thousand operations".to_owned(), locks(done, preset)),
        (format!("Which line is full first, at {HOP_NS:.0} ns from core to core"), lines(done, preset)),
    ]
}

fn atomics(done: &[Counted], preset: &str) -> Table {
    let heads: Vec<&str> =
        ["load", "all"].into_iter().chain(ATOMICS).chain(["rest", "an operation is"]).collect();
    let mut table = new_table(preset, &heads);
    for one in done {
        let mut row = vec![one.load.clone()];
        let sum = |of: &dyn Fn(&str) -> bool| one.share(one.counts.sum(of, |place| place.atomics));
        row.push(sum(&|_| true));
        row.extend(ATOMICS.iter().map(|&column| sum(&|name| name == column)));
        row.push(sum(&|name| !ATOMICS.contains(&name)));
        row.push(one.operation.clone());
        table.add_row(row);
    }
    words_last(table)
}

fn locks(done: &[Counted], preset: &str) -> Table {
    let heads: Vec<&str> = ["load", "entries"]
        .into_iter()
        .chain(LOCKS)
        .chain(["rest", "waits", "class: ns", "pages: ns", "calls", "most of them"])
        .collect();
    let mut table = new_table(preset, &heads);
    for one in done {
        let mut row = vec![one.load.clone()];
        let sum = |of: &dyn Fn(&str) -> bool| one.share(one.counts.sum(of, |place| place.entered));
        row.push(sum(&|_| true));
        row.extend(LOCKS.iter().map(|&column| sum(&|name| name == column)));
        row.push(sum(&|name| !LOCKS.contains(&name)));
        row.push(one.share(one.counts.sum(|_| true, |place| place.waited)));
        row.extend(["class", "pages"].map(|name| show(one.counts.held(name), thousands)));
        row.push(one.share(one.counts.calls.values().sum()));
        let most = one.counts.calls.iter().filter(|(_, count)| **count > 0).max_by_key(|(_, count)| **count);
        row.push(most.map_or("—".to_owned(), |(name, _)| name.clone()));
        table.add_row(row);
    }
    words_last(table)
}

fn lines(done: &[Counted], preset: &str) -> Table {
    let heads = ["load", "CPU ns", "first", "touches", "full at cores", "second", "touches", "full at cores"];
    let mut table = new_table(preset, &heads);
    for one in done {
        let mut row = vec![one.load.clone(), small(one.cpu_ns)];
        let lines = one.counts.lines(one.operations, one.cpu_ns);
        for line in lines.iter().take(2) {
            row.extend([line.place.clone(), small(line.touches), cores(line.cores)]);
        }
        table.add_row(row);
    }
    align(table)
}

impl Counted {
    /// A number per thousand operations.
    fn share(&self, number: u64) -> String {
        small(number as f64 * 1000.0 / self.operations.max(1) as f64)
    }
}

/// The last column is words, and begins at the left.
fn words_last(table: Table) -> Table {
    let mut table = align(table);
    if let Some(last) = table.column_iter_mut().last() {
        last.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    table
}

/// A number with as many digits as say something.
fn small(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 0.005 => "<0.01".to_owned(),
        value if value < 1.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => thousands(value),
    }
}

/// A number of cores.
fn cores(value: f64) -> String {
    if value > 10_000.0 { "> 10,000".to_owned() } else { small(value) }
}

#[cfg(test)]
mod tests {
    use super::super::counts::Counts;
    use super::*;

    fn counted() -> Counted {
        let told = "{\"cairn_count\":{\"places\":{\"class\":[8,4,3,1,900],\"birth\":[4,4,2,0,900]},\"calls\":{\"mmap\":2,\"futex\":0},\
            \"clock_ns\":100}}";
        let counts = Counts::read(told).unwrap();
        Counted {
            load: "one-2".to_owned(),
            operation: "a pair".to_owned(),
            operations: 2000,
            cpu_ns: 40.0,
            counts,
        }
    }

    #[test]
    fn the_tables_are_per_thousand_operations() {
        let page = markdown(&[counted()]);
        let rows: Vec<Vec<&str>> = page
            .lines()
            .filter(|line| line.starts_with("| one-2"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        assert_eq!(rows[0], ["one-2", "6.0", "0", "0", "0", "4.0", "0", "0", "0", "2.0", "a pair"]);
        assert_eq!(rows[1], ["one-2", "2.5", "0", "1.5", "0", "0", "1.0", "0.50", "200", "—", "1.0", "mmap"]);
        assert_eq!(rows[2][..4], ["one-2", "40.0", "birth", "2.0"]);
        assert_eq!(rows[2][5], "class");
    }

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let texts = [0.0, 0.001, 0.25, 7.04, 123.4, 54_321.0].map(small);
        assert_eq!(texts, ["0", "<0.01", "0.25", "7.0", "123", "54,321"]);
        assert_eq!(cores(20_000.0), "> 10,000");
    }
}
