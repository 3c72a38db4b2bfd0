//! `cairn lesson memory-map`, laid out.

use std::path::Path;

use cairn_lab::lesson::MemoryMap;
use cairn_lab::lesson::memory_map::{Kind, Landmark, Region};

use super::page::Page;
use crate::table::{bytes, count};

/// A gap between regions that is worth a line, in bytes.
const GAP: usize = 1 << 30;

/// From here on, addresses are the kernel's.
const USER_END: usize = 1 << 47;

/// Lays out the lesson.
pub fn show(lesson: &MemoryMap, page: &mut Page) {
    page.paragraph(&format!(
        "This is process {} looking at itself: the regions of its address space, as the kernel lists them \
         in /proc/self/maps, high addresses at the top, and among them (◦) the addresses of a few things \
         of its own.",
        lesson.process
    ));
    page.gap();
    let head = format!("{:<16}{:>11}  {:<6}{}", "address", "size", "may", "what it is");
    page.line(&page.bold(&head));
    let mut above: Option<usize> = None;
    for group in groups(&lesson.regions).into_iter().rev() {
        let regions = &lesson.regions[group.clone()];
        let (start, end) = (regions[0].start, regions[regions.len() - 1].end);
        if let Some(gap) = above.map(|above| above - end).filter(|gap| *gap >= GAP) {
            let whose =
                if above.is_some_and(|above| above > USER_END) { "the kernel's own" } else { "nothing" };
            page.line(&page.dim(&format!("{:<16}{:>11}  {whose}", "  ...", bytes(gap as u64))));
        }
        above = Some(start);
        let size: usize = regions.iter().map(Region::bytes).sum();
        let line = format!("{start:<16x}{:>11}  {:<6}{}", bytes(size as u64), may(regions), what(regions));
        page.line(&line);
        let inside = |landmark: &&Landmark| landmark.region.is_some_and(|region| group.contains(&region));
        for landmark in lesson.landmarks.iter().rev().filter(inside) {
            page.line(&format!("  ◦ {:<31}{}", format!("{:x}", landmark.address), landmark.what));
        }
    }
    page.line(&page.dim("may: r read, w write, x execute. The regions of one library share a line."));
    facts(lesson, page);
    page.next(&[
        ("cairn run cairn lesson memory-map", "the same with Cairn as malloc: where do the blocks lie now?"),
        ("cairn lesson beyond-the-end", "what happens outside of these regions"),
    ]);
}

/// Ranges of regions that are shown in one line: those of one library.
fn groups(regions: &[Region]) -> Vec<std::ops::Range<usize>> {
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    for (index, region) in regions.iter().enumerate() {
        let together = |last: &Region| {
            let alike = last.kind == region.kind && last.name == region.name;
            match region.kind {
                Kind::File | Kind::Kernel => alike,
                Kind::Code | Kind::Constants | Kind::Data | Kind::Mapping => {
                    alike && last.end == region.start && last.permissions == region.permissions
                }
                Kind::Heap | Kind::Stack => false,
            }
        };
        match groups.last_mut() {
            Some(group) if together(&regions[index - 1]) => group.end = index + 1,
            _ => groups.push(index..index + 1),
        }
    }
    groups
}

/// What may be done with regions; nothing, if they differ.
fn may(regions: &[Region]) -> &str {
    let may = &regions[0].permissions[..3];
    if regions.iter().all(|region| region.permissions.starts_with(may)) { may } else { "" }
}

/// The permissions of regions, each once.
fn each_may(regions: &[Region]) -> String {
    let all: std::collections::BTreeSet<&str> =
        regions.iter().map(|region| &region.permissions[..3]).collect();
    all.into_iter().collect::<Vec<&str>>().join(" ")
}

fn what(regions: &[Region]) -> String {
    let region = &regions[0];
    let file = Path::new(&region.name)
        .file_name()
        .map_or(region.name.clone(), |name| name.to_string_lossy().into_owned());
    match region.kind {
        Kind::Code => format!("code of {file}"),
        Kind::Constants => format!("constants of {file}"),
        Kind::Data if region.name.is_empty() => "data: globals that began as zero".to_owned(),
        Kind::Data => format!("data: globals of {file}"),
        Kind::Heap => "heap, up to the program break".to_owned(),
        Kind::Mapping if may(regions) == "---" => "mapping: address space kept back, not usable".to_owned(),
        Kind::Mapping => "mapping: memory without a file".to_owned(),
        Kind::File if regions.len() > 1 => {
            format!("{file} ({})", each_may(regions))
        }
        Kind::File => file,
        Kind::Stack => "stack".to_owned(),
        Kind::Kernel => format!("{} (the kernel's)", region.name),
    }
}

/// Relations between the addresses, computed.
fn facts(lesson: &MemoryMap, page: &mut Page) {
    page.heading("What you see");
    let address = |name: &str| lesson.landmark(name).map(|landmark| landmark.address);
    if let (Some(outer), Some(inner)) = (address("local"), address("inner-local")) {
        let way = if inner < outer { "below it: the stack grows down" } else { "above it" };
        page.folded(
            "- ",
            &format!(
                "The inner function's local is {} bytes from the outer one's, {way}.",
                count(inner.abs_diff(outer) as u64)
            ),
        );
    }
    if let (Some(first), Some(second)) = (address("small-block"), address("small-block-2")) {
        let apart = first.abs_diff(second);
        let more = apart.checked_sub(lesson.small).filter(|more| *more <= lesson.small);
        let why = more.map_or("something lies between them".to_owned(), |more| {
            format!("{} that were asked for, and {more} for rounding and malloc's own notes", lesson.small)
        });
        let (apart, place) = (count(apart as u64), place(lesson, "small-block"));
        page.folded("- ", &format!("The two small blocks are {apart} bytes apart, in {place}: {why}."));
    }
    let region = |name: &str| lesson.landmark(name).and_then(|landmark| landmark.region);
    let how = if region("large-block") == region("small-block") {
        "the same as the small ones: this malloc has one region for all"
    } else {
        "by itself: malloc takes large blocks from the kernel one by one, and gives each back when it is freed"
    };
    let (large, place) = (bytes(lesson.large as u64), place(lesson, "large-block"));
    page.folded("- ", &format!("The block of {large} lies in {place}, {how}."));
    let of_program = || lesson.regions.iter().filter(|region| region.end <= USER_END);
    let end = of_program().next_back().map_or(0, |region| region.end);
    let usable = of_program().filter(|region| !region.permissions.starts_with("---"));
    let usable: usize = usable.map(Region::bytes).sum();
    let sentence = format!(
        "All usable regions together have {}; the addresses go up to {end:x}, that is {}. Nearly all lead \
         nowhere.",
        bytes(usable as u64),
        bytes(end as u64)
    );
    page.folded("- ", &sentence);
    page.folded(
        "- ",
        "Run it again: the addresses are others. The kernel places regions at random, so an \
         attacker can't know them.",
    );
}

fn place(lesson: &MemoryMap, name: &str) -> &'static str {
    match lesson.kind_of(name) {
        Some(Kind::Heap) => "the heap",
        Some(Kind::Mapping) => "a mapping",
        Some(Kind::Data) => "the data",
        Some(Kind::Stack) => "the stack",
        Some(Kind::Code | Kind::Constants) => "the program's file",
        Some(Kind::File | Kind::Kernel) => "a file's region",
        None => "no region: it was made after the list was read",
    }
}
