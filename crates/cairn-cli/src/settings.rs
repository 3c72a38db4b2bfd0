//! `cairn settings`: the environment variables that Cairn knows, from the engine's own table.

use cairn_alloc::settings::{CHOICES, SETTINGS};
use serde::Serialize;

use crate::failure::Failure;
use crate::table::Table;

/// One variable as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    name: &'static str,
    default: Option<usize>,
    min: Option<usize>,
    max: Option<usize>,
    words: Option<&'static [&'static str]>,
    help: &'static str,
}

/// Variables that hold no number in a range.
const OTHERS: [(&str, &str); 3] = [
    (crate::library::VARIABLE, "path of the libcairn.so that `cairn run` preloads instead of its own"),
    (
        "CAIRN_STATS",
        "1 prints what the heap holds to stderr when a program ends; a path gets the same as lines for programs \
         (`cairn run --stats` sets it)",
    ),
    (
        "CAIRN_STATS_PARENT",
        "a process number: only a direct child of that process reports (`cairn run --stats` sets it to its own)",
    ),
];

/// Prints the table, or the JSON form of it.
pub fn print(json: bool) -> Result<(), Failure> {
    let numbers = SETTINGS.iter().map(|setting| Shown {
        name: setting.name,
        default: Some(setting.default),
        min: Some(setting.min),
        max: Some(setting.max),
        words: None,
        help: setting.help,
    });
    let none = Shown { name: "", default: None, min: None, max: None, words: None, help: "" };
    let choices = CHOICES.iter().map(|choice| Shown {
        name: choice.name,
        words: Some(choice.words),
        help: choice.help,
        ..none
    });
    let others = OTHERS.iter().map(|&(name, help)| Shown { name, help, ..none });
    let all: Vec<Shown> = numbers.chain(choices).chain(others).collect();
    if json {
        println!("{}", serde_json::to_string_pretty(&all).expect("plain data has a JSON form"));
        return Ok(());
    }
    let mut table = Table::of_words(&["variable", "default", "range", "what it does"]);
    for shown in &all {
        let number = |value: Option<usize>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let range = match (shown.min, shown.max, shown.words) {
            (Some(min), Some(max), _) => format!("{min} to {max}"),
            (_, _, Some(words)) => words.join(", "),
            _ => "-".to_owned(),
        };
        let default = match shown.words {
            Some(words) => words[0].to_owned(),
            None => number(shown.default),
        };
        table.row(&[shown.name.to_owned(), default, range, shown.help.to_owned()]);
    }
    print!("{table}");
    Ok(())
}
