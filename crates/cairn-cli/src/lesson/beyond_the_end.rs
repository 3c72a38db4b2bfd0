//! `cairn lesson beyond-the-end`, laid out.

use cairn_lab::lesson::BeyondTheEnd;
use cairn_lab::lesson::beyond_the_end::{Attempt, Outcome};

use super::page::Page;

/// Lays out the lesson.
pub fn show(lesson: &BeyondTheEnd, page: &mut Page) {
    page.paragraph(&format!(
        "A child process makes a heap, asks it for {} bytes twice, and writes one byte somewhere near the \
         first block: farther and farther out, in a new child for each attempt. This is what became of \
         them.",
        lesson.asked
    ));
    page.gap();
    let head = format!("     {:<37}{:<16}{}", "the byte written", "address", "what happened");
    page.line(&page.bold(&head));
    for (index, attempt) in lesson.attempts.iter().enumerate() {
        let what = format!("{:>3}  {:<37}{:<16}", index + 1, attempt.what, format!("{:#x}", attempt.target));
        page.line(&(what + &short(attempt, page)));
    }
    picture(lesson, page);
    page.heading("Why");
    for (index, attempt) in lesson.attempts.iter().enumerate() {
        page.folded(&format!("{:>3}  ", index + 1), &why(attempt, lesson));
    }
    page.paragraph(&format!(
        "What to remember: the hardware guards pages of {} bytes, not blocks. An access that is wrong by a \
         little hits a neighbour, and the program dies later, somewhere else, or never and computes \
         nonsense. Whoever wants to know at once asks a checker: the heap's own audit, valgrind, or \
         AddressSanitizer.",
        lesson.page
    ));
    page.next(&[
        ("cairn lesson memory-map", "which addresses are mapped, and to what"),
        ("cairn check --generate uniform,ops=500", "the audit after every single operation of a program"),
    ]);
}

fn short(attempt: &Attempt, page: &Page) -> String {
    match &attempt.outcome {
        Outcome::Written { audit: None } => page.good("nothing"),
        Outcome::Written { audit: Some(_) } => page.bad("nothing, heap broken"),
        Outcome::Signal { signal, reason, .. } => page.bad(&format!("{signal}, {reason}")),
    }
}

/// The heap of the attempt that met the end of the mapping.
fn picture(lesson: &BeyondTheEnd, page: &mut Page) {
    let Some(attempt) = lesson.attempts.iter().find(|attempt| attempt.name == "next-page") else { return };
    let Some(region) = &attempt.region else { return };
    let number = |name: &str| {
        lesson
            .attempts
            .iter()
            .position(|attempt| attempt.name == name)
            .map_or(0, |index| index + 1)
            .to_string()
    };
    page.gap();
    page.line(&format!(
        "  {:<52}{:>14}",
        format!("{:#x} {}", region.start, region.name),
        format!("{:#x}", region.end)
    ));
    page.line("  ├─ ... ─┬────────┬───────────────┬─┬────────┬─────────┬──────────┤");
    page.line("  │       │ header │ 100 bytes     │ │ header │ block 2 │ unused   │ no page");
    page.line("  └─ ... ─┴────────┴───────────────┴─┴────────┴─────────┴──────────┘");
    page.line(&format!(
        "                                  {} {} {}                  {}          {}",
        number("last-byte"),
        number("rounding"),
        number("next-header"),
        number("heap-end"),
        number("next-page")
    ));
}

fn why(attempt: &Attempt, lesson: &BeyondTheEnd) -> String {
    let block = attempt.block;
    match (attempt.name, &attempt.outcome) {
        ("last-byte", _) => format!(
            "The block begins at {block:#x}; byte {} of it is the last that belongs to the program.",
            lesson.asked - 1
        ),
        ("rounding", _) => format!(
            "Wrong, and without consequence: sizes are rounded up, and the block has {} bytes. On another \
             heap, or with another size, it would have been attempt 3.",
            attempt.usable
        ),
        ("next-header", Outcome::Written { audit: Some(found) }) => format!(
            "Nothing stops the program here either. But the next block's header lay there. The heap's audit \
             says: \"{found}\". A heap without checks would go on, and fail at some later free or malloc \
             that is itself quite right."
        ),
        ("heap-end", _) => format!(
            "The heap ends at {:#x}, but memory is mapped in pages of {} bytes, and the page has {} bytes \
             more. They are nobody's, so nobody complains; until the heap grows and they are somebody's.",
            attempt.heap_end,
            lesson.page,
            attempt.heap_end.next_multiple_of(lesson.page) - attempt.heap_end
        ),
        ("next-page", Outcome::Signal { signal, reason, address }) => format!(
            "The region ends at {:#x}, and nothing is mapped behind it. The processor finds no page for the \
             address and asks the kernel; the kernel sends {signal}. Its handler was told: address \
             {address:#x}, reason {reason} (no mapping at this address). {}",
            attempt.region.as_ref().map_or(0, |region| region.end),
            died(attempt)
        ),
        ("reserved", Outcome::Signal { signal, reason, address }) => format!(
            "This heap reserved address space with mmap and made only its beginning usable. Behind that \
             there is a mapping, with permissions {}: so {signal} again, at {address:#x}, but the reason \
             is {reason} (the mapping forbids it). {}",
            attempt.region_of_target.as_ref().map_or("none", |region| region.permissions.as_str()),
            died(attempt)
        ),
        (_, Outcome::Written { audit }) => format!(
            "The byte was written, so another mapping of this process begins there; {}.",
            audit.as_deref().unwrap_or("the heap's audit finds nothing wrong")
        ),
        (_, Outcome::Signal { signal, reason, address }) => {
            format!("The kernel sent {signal} for address {address:#x}: {reason}. {}", died(attempt))
        }
    }
}

fn died(attempt: &Attempt) -> String {
    match attempt.died_of {
        Some(signal) => {
            format!("The child died of signal {signal}; a shell would show exit status {}.", 128 + signal)
        }
        None => "The child lived on.".to_owned(),
    }
}
