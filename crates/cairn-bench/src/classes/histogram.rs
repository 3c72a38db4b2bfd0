//! A recorded histogram: how many blocks of each requested size were live at a program's peak (c/sizes.c writes it).

use anyhow::{Context, ensure};

use super::scheme::{SMALL_MAX, Scheme};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Requested size in bytes and live blocks, sorted by size.
    lines: Vec<(usize, usize)>,
}

/// What a scheme costs one program, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What the program asked for.
    pub requested: usize,
    /// Bytes in blocks that it did not ask for.
    pub rounding: usize,
    /// Classes that it uses.
    pub classes: usize,
    /// What partly filled pages and bins of these classes hold, estimated.
    pub overhead: usize,
}

impl Cost {
    /// Rounding as a part of what was asked for.
    pub fn waste(&self) -> f64 {
        self.rounding as f64 / self.requested.max(1) as f64
    }

    /// Rounding and overhead together, as such a part.
    pub fn total(&self) -> f64 {
        (self.rounding + self.overhead) as f64 / self.requested.max(1) as f64
    }
}

/// A class in use has on average one page that is partly filled,
const PAGE_BYTES: usize = 4096;
/// and a bin with this many free blocks, half of a batch,
const BIN_BLOCKS: usize = 32;
/// but at most this many bytes, and at most as many blocks as the program holds: a bin of a class that is hardly used
/// doesn't grow.
const BIN_BYTES: usize = 8192;

impl Histogram {
    /// Reads lines `size count`; lines that begin with `#` say what the rest is.
    pub fn parse(text: &str) -> anyhow::Result<Histogram> {
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            let pair = line
                .split_once(' ')
                .and_then(|(size, count)| Some((size.parse().ok()?, count.parse().ok()?)));
            let (size, count): (usize, usize) =
                pair.with_context(|| format!("line {number}: expected `size count`, found {line:?}"))?;
            ensure!(size <= SMALL_MAX, "line {number}: {size} bytes is no small block");
            lines.push((size, count));
        }
        ensure!(!lines.is_empty(), "it holds no line `size count`");
        lines.sort_unstable();
        Ok(Histogram { lines })
    }

    /// What `scheme` costs this program.
    pub fn cost(&self, scheme: Scheme) -> Cost {
        let mut cost = Cost { requested: 0, rounding: 0, classes: 0, overhead: 0 };
        for class in self.lines.chunk_by(|a, b| scheme.block(a.0) == scheme.block(b.0)) {
            let block = scheme.block(class[0].0);
            let blocks: usize = class.iter().map(|(_, count)| count).sum();
            let requested: usize = class.iter().map(|(size, count)| size * count).sum();
            cost.requested += requested;
            cost.rounding += blocks * block - requested;
            cost.classes += 1;
            cost.overhead += PAGE_BYTES + (BIN_BLOCKS.min(blocks) * block).min(BIN_BYTES);
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_counted_as_by_hand() {
        let histogram = Histogram::parse("# a program\n24 100\n20 10\n130 4\n").unwrap();
        let at_8 = histogram.cost(Scheme { step: 8, spacing_log2: 3 });
        let bins = 32 * 24 + 4 * 144;
        assert_eq!(at_8, Cost { requested: 3120, rounding: 40 + 56, classes: 2, overhead: 8192 + bins });
        let at_16 = histogram.cost(Scheme { step: 16, spacing_log2: 2 });
        assert_eq!((at_16.rounding, at_16.classes), (800 + 120 + 120, 2));
        assert!((at_16.waste() - 1040.0 / 3120.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_histogram_is_named() {
        let error = |text| Histogram::parse(text).unwrap_err().to_string();
        assert!(error("24 100\n24,7\n").contains("line 2"));
        assert!(error("40000 1\n").contains("no small block"));
        assert!(error("# nothing\n").contains("no line"));
    }
}
