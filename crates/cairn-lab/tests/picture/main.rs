//! Histories of a heap, and the pictures that are made of them.

mod browser;
mod toy;

use cairn_lab::history::{History, Keep, Recording, Shape, State};
use cairn_lab::picture::html::{self, HtmlError};
use cairn_lab::picture::palette::Theme;
use cairn_lab::picture::terminal::{Screen, terminal};
use cairn_lab::picture::{png, svg};

use self::toy::Kind;

/// A history rebuilt from its edits is what was seen, at every moment, for every shape of index.
#[test]
fn edits_lead_to_what_was_seen() {
    for kind in Kind::ALL {
        let ops = toy::trace(400);
        let (recording, seen) = toy::run(kind, &ops, Keep::Steps { from: 0, to: ops.len() });
        let Recording::History(history) = recording else { panic!("steps were asked for") };
        assert_eq!(history.to(), ops.len());
        let origin = seen[0].blocks[0].0;
        for (number, raw) in seen.iter().enumerate() {
            let snapshot = history.at(number + 1);
            let blocks = snapshot.blocks.iter().map(|block| (block.offset + origin, block.size, block.state));
            assert!(blocks.eq(raw.blocks.iter().copied()), "{kind:?}: blocks after op {}", number + 1);
            let index = snapshot.index.iter().map(|entry| {
                (
                    entry.offset + origin,
                    entry.size,
                    entry.list,
                    entry.parent.map(|at| at + origin),
                    entry.level,
                )
            });
            let real = raw.index.iter().map(|e| (e.offset, e.size, e.list, e.parent, e.level));
            assert!(index.eq(real), "{kind:?}: index after op {}", number + 1);
            let owned = snapshot.blocks.iter().filter(|block| block.owner.is_some()).count();
            let used = snapshot.blocks.iter().filter(|block| block.state == State::Used).count();
            assert_eq!(owned, used, "{kind:?}: every used block is somebody's");
            assert_eq!(snapshot.totals().live, history.curve[number + 1].live, "{kind:?}: the two sums");
        }
    }
}

#[test]
fn a_part_of_a_history_equals_the_whole_there() {
    let whole = toy::history(Kind::Tree, 300);
    let part = toy::part(Kind::Tree, 300, 120, 200);
    assert_eq!((part.from, part.to()), (120, 200));
    for moment in 120..=200 {
        assert_eq!(part.at(moment), whole.at(moment), "moment {moment}");
        assert_eq!(toy::still(Kind::Tree, 300, moment).snapshot, whole.at(moment), "still {moment}");
    }
    assert_eq!(part.still(150).words, whole.still(150).words);
    assert_eq!(part.curve, whole.curve);
}

#[test]
fn words_tell_what_happened() {
    let history = toy::history(Kind::List, 400);
    let said = |part: &str| history.steps.iter().any(|step| step.words.contains(part));
    for part in [
        "the heap grew by ",
        "split a free block of ",
        "took a whole free block of ",
        "merged with its left neighbour",
        "merged with its right neighbour",
        "merged with both neighbours",
        "a new free block of ",
        "resize block ",
    ] {
        assert!(said(part), "nothing was said of {part:?}");
    }
    assert!(
        toy::history(Kind::Waiting, 400).steps.iter().any(|step| step.words.contains("waits to be merged"))
    );
    for (number, step) in history.steps.iter().enumerate() {
        assert!(step.words.starts_with(&format!("op {}: ", number + 1)), "{}", step.words);
    }
}

#[test]
fn shapes_are_told_by_name_and_by_what_is_seen() {
    let of = |kind| {
        let still = toy::still(kind, 200, 200);
        Shape::of(&still.policy, &still.snapshot.index)
    };
    assert_eq!(of(Kind::List), Shape::List);
    assert_eq!(of(Kind::Bins), Shape::Bins);
    assert_eq!(of(Kind::Tree), Shape::Tree);
    assert_eq!(Shape::of("two-level", &[]), Shape::Bins);
}

#[test]
fn an_svg_shows_every_block_and_is_well_formed() {
    for kind in Kind::ALL {
        let still = toy::still(kind, 300, 250);
        let made = svg::svg(std::slice::from_ref(&still), Theme::Auto);
        let drawn = made.matches("<g><title>").count();
        assert_eq!(drawn, still.snapshot.blocks.len(), "{kind:?}: one group for each block");
        for (state, words) in [(State::Free, "free block at"), (State::Waiting, "freed block at")] {
            let blocks = still.snapshot.blocks.iter().filter(|block| block.state == state).count();
            assert_eq!(made.matches(words).count(), blocks, "{kind:?}: {state:?}");
        }
        assert!(made.contains(&still.words.replace('>', "&gt;")), "{kind:?}: the words");
        for theme in [Theme::Auto, Theme::Light, Theme::Dark] {
            let bytes = png::png(&svg::svg(std::slice::from_ref(&still), theme));
            assert!(
                bytes.is_ok_and(|bytes| bytes.len() > 10_000),
                "{kind:?} {theme:?}: a PNG with something on it"
            );
        }
    }
}

#[test]
fn the_empty_heap_has_pictures_too() {
    let still = toy::still(Kind::Tree, 10, 0);
    assert!(svg::svg(std::slice::from_ref(&still), Theme::Light).contains("there is no free block"));
    let text = terminal(std::slice::from_ref(&still), Screen { width: 80, colours: false });
    assert!(text.contains("the empty heap"), "{text}");
    assert!(html::html(&[toy::history(Kind::Tree, 0)], 0).is_ok());
}

#[test]
fn plain_letters_account_for_the_heap() {
    let still = toy::still(Kind::List, 300, 250);
    let text = terminal(std::slice::from_ref(&still), Screen { width: 100, colours: false });
    assert!(!text.contains('\x1b'), "no colours were asked for");
    assert!(text.lines().all(|line| line.chars().count() <= 140), "{text}");
    let coloured = terminal(std::slice::from_ref(&still), Screen { width: 100, colours: true });
    assert!(coloured.contains("\x1b[48;5;25"), "colours were asked for");
    let rows = |text: &str| text.lines().filter(|line| line.trim_start().starts_with("0x")).count();
    assert_eq!(rows(&text), rows(&coloured));
    // Every letter is so many bytes; the heap's rows have just as many letters.
    let each: usize = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("each letter is ")?.split(' ').next()?.parse().ok())
        .expect("the scale is told");
    let letters: usize = text
        .lines()
        .filter(|line| line.trim_start().starts_with("0x"))
        .map(|line| line.chars().count() - 11)
        .sum();
    assert_eq!(letters, still.snapshot.extent.div_ceil(each), "{text}");
}

#[test]
fn a_page_refuses_what_it_can_not_play() {
    let history = toy::history(Kind::List, 20);
    assert_eq!(html::html(&[], 0), Err(HtmlError::Policies(0)));
    assert_eq!(html::html(&vec![history.clone(); 3], 0), Err(HtmlError::Policies(3)));
    assert_eq!(html::html(&[history.clone(), toy::history(Kind::Tree, 19)], 0), Err(HtmlError::Unequal));
    let long = History { steps: vec![history.steps[0].clone(); html::STEPS_MAX + 1], ..history };
    let error = html::html(&[long], 0).expect_err("too long");
    assert!(error.to_string().contains("--from and --to"), "{error}");
}

#[test]
fn a_page_of_ten_thousand_operations_is_small() {
    let page = html::html(&[toy::history(Kind::Tree, 10_000)], 0).expect("a page");
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}
