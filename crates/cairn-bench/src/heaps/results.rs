//! What is kept of a session, and the means over its traces.

use serde::Serialize;

use super::replay::Stop;
use crate::statistics::{Summary, geometric_mean};

/// A session.
#[derive(Serialize)]
pub struct Results {
    /// The machine.
    pub machine: String,
    /// The alignment of all blocks.
    pub align: usize,
    /// Rounds of timing.
    pub rounds: usize,
    /// The heaps, in the order of each row's cells.
    pub heaps: Vec<HeapName>,
    /// One for each trace.
    pub rows: Vec<Row>,
}

/// Which heap.
#[derive(Clone, Serialize)]
pub struct HeapName {
    /// Its name.
    pub name: String,
    /// Its version.
    pub what: String,
    /// Whether it is one of Cairn's.
    pub ours: bool,
}

/// One trace.
#[derive(Serialize)]
pub struct Row {
    /// Its name.
    pub trace: String,
    /// Its operations.
    pub steps: usize,
    /// The greatest sum of live payload, in bytes.
    pub payload: usize,
    /// What perfect placement of blocks with a header of one word would need.
    pub bound: usize,
    /// One for each heap.
    pub cells: Vec<Figures>,
}

/// One heap on one trace. Extents are in bytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Given all of a very large arena: up to the highest byte handed out.
    pub whole: Option<usize>,
    /// Given memory in small steps: the same.
    pub growing: Option<usize>,
    /// The smallest arena that is enough, everything included that the heap keeps in it.
    pub smallest: Option<usize>,
    /// Nanoseconds for an operation, by round.
    pub ns: Vec<f64>,
    /// Whether only the first part was timed, because the whole takes too long.
    pub cut: bool,
    /// Why there is no figure.
    #[serde(skip)]
    pub failed: Option<Stop>,
}

impl Figures {
    /// The least extent of all ways.
    pub fn extent(&self) -> Option<usize> {
        [self.whole, self.growing, self.smallest].into_iter().flatten().min()
    }
}

impl Row {
    /// Greatest live payload over extent.
    pub fn utilisation(&self, extent: Option<usize>) -> Option<f64> {
        extent.map(|extent| self.payload as f64 / extent as f64)
    }
}

/// The means of one heap over all traces that all of its columns have.
#[derive(Clone, Debug, Serialize)]
pub struct Means {
    /// Of the best way.
    pub utilisation: Option<f64>,
    /// Of an arena given whole, given in steps, and the smallest.
    pub by_way: [Option<f64>; 3],
    /// Arithmetic mean over traces of the least time.
    pub ns_min: Option<f64>,
    /// The same of the median.
    pub ns_median: Option<f64>,
    /// Geometric mean over traces of the median.
    pub ns_geometric: Option<f64>,
    /// Traces that were replayed to the end.
    pub traces: usize,
    /// Traces that were timed only in part.
    pub cut: usize,
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

impl Results {
    /// The means of each heap.
    pub fn means(&self) -> Vec<Means> {
        (0..self.heaps.len()).map(|heap| self.means_of(heap)).collect()
    }

    /// A mean needs a figure from each trace; a heap that failed on one has none.
    fn means_of(&self, heap: usize) -> Means {
        let cells = || self.rows.iter().map(move |row| (row, &row.cells[heap]));
        let of =
            |way: fn(&Figures) -> Option<usize>| mean(cells().map(|(row, cell)| row.utilisation(way(cell))));
        let summaries: Vec<Option<Summary>> = cells().map(|(_, cell)| Summary::of(&cell.ns)).collect();
        let medians: Option<Vec<f64>> = summaries.iter().map(|s| s.map(|s| s.median)).collect();
        Means {
            utilisation: of(Figures::extent),
            by_way: [of(|cell| cell.whole), of(|cell| cell.growing), of(|cell| cell.smallest)],
            ns_min: mean(summaries.iter().map(|s| s.map(|s| s.min))),
            ns_median: mean(summaries.iter().map(|s| s.map(|s| s.median))),
            ns_geometric: medians.and_then(|medians| geometric_mean(&medians)),
            traces: cells().filter(|(_, cell)| cell.extent().is_some()).count(),
            cut: cells().filter(|(_, cell)| cell.cut).count(),
        }
    }

    /// The mean of the bound.
    pub fn bound(&self) -> Option<f64> {
        mean(self.rows.iter().map(|row| row.utilisation(Some(row.bound))))
    }

    /// Sentences: who is best, who comes near, and who is the fastest of those.
    pub fn verdict(&self) -> Vec<String> {
        let means = self.means();
        let mut ranked: Vec<(usize, f64, f64)> = means
            .iter()
            .enumerate()
            .filter_map(|(heap, mean)| Some((heap, mean.utilisation?, mean.ns_median?)))
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        let Some(&(best, top, _)) = ranked.first() else { return Vec::new() };
        let name = |heap: usize| &self.heaps[heap].name;
        let near: Vec<_> = ranked.iter().filter(|(_, utilisation, _)| *utilisation >= 0.97 * top).collect();
        let fastest = near.iter().min_by(|a, b| a.2.total_cmp(&b.2)).expect("the best is near itself");
        let mut lines = vec![format!(
            "Best mean utilisation: {} with {:.2} %. Within 3 % of it: {}. The fastest of these: {} with {:.2} ns/operation.",
            name(best),
            100.0 * top,
            near.iter()
                .map(|(heap, utilisation, _)| format!("{} ({:.2} %)", name(*heap), 100.0 * utilisation))
                .collect::<Vec<_>>()
                .join(", "),
            name(fastest.0),
            fastest.2
        )];
        for (title, ours) in [("Fastest of Cairn's", true), ("Fastest peer", false)] {
            let of_side = ranked.iter().filter(|(heap, ..)| self.heaps[*heap].ours == ours);
            if let Some((heap, utilisation, ns)) = of_side.min_by(|a, b| a.2.total_cmp(&b.2)) {
                let name = name(*heap);
                lines.push(format!(
                    "{title}: {name} with {ns:.2} ns/operation, utilisation {:.2} %.",
                    100.0 * utilisation
                ));
            }
        }
        lines
    }
}
