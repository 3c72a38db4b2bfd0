//! The report as a list of sections, which the terminal, the Markdown page and the HTML page all print: one source,
//! three forms.

use comfy_table::{CellAlignment, Table, presets};

use super::bars::bars;
use super::chance;
use super::peers::GLIBC;
use super::ratios::{Over, Unit, mean, median, ratio, unit_value};
use super::results::{LoadResult, Quantity, Results};
use super::standing::{JUDGED, Verdict, losses, ours, wins};
use super::tables::{align, duration, new_table, show, thousands, unit_in_words};

/// A part of the report.
pub struct Section {
    /// Its title.
    pub title: String,
    /// How to read it; may be empty.
    pub note: String,
    /// The numbers; none if there is nothing to tell in a table.
    pub table: Option<Table>,
    /// What is said below.
    pub lines: Vec<String>,
}

impl Section {
    /// A table of numbers.
    fn new(title: impl Into<String>, note: impl Into<String>, table: Table) -> Section {
        Section { title: title.into(), note: note.into(), table: Some(align(table)), lines: Vec::new() }
    }

    /// A table in which these columns are words, and begin at the left.
    fn with_words(mut self, columns: &[usize]) -> Section {
        for (at, column) in self.table.iter_mut().flat_map(|table| table.column_iter_mut().enumerate()) {
            if columns.contains(&at) {
                column.set_cell_alignment(CellAlignment::Left);
            }
        }
        self
    }
}

/// What a session says in short: bars, means, winners, losses.
pub fn summary(results: &Results) -> Vec<Section> {
    let mut sections = Vec::new();
    sections.extend(bars_section(results));
    sections.extend(
        [Unit::BestPeer, Unit::Allocator(GLIBC)]
            .into_iter()
            .filter(|unit| match unit {
                Unit::BestPeer => true,
                Unit::Allocator(name) => results.allocators().contains(name),
            })
            .map(|unit| overall_section(results, unit)),
    );
    sections.push(chance_section(results));
    sections.extend(JUDGED.map(|quantity| groups_section(results, quantity)));
    sections.push(wins_section(results));
    sections.extend(losses_section(results));
    sections.extend(instructions_section(results));
    sections
}

/// One table for each of these quantities: a row for each load, a column for each allocator.
pub fn across(results: &Results, quantities: &[Quantity]) -> Vec<Section> {
    quantities.iter().map(|&quantity| across_section(results, quantity)).collect()
}

/// The allocators with their versions.
pub fn allocators_section(results: &Results) -> Section {
    let mut table = new_table(presets::UTF8_FULL_CONDENSED, &["allocator", "version", "how it is run"]);
    for peer in &results.peers {
        let how = match (&peer.library, &peer.rust) {
            (Some(_), Some(_)) => "preloaded; linked in at the Rust door",
            (Some(_), None) => "preloaded",
            (None, Some(_)) => "linked in at the Rust door",
            (None, None) => "the C library's own",
        };
        let version = if peer.version.is_empty() { "—" } else { &peer.version };
        table.add_row([&peer.name, version, how]);
    }
    let mut section = Section::new("Allocators", "", table).with_words(&[1, 2]);
    section.lines = results.left_out.iter().map(|line| format!("left out: {line}")).collect();
    section
}

fn bars_section(results: &Results) -> Option<Section> {
    let bars = bars(results);
    if bars.is_empty() {
        return None;
    }
    let mut table = new_table(presets::UTF8_FULL_CONDENSED, &["", "bar", "is", "at most", "", "decided by"]);
    for bar in &bars {
        let number =
            |value: f64| if bar.limit == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") };
        table.add_row([
            bar.number.to_string(),
            bar.what.clone(),
            show(bar.value, number),
            number(bar.limit),
            bar.in_words().to_owned(),
            bar.detail.clone(),
        ]);
    }
    let count = |passed| bars.iter().filter(|bar| bar.passed == passed).count();
    let mut section = Section::new("The bars", "What Cairn has to reach, and what it reached here.", table)
        .with_words(&[1, 4, 5]);
    let words =
        format!("{} passed, {} failed, {} not measured", count(Some(true)), count(Some(false)), count(None));
    section.lines.push(words);
    Some(section)
}

fn overall_section(results: &Results, unit: Unit) -> Section {
    let heads = ["allocator", "time", "wall", "CPU", "peak RSS", "RSS over 20 MiB", "loads"];
    let columns = [
        (Quantity::Time, Over::All),
        (Quantity::Wall, Over::All),
        (Quantity::Cpu, Over::All),
        (Quantity::PeakRss, Over::All),
        (Quantity::PeakRss, Over::LargeMemory),
    ];
    let mut table = new_table(presets::UTF8_FULL_CONDENSED, &heads);
    for name in results.allocators() {
        let mut row = vec![name.to_owned()];
        row.extend(columns.iter().map(|&(quantity, over)| mean_cell(results, name, quantity, unit, over)));
        let done = mean(results, name, Quantity::Wall, unit, Over::All).map_or(0, |(_, loads)| loads);
        row.push(format!("{done} of {}", results.loads.len()));
        table.add_row(row);
    }
    let note = "Time is that of one operation, or wall time where a load counts none. An allocator that could not run a \
                load has a mean over the others.";
    Section::new(format!("Geometric means of medians; 1.00 is {}", unit_in_words(unit)), note, table)
}

fn mean_cell(results: &Results, name: &str, quantity: Quantity, unit: Unit, over: Over) -> String {
    let mean = mean(results, name, quantity, unit, over).map(|(value, _)| value);
    show(mean, |value| format!("{value:.2}"))
}

fn chance_section(results: &Results) -> Section {
    const QUANTITIES: [Quantity; 2] = [Quantity::Wall, Quantity::Cpu];
    let mut heads = vec!["allocator".to_owned()];
    for quantity in QUANTITIES {
        let words = quantity.in_words();
        heads.extend([format!("{words} by median"), "by minimum".to_owned(), "by other turns".to_owned()]);
    }
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = new_table(presets::UTF8_FULL_CONDENSED, &heads);
    for name in results.allocators() {
        let mut row = vec![name.to_owned()];
        for quantity in QUANTITIES {
            let means = chance::means(results, name, quantity);
            let ways = means.map(|means| [means.by_median, means.by_minimum, means.by_other_turns]);
            row.extend((0..3).map(|at| show(ways.map(|ways| ways[at]), |value| format!("{value:.3}"))));
        }
        table.add_row(row);
    }
    let note = "The best of several peers is in part the luckiest, so that the mean of an allocator as fast as each of them is above 1.00. By \
                median, by minimum: to the least median, the least minimum of a peer. By other turns: each run to that of the same turn of the \
                peer with the least median in the other turns, whose luck is spent there; where these name the wrong one of two close peers it \
                errs to the other side, so on average the truth lies between. A peer is compared with the other peers. Loads that the allocator \
                ran at least twice; without peers of which a run failed.";
    Section::new("What chance does to the means of ratios to the best peer on each load", note, table)
}

fn groups_section(results: &Results, quantity: Quantity) -> Section {
    let present = |over: &Over| *over == Over::All || results.loads.iter().any(|load| over.includes(load));
    let groups: Vec<Over> = Over::groups().into_iter().filter(present).collect();
    let mut heads = vec!["allocator".to_owned()];
    heads.extend(groups.iter().map(|group| group.in_words()));
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = new_table(presets::UTF8_FULL_CONDENSED, &heads);
    for name in results.allocators() {
        let mut row = vec![name.to_owned()];
        let cell = |&over: &Over| mean_cell(results, name, quantity, Unit::BestPeer, over);
        row.extend(groups.iter().map(cell));
        table.add_row(row);
    }
    let title = format!("Means of {} with and without each group", quantity.in_words());
    Section::new(title, "1.00 is the best peer on each load.", table)
}

fn wins_section(results: &Results) -> Section {
    let mut heads = vec!["allocator".to_owned()];
    for quantity in JUDGED {
        heads.extend([format!("{}: first", quantity.in_words()), "within 5 %".to_owned()]);
    }
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = new_table(presets::UTF8_FULL_CONDENSED, &heads);
    let columns = JUDGED.map(|quantity| wins(results, quantity));
    for (at, name) in results.allocators().into_iter().enumerate() {
        let mut row = vec![name.to_owned()];
        for column in &columns {
            let (_, first, near) = column[at];
            row.extend([first.to_string(), near.to_string()]);
        }
        table.add_row(row);
    }
    let note = format!(
        "On how many of the {} loads an allocator has the least median, and on how many it is within 5 % of that.",
        results.loads.len()
    );
    let mut section = Section::new("Who wins what", note, table);
    for quantity in JUDGED {
        section.lines.push(format!("{}: {}", quantity.in_words(), winners(results, quantity)));
    }
    section
}

/// For each allocator, the loads on which it has the least of a quantity.
fn winners(results: &Results, quantity: Quantity) -> String {
    let mut words = Vec::new();
    for name in results.allocators() {
        let won: Vec<&str> = results
            .loads
            .iter()
            .filter(|load| {
                super::ratios::best(load, |_| true, |summary| summary.median, quantity)
                    .is_some_and(|(best, _)| best == name)
            })
            .map(|load| load.name.as_str())
            .collect();
        if !won.is_empty() {
            words.push(format!("{name} wins {}", won.join(", ")));
        }
    }
    words.join("; ")
}

fn losses_section(results: &Results) -> Option<Section> {
    let ours = ours(results)?;
    let heads = ["load", "quantity", "", "by median", "by minimum", "ours", "the winner's", "winner"];
    let mut table = new_table(presets::UTF8_FULL_CONDENSED, &heads);
    let losses = losses(results, ours);
    for loss in &losses {
        let unit = if loss.quantity == Quantity::PeakRss.in_words() { "MiB" } else { "s" };
        let number =
            |value: f64| if unit == "s" { format!("{value:.3} s") } else { format!("{value:.1} MiB") };
        table.add_row([
            loss.load.clone(),
            loss.quantity.to_owned(),
            if loss.verdict == Verdict::Lost { "lost" } else { "in doubt" }.to_owned(),
            format!("{:.2}", loss.by_median),
            format!("{:.2}", loss.by_min),
            number(loss.ours),
            number(loss.best),
            loss.peer.clone(),
        ]);
    }
    let note = format!(
        "Every load on which {ours} takes more than 1.05 of the best peer's wall or CPU time, or more than 1.15 of the \
         least peak RSS among the fast peers. In doubt: medians and minima disagree."
    );
    let mut section = Section::new("Losses", note, table).with_words(&[1, 2, 7]);
    if losses.is_empty() {
        section.table = None;
        section.lines.push("none".to_owned());
    }
    Some(section)
}

/// Instructions of one operation; none if they were not counted.
pub fn instructions_section(results: &Results) -> Option<Section> {
    if results.instructions.is_empty() {
        return None;
    }
    let mut heads = vec!["load"];
    heads.extend(results.allocators());
    let mut table = new_table(presets::UTF8_FULL_CONDENSED, &heads);
    let mut lines = Vec::new();
    for row in &results.instructions {
        let mut fields = vec![row.load.clone()];
        fields.extend(results.allocators().into_iter().map(|name| {
            let count = row.counts.iter().find(|(allocator, _)| allocator == name);
            show(count.map(|(_, count)| *count), |count| format!("{count:.1}"))
        }));
        table.add_row(fields);
        lines.extend(row.failures.iter().map(|failure| format!("{}: {failure}", row.load)));
    }
    let note =
        "Counted by callgrind as the difference between N and 2 N operations; the load's own loop is in it.";
    let mut section = Section::new("Instructions of one operation", note, table);
    section.lines = lines;
    Some(section)
}

fn across_section(results: &Results, quantity: Quantity) -> Section {
    let mut heads = vec!["load"];
    heads.extend(results.allocators());
    let mut table = new_table(presets::UTF8_FULL_CONDENSED, &heads);
    for load in &results.loads {
        let mut row = vec![load.name.clone()];
        row.extend(results.allocators().into_iter().map(|name| across_cell(load, name, quantity)));
        table.add_row(row);
    }
    let title = match quantity {
        Quantity::Time => "Time of one operation, or wall time where a load counts none",
        Quantity::Wall => "Wall time of the process",
        Quantity::Cpu => "CPU time, user and system",
        Quantity::PeakRss => "Peak resident memory",
        Quantity::Faults => "Minor page faults",
        Quantity::Switches => "Context switches",
    };
    Section::new(title, "Median, and in brackets its ratio to the best peer's, which has a star.", table)
}

fn across_cell(load: &LoadResult, name: &str, quantity: Quantity) -> String {
    let Some(cell) = load.cell(name) else { return "—".to_owned() };
    let Some(value) = median(load, name, quantity) else {
        return if cell.failures.is_empty() { "—".to_owned() } else { "failed".to_owned() };
    };
    let number = match quantity {
        Quantity::Time => duration(value),
        Quantity::Cpu | Quantity::Wall => format!("{value:.3} s"),
        Quantity::PeakRss => format!("{value:.1} MiB"),
        Quantity::Faults | Quantity::Switches => thousands(value),
    };
    let best =
        !super::peers::Peer::is_ours(name) && unit_value(load, quantity, Unit::BestPeer) == Some(value);
    let star = if best { " ★" } else { "" };
    match ratio(load, name, quantity, Unit::BestPeer) {
        Some(times) => format!("{number} ({times:.2}){star}"),
        None => format!("{number}{star}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::ratios::tests::session;
    use crate::compare::results::Instructions;

    fn text(section: &Section) -> String {
        section.table.as_ref().map(Table::to_string).unwrap_or_default()
    }

    #[test]
    fn the_overall_table_says_how_many_loads_count() {
        let text = text(&overall_section(&session(), Unit::BestPeer));
        let other = text.lines().find(|line| line.contains("other")).unwrap();
        assert!(other.contains("1 of 2"), "{text}");
    }

    #[test]
    fn groups_that_are_empty_have_no_column() {
        let text = text(&groups_section(&session(), Quantity::Wall));
        assert!(text.contains("one thread") && text.contains("without programs"), "{text}");
        assert!(!text.contains("Rust door ") || text.contains("without Rust door"), "{text}");
    }

    #[test]
    fn across_names_the_best_peer_and_failures() {
        let text = text(&across_section(&session(), Quantity::Wall));
        assert!(text.contains("2.000 s (1.00) ★") && text.contains("1.000 s (0.50)"), "{text}");
        assert!(text.contains("failed"), "{text}");
    }

    #[test]
    fn every_section_of_a_session_is_there() {
        let mut results = session();
        let counts = vec![("cairn".to_owned(), 17.25)];
        results.instructions =
            vec![Instructions { load: "small".to_owned(), counts, failures: vec!["why".to_owned()] }];
        let titles: Vec<String> = summary(&results).into_iter().map(|section| section.title).collect();
        for title in [
            "The bars",
            "Geometric means",
            "What chance",
            "Means of peak RSS",
            "Who wins",
            "Losses",
            "Instructions",
        ] {
            assert!(titles.iter().any(|other| other.starts_with(title)), "{title} in {titles:?}");
        }
        assert!(text(&instructions_section(&results).unwrap()).contains("17.2"));
    }
}
