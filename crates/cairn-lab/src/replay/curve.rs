//! A heap over time, in as many points as a picture needs.

/// The greatest values of some consecutive requests, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Payload of all live blocks.
    pub live: usize,
    /// What the heap had taken from its source.
    pub extent: usize,
}

/// A heap over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    /// How many requests a point stands for.
    pub every: usize,
    /// The points.
    pub points: Vec<Point>,
    seen: usize,
}

impl Curve {
    /// A picture isn't wider than this.
    const POINTS: usize = 1200;

    /// A curve for so many requests.
    pub(super) fn new(ops: usize) -> Curve {
        Curve { every: ops.div_ceil(Curve::POINTS).max(1), points: Vec::new(), seen: 0 }
    }

    /// Takes note of a request.
    pub(super) fn push(&mut self, point: Point) {
        if self.seen.is_multiple_of(self.every) {
            self.points.push(point);
        } else if let Some(last) = self.points.last_mut() {
            *last = Point { live: last.live.max(point.live), extent: last.extent.max(point.extent) };
        }
        self.seen += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_peak_is_lost() {
        let mut curve = Curve::new(10_000);
        for at in 0..10_000usize {
            curve.push(Point { live: if at == 4321 { 99 } else { 1 }, extent: at });
        }
        assert!(curve.points.len() <= Curve::POINTS);
        assert_eq!(curve.points.len(), 10_000usize.div_ceil(curve.every));
        assert_eq!(curve.points[4321 / curve.every].live, 99);
        assert_eq!(curve.points.last().map(|point| point.extent), Some(9_999));
    }
}
