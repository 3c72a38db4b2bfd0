//! Live payload and heap extent over time, with a cursor at the moment.

use super::pen::{Pen, short};
use super::{LEFT, RIGHT};
use crate::history::{Point, Still, count};

const HEIGHT: f64 = 92.0;
/// Points drawn at most: each the greatest of the moments that share it.
const POINTS: usize = 1000;

/// Draws the curves; returns where they end.
pub fn draw(pen: &mut Pen, still: &Still, top: f64, most: usize) -> f64 {
    let bottom = top + HEIGHT;
    let last = still.curve.len().saturating_sub(1).max(1);
    let x = |moment: usize| LEFT + (RIGHT - LEFT) * moment as f64 / last as f64;
    let y = |value: usize| bottom - (HEIGHT - 8.0) * value as f64 / most.max(1) as f64;
    for part in [most, most / 2, 0] {
        pen.line((LEFT, y(part)), (RIGHT, y(part)), "rule");
        pen.text((LEFT - 12.0, y(part) + 4.0), "tiny", "end", &count(part));
    }
    let curve = |pick: fn(&Point) -> usize| -> String {
        let chunk = still.curve.len().div_ceil(POINTS).max(1);
        let points = still.curve.chunks(chunk).enumerate().map(|(number, points)| {
            let value = points.iter().map(pick).max().unwrap_or(0);
            format!("{} {}", short(x((number * chunk).min(last))), short(y(value)))
        });
        points.collect::<Vec<_>>().join("L")
    };
    let (live, extent) = (curve(|point| point.live), curve(|point| point.extent));
    if !live.is_empty() {
        pen.path(&format!("M{} {}L{live}V{}z", short(x(0)), short(bottom), short(bottom)), "area");
        pen.path(&format!("M{live}"), "live");
        pen.path(&format!("M{extent}"), "extent");
    }
    let now = x(still.at);
    pen.line((now, top), (now, bottom), "cursor");
    pen.text((LEFT, bottom + 16.0), "tiny", "start", "bytes over time");
    pen.text((RIGHT, bottom + 16.0), "tiny", "end", &format!("{} operations", count(last)));
    let middle = (LEFT + RIGHT) / 2.0;
    pen.line((middle - 150.0, bottom + 13.0), (middle - 130.0, bottom + 13.0), "extent");
    pen.text((middle - 124.0, bottom + 16.5), "tiny", "start", "heap extent");
    pen.line((middle - 40.0, bottom + 13.0), (middle - 20.0, bottom + 13.0), "live");
    pen.text((middle - 14.0, bottom + 16.5), "tiny", "start", "live payload");
    pen.line((middle + 70.0, bottom + 13.0), (middle + 90.0, bottom + 13.0), "cursor");
    pen.text((middle + 96.0, bottom + 16.5), "tiny", "start", "this moment");
    bottom + 24.0
}
