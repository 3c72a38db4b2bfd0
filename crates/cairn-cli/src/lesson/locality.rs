//! `cairn lesson locality`, laid out.

use cairn_lab::lesson::Locality;
use cairn_lab::lesson::locality::Touched;

use super::page::Page;
use crate::table::{Table, bytes, count};

/// Pages whose translation a common processor keeps at hand for loads (its first-level TLB).
const TLB: usize = 64;

/// Lays out the lesson.
pub fn show(lesson: &Locality, page: &mut Page) {
    page.paragraph(&format!(
        "A heap of {} has {} holes. A balanced tree, ordered by size, finds the tightest hole for a \
         request. Its nodes can lie inside the holes, which costs no memory, or in an array beside the \
         heap, {} bytes for each.",
        bytes(lesson.heap as u64),
        count(lesson.holes as u64),
        lesson.node,
    ));
    page.gap();
    page.line("in the holes   │ used │ hole ◦   │ used  │ hole ◦ │ used │ hole ◦     │");
    page.line("beside them    │ used │ hole     │ used  │ hole   │ used │ hole       │  ◦◦◦");
    page.paragraph(&format!(
        "The lesson filled such a heap, searched {} times and put a freed block into the tree {} times. \
         Every access to a node was noted: how many pages of {} bytes and cache lines of {} it touched. \
         Both trees are the same tree: {} levels, and {:.1} nodes looked at in a search.",
        count(lesson.tries as u64),
        count(lesson.tries as u64),
        count(lesson.page as u64),
        lesson.line,
        lesson.levels,
        lesson.looked_at_mean,
    ));
    let (inside, beside) = (&lesson.in_blocks, &lesson.beside);
    let mut table = Table::with_names(&["", "in the holes", "beside them", "ratio"]);
    let mean = |table: &mut Table, name: &str, value: fn(&Touched) -> f64, of: [&Touched; 2]| {
        let [left, right] = of.map(value);
        table.fact(name, &[format!("{left:.1}"), format!("{right:.1}"), format!("{:.1}", left / right)]);
    };
    let whole = |table: &mut Table, name: &str, [left, right]: [usize; 2]| {
        let ratio = format!("{:.1}", left as f64 / right as f64);
        table.fact(name, &[count(left as u64), count(right as u64), ratio]);
    };
    let (search, insert) = ([&inside.search, &beside.search], [&inside.insert, &beside.insert]);
    mean(&mut table, "pages in a search, mean", |touched| touched.pages_mean, search);
    whole(&mut table, "pages in a search, at most", search.map(|touched| touched.pages_max));
    mean(&mut table, "lines in a search, mean", |touched| touched.lines_mean, search);
    mean(&mut table, "pages in an insertion, mean", |touched| touched.pages_mean, insert);
    mean(&mut table, "lines in an insertion, mean", |touched| touched.lines_mean, insert);
    whole(&mut table, "pages in all searches together", search.map(|touched| touched.pages_in_all));
    whole(&mut table, "lines in all searches together", search.map(|touched| touched.lines_in_all));
    whole(&mut table, "pages of the whole tree", [inside.pages, beside.pages]);
    page.table(&table);
    page.paragraph(&format!(
        "A search goes down one path, and in the holes nearly every node of the path is on another page: \
         nodes that are near in the tree are anywhere in the heap. All searches together touched {} \
         pages in the holes and {} beside them. A processor keeps some {TLB} translations of pages at \
         hand: {}",
        count(inside.search.pages_in_all as u64),
        beside.search.pages_in_all,
        if beside.search.pages_in_all <= TLB {
            "the array fits into them, the holes don't."
        } else {
            "neither tree fits into them."
        },
    ));
    page.paragraph(
        "Why keep a tree in the holes then? It needs no memory of its own, so it works where there is no \
         other memory: cairn-heap does it. The process allocator, cairn-alloc, keeps the same tree in \
         descriptors beside its pages; so a page that was given back to the kernel need not be fetched \
         again only to read a node.",
    );
    page.next(&[
        (
            "cairn replay --generate compiler,ops=20000 -p best-fit-tree,two-level",
            "search lengths, pages touched",
        ),
        ("cairn lesson memory-map", "where such pages lie in a process"),
    ]);
}
