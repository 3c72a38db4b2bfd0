//! `cairn lesson holes`, laid out.

use cairn_lab::lesson::Holes;
use cairn_lab::lesson::holes::{Choice, Story};

use super::page::Page;
use crate::table::{Table, count};

/// Lays out the lesson.
pub fn show(lesson: &Holes, page: &mut Page) {
    page.paragraph(&format!(
        "A heap has {} holes. The program asks for {} bytes, which with header and rounding is a block of \
         {}. Which hole to take? Each policy gets the same heap with the same past: {} was used and \
         freed before the others, {} was freed last.",
        lesson.holes.len(),
        lesson.payload,
        lesson.question,
        lesson.used_before,
        lesson.freed_last,
    ));
    let bytes: usize = lesson.heap.iter().map(|piece| piece.bytes).sum();
    // Some pieces need a sign more than their share.
    let scale = bytes.div_ceil(page.columns() - lesson.heap.len()).next_multiple_of(16);
    page.gap();
    page.line(&page.bar(&lesson.heap, scale, 0));
    let holes = lesson.holes.iter().map(|hole| format!("{} {}", hole.name, count(hole.bytes as u64)));
    page.line(
        &page.dim(&format!("holes: {}; █ used; {scale} bytes a sign", holes.collect::<Vec<_>>().join(", "))),
    );
    chosen(lesson, page);
    for (index, story) in lesson.stories.iter().enumerate() {
        told(index + 1, story, page);
    }
    page.paragraph(
        "At the top of each column is the size of the block that is asked for, header included. A letter is \
         the hole that was taken, or what was left of it; +N: no hole was large enough, and the heap \
         grew by N bytes, at least 1,024 at once. To the right: by how much the heap grew in all, free \
         bytes at the end, and how many holes were looked at.",
    );
    let choices = lesson.stories.iter().flat_map(|story| &story.played).flat_map(|played| &played.choices);
    if choices.clone().any(|choice| *choice == Choice::Beyond) {
        page.paragraph("new: the block fitted into memory for which the heap had grown before.");
    }
    page.paragraph(
        "What you see: the tightest hole keeps the large ones whole for large requests, and the largest one \
         wastes them first. But each policy has a sequence of requests that defeats it, and no policy \
         knows the next request. What counts is how often that happens with real programs; there best \
         fit needs the least memory of these, as a rule, and a tree or sorted lists make its search \
         short.",
    );
    page.next(&[
        ("cairn lesson holes --save .", "writes the stories as traces, large-later.rep and pairs-later.rep"),
        ("cairn view large-later.rep -p best-fit,worst-fit -c textbook", "both heaps, side by side"),
        ("cairn replay --generate compiler,ops=20000", "the policies on requests like a compiler's"),
        ("cairn lesson locality", "what a search for the tightest hole touches"),
    ]);
}

fn chosen(lesson: &Holes, page: &mut Page) {
    let Some(story) = lesson.stories.first() else { return };
    page.gap();
    let head = format!("{:<20}{:<8}{:<8}{}", "policy", "takes", "leaves", "because it takes");
    page.line(&page.bold(&head));
    for played in &story.played {
        let (takes, leaves) = match played.choices.first() {
            Some(Choice::Hole { name, left }) => (name.to_string(), count(*left as u64)),
            Some(other) => (cell(*other), "-".to_owned()),
            None => continue,
        };
        let what = played.what;
        page.folded(&format!("{:<20}{takes:<8}{leaves:<8}", played.policy), what);
    }
}

fn told(number: usize, story: &Story, page: &mut Page) {
    page.heading(&format!("{number}. {}", story.title));
    let requests = story.requests.iter().map(|request| count(*request as u64));
    let mut head = vec!["policy".to_owned()];
    head.extend(requests);
    head.extend(["grew", "free", "looks"].map(str::to_owned));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut table = Table::with_names(&head);
    for played in &story.played {
        let mut cells: Vec<String> = played.choices.iter().map(|choice| cell(*choice)).collect();
        cells.push(if played.grew == 0 { "-".to_owned() } else { count(played.grew as u64) });
        cells.push(count(played.free as u64));
        cells.push(count(played.looked_at));
        table.fact(played.policy, &cells);
    }
    page.table(&table);
}

fn cell(choice: Choice) -> String {
    match choice {
        Choice::Hole { name, .. } => name.to_string(),
        Choice::Beyond => "new".to_owned(),
        Choice::Grew(bytes) => format!("+{}", count(bytes as u64)),
    }
}
