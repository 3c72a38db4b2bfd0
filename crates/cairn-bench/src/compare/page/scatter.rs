//! Time against memory: one labelled point for each allocator, both axes logarithmic.
//!
//! Labels would lie on each other where the points are close, which is where the eye looks. Each takes the free place
//! nearest to its point, out of a ring of candidates; a thin line leads to it if it is far.

use maud::{Markup, html};

use crate::compare::peers::{GLIBC, Peer};
use crate::compare::ratios::{Over, Unit, median, ratio};
use crate::compare::results::{Quantity, Results};
use crate::statistics::geometric_mean;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;

struct Point<'a> {
    name: &'a str,
    time: f64,
    memory: f64,
    loads: usize,
}

/// Draws the group; none if fewer than two allocators have a point.
pub fn scatter(results: &Results, over: Over, quantity: Quantity) -> Option<Markup> {
    let points = points(results, over, quantity);
    if points.len() < 2 {
        return None;
    }
    let across = Axis::new(points.iter().map(|point| point.time), LEFT, WIDTH - RIGHT);
    let up = Axis::new(points.iter().map(|point| point.memory), HEIGHT - BOTTOM, TOP);
    let places: Vec<(f64, f64)> =
        points.iter().map(|point| (across.at(point.time), up.at(point.memory))).collect();
    let labels = labels(&points, &places);
    Some(html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" {
            @for value in across.ticks() {
                @let x = round(across.at(value));
                line class=(grid(value)) x1=(x) y1=(TOP) x2=(x) y2=(HEIGHT - BOTTOM) {}
                text.axis x=(x) y=(HEIGHT - BOTTOM + 15.0) text-anchor="middle" { (tick(value)) }
            }
            @for value in up.ticks() {
                @let y = round(up.at(value));
                line class=(grid(value)) x1=(LEFT) y1=(y) x2=(WIDTH - RIGHT) y2=(y) {}
                text.axis x=(LEFT - 6.0) y=(y + 4.0) text-anchor="end" { (tick(value)) }
            }
            text.axis x=(WIDTH - RIGHT) y=(HEIGHT - 6.0) text-anchor="end" { (quantity.in_words()) " of glibc's →" }
            text.axis x=(LEFT - 40.0) y=(HEIGHT - 6.0) { "↑ peak RSS of glibc's" }
            @for ((point, &(x, y)), label) in points.iter().zip(&places).zip(&labels) {
                @if label.far {
                    line.link x1=(round(x)) y1=(round(y)) x2=(round(label.x + label.width / 2.0)) y2=(round(label.y - 4.0)) {}
                }
                circle class=(class(point.name)) cx=(round(x)) cy=(round(y)) r=(if Peer::is_ours(point.name) { 6.5 } else { 5.0 }) {
                    title {
                        (point.name) ": " (format!("{:.3}", point.time)) " of glibc's " (quantity.in_words()) ", "
                        (format!("{:.3}", point.memory)) " of its peak RSS, over " (point.loads) " loads"
                    }
                }
                text class=[Peer::is_ours(point.name).then_some("ours")] x=(round(label.x)) y=(round(label.y)) { (point.name) }
            }
        }
    })
}

fn class(name: &str) -> &'static str {
    if Peer::is_ours(name) { "ours" } else { "best" }
}

fn grid(value: f64) -> &'static str {
    if value == 1.0 { "one" } else { "grid" }
}

fn tick(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.0}")
    }
}

/// A tenth of a unit is as good as the eye, and keeps the page small.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn points(results: &Results, over: Over, quantity: Quantity) -> Vec<Point<'_>> {
    let unit = Unit::Allocator(GLIBC);
    let any_large = results.loads.iter().any(|load| over.includes(load) && Over::LargeMemory.includes(load));
    let ratios = |name: &str, quantity: Quantity, large_only: bool| -> Vec<f64> {
        let loads = results.loads.iter().filter(|load| over.includes(load));
        let loads = loads.filter(|load| !large_only || Over::LargeMemory.includes(load));
        loads
            .filter(|load| median(load, GLIBC, quantity).is_some())
            .filter_map(|load| ratio(load, name, quantity, unit))
            .collect()
    };
    results
        .allocators()
        .into_iter()
        .filter_map(|name| {
            let times = ratios(name, quantity, false);
            let memory = geometric_mean(&ratios(name, Quantity::PeakRss, any_large))?;
            Some(Point { name, time: geometric_mean(&times)?, memory, loads: times.len() })
        })
        .collect()
}

/// A logarithmic axis between two places on the page.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// One that shows all values, the one of glibc, and a margin.
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let (low, high) =
            values.fold((1.0f64, 1.0f64), |(low, high), value| (low.min(value), high.max(value)));
        Axis { low: low / 1.08, high: high * 1.08, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + share * (self.to - self.from)
    }

    /// Round numbers, not too many.
    fn ticks(&self) -> Vec<f64> {
        const FINE: [f64; 21] = [
            0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 2.0, 2.5, 3.0,
            4.0, 5.0,
        ];
        const COARSE: [f64; 12] = [0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0];
        const DECADES: [f64; 9] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
        let inside = |ticks: &[f64]| -> Vec<f64> {
            ticks.iter().copied().filter(|&tick| tick >= self.low && tick <= self.high).collect()
        };
        match self.high / self.low {
            range if range < 4.0 => inside(&FINE),
            range if range < 20.0 => inside(&COARSE),
            _ => inside(&DECADES),
        }
    }
}

/// Where a name is written.
struct Label {
    x: f64,
    y: f64,
    width: f64,
    /// Whether a line has to lead to it.
    far: bool,
}

impl Label {
    fn overlaps(&self, left: f64, top: f64, right: f64, bottom: f64) -> bool {
        self.x < right && self.x + self.width > left && self.y - 11.0 < bottom && self.y + 2.0 > top
    }
}

fn labels(points: &[Point], places: &[(f64, f64)]) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    for (point, &(x, y)) in points.iter().zip(places) {
        let width = 6.4 * point.name.chars().count() as f64;
        let free = |label: &Label| {
            let inside =
                label.x >= LEFT && label.x + width <= WIDTH && label.y >= 12.0 && label.y <= HEIGHT - BOTTOM;
            let on_point = |&(x, y): &(f64, f64)| label.overlaps(x - 5.0, y - 5.0, x + 5.0, y + 5.0);
            let on_label = |other: &Label| {
                label.overlaps(other.x - 2.0, other.y - 11.0, other.x + other.width + 2.0, other.y + 2.0)
            };
            inside && !places.iter().any(on_point) && !labels.iter().any(on_label)
        };
        let candidates = || {
            [0.0, 14.0, 28.0, 42.0, 56.0, 70.0].into_iter().flat_map(move |away| {
                let right = x + 9.0 + away / 2.0;
                let left = x - 9.0 - away / 2.0 - width;
                let middle = x - width / 2.0;
                let place = move |x: f64, y: f64| Label { x, y, width, far: away > 0.0 };
                [
                    place(right, y + 4.0),
                    place(left, y + 4.0),
                    place(right, y + 4.0 - away),
                    place(right, y + 4.0 + away),
                    place(left, y + 4.0 - away),
                    place(left, y + 4.0 + away),
                    place(middle, y - 10.0 - away),
                    place(middle, y + 18.0 + away),
                ]
            })
        };
        let label = candidates().find(free).or_else(|| candidates().next());
        labels.extend(label);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &str) -> Point<'_> {
        Point { name, time: 1.0, memory: 1.0, loads: 1 }
    }

    #[test]
    fn labels_of_close_points_do_not_lie_on_each_other() {
        let names = ["cairn", "mimalloc3", "jemalloc", "snmalloc", "rpmalloc", "tcmalloc"];
        let points: Vec<Point> = names.iter().map(|name| point(name)).collect();
        let places: Vec<(f64, f64)> = (0..names.len()).map(|at| (250.0 + 3.0 * at as f64, 160.0)).collect();
        let labels = labels(&points, &places);
        for (at, label) in labels.iter().enumerate() {
            for other in &labels[at + 1..] {
                assert!(!label.overlaps(other.x, other.y - 11.0, other.x + other.width, other.y + 2.0));
            }
        }
    }

    #[test]
    fn an_axis_shows_the_reference_and_round_numbers() {
        let axis = Axis::new([0.7, 0.9].into_iter(), 0.0, 100.0);
        assert!(axis.low < 0.7 && axis.high > 1.0);
        assert_eq!(axis.ticks(), [0.7, 0.8, 0.9, 1.0]);
        assert!(axis.at(0.7) < axis.at(1.0) && axis.at(1.0) < 100.0);
    }
}
