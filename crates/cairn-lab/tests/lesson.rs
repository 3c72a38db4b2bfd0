//! What the lessons compute is what pencil, paper and the kernel say.

use cairn_lab::lesson::beyond_the_end::{self, Outcome};
use cairn_lab::lesson::holes::{self, Choice, Played};
use cairn_lab::lesson::memory_map::{self, Kind, parse};
use cairn_lab::lesson::reuse::{self, Need, Use};
use cairn_lab::lesson::{LESSONS, Lesson, locality, run};
use cairn_lab::policies::POLICIES;

#[test]
fn every_lesson_in_the_list_runs_and_has_a_json_form() {
    for (name, _) in LESSONS {
        let lesson = run(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let json = serde_json::to_value(&lesson).expect("plain data");
        assert_eq!(json["lesson"], *name);
        for trace in lesson.traces() {
            trace.validate().expect("a trace that can be replayed");
        }
    }
    assert!(run("no-such-lesson").expect_err("there is none").contains("memory-map"));
}

#[test]
fn reuse_needs_what_arithmetic_says() {
    let reuse = reuse::run().expect("the lesson runs");
    // Four blocks of 4096 bytes, one of 5000, two of 10: with 8 bytes of header, in multiples of 16, at least 32.
    let blocks = 4 * 4112 + 5008 + 2 * 32;
    assert_eq!(reuse.blocks, Need { without_reuse: blocks, with_reuse: 3 * 4112, perfect: 3 * 4112 });
    let payload = 4 * 4096 + 5000 + 2 * 10;
    assert_eq!(reuse.payload, Need { without_reuse: payload, with_reuse: 3 * 4096, perfect: 3 * 4096 });
    assert_eq!(reuse.steps.len(), 10);
    assert!(reuse.once < 128, "{} bytes beside the blocks", reuse.once);
}

#[test]
fn reuse_joins_two_holes_for_the_block_of_5000() {
    let reuse = reuse::run().expect("the lesson runs");
    assert_eq!(reuse.steps[2].outcome, reuse::Outcome::Took { hole: 4112, left: 0 });
    assert_eq!(reuse.steps[3].outcome, reuse::Outcome::Grew(4112));
    assert_eq!(reuse.steps[6].outcome, reuse::Outcome::Freed { hole: 8224, joined: 1 });
    assert_eq!(reuse.steps[7].outcome, reuse::Outcome::Took { hole: 8224, left: 8224 - 5008 });
    let last = &reuse.steps[9];
    let names = |pieces: &[reuse::Piece], is| -> String {
        pieces.iter().filter(|piece| piece.is == is).filter_map(|piece| piece.name).collect()
    };
    assert_eq!(names(&last.with, Use::Live), "efgd");
    assert_eq!(names(&last.without, Use::Live), "defg");
    assert_eq!(names(&last.without, Use::Lost), "abc");
}

#[test]
fn things_lie_in_regions_of_their_kind() {
    let map = memory_map::run().expect("the lesson runs");
    assert_eq!(map.kind_of("function"), Some(Kind::Code));
    assert_eq!(map.kind_of("constant"), Some(Kind::Constants));
    assert_eq!(map.kind_of("global"), Some(Kind::Data));
    assert_eq!(map.kind_of("zeroed-global"), Some(Kind::Data));
    assert_eq!(map.kind_of("local"), Some(Kind::Stack));
    assert_eq!(map.kind_of("inner-local"), Some(Kind::Stack));
    assert_eq!(map.kind_of("large-block"), Some(Kind::Mapping));
    // A thread other than the first gets small blocks from a mapping.
    assert!(matches!(map.kind_of("small-block"), Some(Kind::Heap | Kind::Mapping)));
    let address = |name| map.landmark(name).expect("it is there").address;
    assert!(address("inner-local") < address("local"), "the stack grows down");
    assert!(address("small-block").abs_diff(address("small-block-2")) >= map.small);
    assert!(map.regions.is_sorted_by(|a, b| a.end <= b.start));
}

#[test]
fn the_first_thread_has_the_stack_and_the_break() {
    let maps = "\
5555aaaa0000-5555aaab0000 r--p 00000000 fe:00 77      /usr/bin/a program
5555aaab0000-5555aaac0000 r-xp 00010000 fe:00 77      /usr/bin/a program
5555aaac0000-5555aaad0000 rw-p 00020000 fe:00 77      /usr/bin/a program
5555aaad0000-5555aaae0000 rw-p 00000000 00:00 0
5555bbb00000-5555bbb21000 rw-p 00000000 00:00 0       [heap]
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 
7f0000100000-7f0000200000 r-xp 00000000 fe:00 78      /lib/libc.so.6
not a line
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0       [stack]
7ffc00030000-7ffc00032000 r-xp 00000000 00:00 0       [vdso]
";
    let regions = parse(maps, "/usr/bin/a program");
    let kinds: Vec<Kind> = regions.iter().map(|region| region.kind).collect();
    use Kind::{Code, Constants, Data, File, Heap, Kernel, Mapping, Stack};
    assert_eq!(kinds, [Constants, Code, Data, Data, Heap, Mapping, File, Stack, Kernel]);
    assert_eq!((regions[4].bytes(), regions[6].name.as_str()), (0x21000, "/lib/libc.so.6"));
}

#[test]
fn only_the_page_behind_the_heap_is_guarded() {
    let lesson = beyond_the_end::run().expect("the lesson runs");
    let attempt =
        |name: &str| lesson.attempts.iter().find(|attempt| attempt.name == name).expect("it is there");
    for name in ["last-byte", "rounding", "heap-end"] {
        assert_eq!(attempt(name).outcome, Outcome::Written { audit: None }, "{name}");
        assert_eq!(attempt(name).died_of, None, "{name}");
    }
    let Outcome::Written { audit: Some(found) } = &attempt("next-header").outcome else {
        panic!("the audit found nothing: {:?}", attempt("next-header"));
    };
    assert!(found.contains("header"), "{found}");
    for (name, why) in [("next-page", "SEGV_MAPERR"), ("reserved", "SEGV_ACCERR")] {
        let attempt = attempt(name);
        let Outcome::Signal { signal, reason, address } = attempt.outcome else { panic!("{attempt:?}") };
        assert_eq!((signal, reason, attempt.died_of), ("SIGSEGV", why, Some(libc::SIGSEGV)), "{name}");
        let region = attempt.region.as_ref().expect("the heap lies in a region");
        assert_eq!((address, address), (attempt.target, region.end), "{name}: just past the mapping");
        assert!(region.holds(attempt.heap_end - 1) && address.is_multiple_of(lesson.page), "{name}");
    }
    assert!(attempt("next-page").region_of_target.is_none());
    let reserved = attempt("reserved").region_of_target.as_ref().expect("address space is reserved there");
    assert!(reserved.permissions.starts_with("---"), "{reserved:?}");
}

#[test]
fn each_policy_takes_the_hole_that_its_name_says() {
    let lesson = holes::run().expect("the lesson runs");
    let fits = || lesson.holes.iter().filter(|hole| hole.bytes >= lesson.question);
    let name = |hole: Option<&holes::Hole>| hole.expect("there is one").name;
    let taken = |policy: &str| match lesson.chosen(policy) {
        Some(Choice::Hole { name, .. }) => name,
        other => panic!("{policy} took {other:?}"),
    };
    assert_eq!(taken("first-fit-address"), name(fits().next()), "the lowest");
    assert_eq!(taken("best-fit"), name(fits().min_by_key(|hole| hole.bytes)), "the tightest");
    assert_eq!(taken("best-fit-tree"), taken("best-fit"));
    assert_eq!(taken("worst-fit"), name(fits().max_by_key(|hole| hole.bytes)), "the largest");
    assert_eq!(taken("first-fit"), lesson.freed_last, "the last freed");
    let behind = |hole: &&holes::Hole| hole.name > lesson.used_before;
    assert_eq!(taken("next-fit"), name(fits().find(behind)), "the next");
    assert_eq!(lesson.stories[0].played.len(), POLICIES.len());
}

#[test]
fn each_story_has_winners_and_losers() {
    let lesson = holes::run().expect("the lesson runs");
    let grew = |story: usize, policy: &str| {
        let all: &[Played] = &lesson.stories[story].played;
        all.iter().find(|played| played.policy == policy).expect("every policy plays").grew
    };
    assert_eq!(grew(0, "best-fit"), 0);
    assert_eq!(grew(0, "best-fit-tree"), 0);
    for policy in ["first-fit", "first-fit-address", "next-fit", "worst-fit"] {
        assert!(grew(0, policy) > 0, "{policy}");
    }
    assert!(grew(1, "best-fit") > 0);
    assert_eq!(grew(1, "first-fit-address"), 0);
    for played in lesson.stories.iter().flat_map(|story| &story.played) {
        let of_choices = |choice: &Choice| if let Choice::Grew(bytes) = choice { *bytes } else { 0 };
        assert_eq!(played.grew, played.choices.iter().map(of_choices).sum::<usize>(), "{}", played.policy);
    }
}

#[test]
fn a_tree_in_the_blocks_touches_more_pages() {
    // That both are the heap's own tree, the lesson checks itself.
    let lesson = locality::run().expect("the trees agree");
    let (inside, beside) = (lesson.in_blocks, lesson.beside);
    assert!(inside.search.pages_mean > beside.search.pages_mean);
    assert!(inside.insert.pages_mean > beside.insert.pages_mean);
    assert!(inside.search.pages_in_all > 10 * beside.search.pages_in_all);
    // An array of nodes lies on as few pages as possible.
    let least = (lesson.holes * lesson.node).div_ceil(lesson.page);
    assert!((least..=least + 1).contains(&beside.pages), "{} pages, at least {least}", beside.pages);
    assert!(inside.pages > lesson.holes / 2);
    // A search goes down one path.
    assert!(inside.search.pages_max <= lesson.levels && lesson.looked_at_mean <= lesson.levels as f64);
    assert!((lesson.levels as f64) <= 1.4405 * ((lesson.holes + 2) as f64).log2());
}

#[test]
fn lessons_about_requests_have_traces() {
    let count = |name| run(name).map(|lesson| Lesson::traces(&lesson).len());
    assert_eq!(count("reuse"), Ok(1));
    assert_eq!(count("holes"), Ok(2));
}
