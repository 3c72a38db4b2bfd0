//! Interpreters and SQLite: what a script of ours does with JSON-like records, words, sorts, and joins.

use super::Ready;
use super::place::{Place, find, load, output_of, word};
use crate::compare::catalogue::Load;

/// The reason for one that isn't there.
fn missing(name: &str) -> Ready {
    Ok(Err(format!("{name} is not installed or does not start")))
}

pub fn python(place: &Place) -> Ready {
    // The interpreter itself, and not a script that only finds it: that would be measured too.
    let interpreter = find(&["python3"])
        .and_then(|python| output_of(&python, &["-c", "import sys; print(sys.executable)"]));
    let Some(interpreter) = interpreter else {
        return missing("python3");
    };
    let script = place.input("work.py", include_str!("inputs/work.py"))?;
    let rounds = place.count(20, 1).to_string();
    Ok(Ok(Load {
        settings: vec!["PYTHONMALLOC=malloc".to_owned(), "PYTHONHASHSEED=0".to_owned()],
        ..load("JSON, dicts, strings; PYTHONMALLOC=malloc", &[&interpreter, "-s", "-S", &script, &rounds])
    }))
}

pub fn lua(place: &Place) -> Ready {
    let Some(program) =
        find(&["lua5.4", "lua", "lua5.3"]).filter(|lua| output_of(lua, &["-e", "print(1)"]).is_some())
    else {
        return missing("lua");
    };
    let script = place.input("work.lua", include_str!("inputs/work.lua"))?;
    let rounds = place.count(20, 1).to_string();
    Ok(Ok(load("tables, strings, closures, a small parser", &[&word(&program), &script, &rounds])))
}

pub fn perl(place: &Place) -> Ready {
    let Some(program) = find(&["perl"]).filter(|perl| output_of(perl, &["-e", "print 1"]).is_some()) else {
        return missing("perl");
    };
    let script = place.input("work.pl", include_str!("inputs/work.pl"))?;
    let rounds = place.count(26, 1).to_string();
    Ok(Ok(Load {
        settings: vec!["PERL_HASH_SEED=0".to_owned(), "PERL_PERTURB_KEYS=0".to_owned()],
        ..load("hashes of arrays, split, join, regular expressions", &[&word(&program), &script, &rounds])
    }))
}

pub fn ruby(place: &Place) -> Ready {
    let Some(program) =
        find(&["ruby"]).filter(|ruby| output_of(ruby, &["--disable=gems", "-e", "puts 1"]).is_some())
    else {
        return missing("ruby");
    };
    let script = place.input("work.rb", include_str!("inputs/work.rb"))?;
    let rounds = place.count(24, 1).to_string();
    let words = [&word(&program), "--disable=gems", &script, &rounds];
    Ok(Ok(load("hashes, structs, strings, a small parser", &words)))
}

pub fn sqlite(place: &Place) -> Ready {
    let Some(program) = find(&["sqlite3"]).filter(|sqlite| output_of(sqlite, &["-version"]).is_some()) else {
        return missing("sqlite3");
    };
    let text = include_str!("inputs/work.sql")
        .replace("@PLACES@", &place.count(60_000, 1_000).to_string())
        .replace("@VISITS@", &place.count(240_000, 4_000).to_string());
    let script = place.input("work.sql", &text)?;
    let words = [&word(&program), "-batch", "-init", "/dev/null", ":memory:", &format!(".read {script}")];
    Ok(Ok(load("in memory: inserts, indexes, joins", &words)))
}
