//! The plot of a replay: live bytes and heap extent over time, a panel for each trace.
//!
//! The payload that is live is an area; each heap's extent is a line above it. What lies between them is what the heap
//! wastes; the dashed line is what perfect reuse would need at the peak.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Outcome, Report};
use crate::policies::POLICIES;

/// Colours of the heaps' lines, told apart by people who see few colours as well; further heaps begin anew.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0x80, 0x80, 0x80),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0x11, 0x11, 0x11),
    RGBColor(0x56, 0xb4, 0xe9),
];
const AREA: RGBColor = RGBColor(0xdd, 0xd6, 0xc8);
const EDGE: RGBColor = RGBColor(0xa8, 0x9c, 0x86);
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const PALE: RGBColor = RGBColor(0xe8, 0xe8, 0xe8);

/// A panel's size, and the legend's rows, in units of the SVG.
const PANEL: (u32, u32) = (720, 380);
const LEGEND_ROW: u32 = 24;
/// The room that a legend's entry takes.
const LEGEND_ENTRY: i32 = 172;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the curves of these reports as an SVG.
///
/// # Errors
/// If there is nothing to draw, or the library can't.
pub fn svg(reports: &[Report]) -> Result<String, String> {
    let shown: Vec<&Report> = reports.iter().filter(|report| !report.results.is_empty()).collect();
    if shown.is_empty() {
        return Err("there is nothing to draw: no heap got through".into());
    }
    let columns = if shown.len() > 1 { 2 } else { 1 };
    let rows = shown.len().div_ceil(columns);
    let names = heaps(&shown);
    let width = PANEL.0 * columns as u32;
    let per_row = (width as i32 - 20) / LEGEND_ENTRY;
    let legend = LEGEND_ROW * (names.len() as u32 + 2).div_ceil(per_row as u32) + 16;
    let panels = PANEL.1 * rows as u32;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (width, panels + legend)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let (top, bottom) = root.split_vertically(panels);
        for (panel, report) in top.split_evenly((rows, columns)).iter().zip(&shown) {
            draw(panel, report, &names)?;
        }
        explain(&bottom, &names, per_row)?;
        root.present().map_err(failed)?;
    }
    Ok(text)
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("the plot can't be drawn: {error}")
}

/// The heaps that occur, in order.
fn heaps(reports: &[&Report]) -> Vec<String> {
    let mut names = Vec::new();
    for outcome in reports.iter().flat_map(|report| &report.results) {
        let name = name(outcome);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn name(outcome: &Outcome) -> String {
    match outcome.config {
        "standard" => outcome.policy.to_owned(),
        config => format!("{} ({config})", outcome.policy),
    }
}

/// The colour of a heap's line: a policy has the same one in each plot, unless it is there in several configurations.
fn colour(names: &[String], name: &str) -> RGBColor {
    let alone = names.iter().all(|name| POLICIES.iter().any(|policy| policy.name == name));
    let index = if alone {
        POLICIES.iter().position(|policy| policy.name == name)
    } else {
        names.iter().position(|known| known == name)
    };
    COLOURS[index.unwrap_or(0) % COLOURS.len()]
}

fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn draw(panel: &Area<'_>, report: &Report, names: &[String]) -> Result<(), String> {
    let ops = report.operations.max(1);
    let highest = report.results.iter().map(|outcome| outcome.heap_bytes).max().unwrap_or(0).max(1) as f64;
    let (unit, word) = unit(highest);
    let best = report.results.iter().max_by(|a, b| a.utilisation.total_cmp(&b.utilisation));
    let title = match best {
        Some(best) => {
            format!(
                "{}: at best {:.1} % utilisation ({})",
                report.trace,
                100.0 * best.utilisation,
                name(best)
            )
        }
        None => report.trace.clone(),
    };
    let mut chart = ChartBuilder::on(panel)
        .margin(14)
        .margin_right(34)
        .caption(title, font(18))
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..ops as f64, 0.0..highest / unit * 1.06)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(PALE)
        .axis_style(EDGE)
        .x_labels(7)
        .y_labels(6)
        .x_desc("operations")
        .y_desc(word)
        .y_label_formatter(&|value| short(*value))
        .x_label_formatter(&|value| grouped(*value))
        .label_style(font(13))
        .axis_desc_style(font(13))
        .draw()
        .map_err(failed)?;
    if let Some(first) = report.results.first() {
        let live = points(first, ops, unit, |point| point.live);
        chart.draw_series(AreaSeries::new(live, 0.0, AREA).border_style(EDGE)).map_err(failed)?;
    }
    if let Some(of) = report.bounds.first() {
        let height = of.bounds.perfect_reuse as f64 / unit;
        let line = [(0.0, height), (ops as f64, height)];
        chart.draw_series(DashedLineSeries::new(line, 5, 4, INK.into())).map_err(failed)?;
    }
    for outcome in &report.results {
        let line = points(outcome, ops, unit, |point| point.extent);
        chart
            .draw_series(LineSeries::new(line, colour(names, &name(outcome)).stroke_width(2)))
            .map_err(failed)?;
    }
    Ok(())
}

/// A curve's points: where each bucket of requests ends.
fn points(
    outcome: &Outcome,
    ops: usize,
    unit: f64,
    height: fn(&super::Point) -> usize,
) -> impl Iterator<Item = (f64, f64)> {
    let every = outcome.curve.every;
    let of = move |(index, point): (usize, &super::Point)| {
        (((index + 1) * every).min(ops) as f64, height(point) as f64 / unit)
    };
    std::iter::once((0.0, 0.0)).chain(outcome.curve.points.iter().enumerate().map(of))
}

/// The unit for so many bytes.
fn unit(bytes: f64) -> (f64, &'static str) {
    [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(unit, _)| bytes >= 2.0 * *unit as f64)
        .map_or((1.0, "bytes"), |(unit, word)| (unit as f64, word))
}

/// A whole number in groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b',')).into_owned()
}

/// A figure with one decimal, if it needs one.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// The legend.
fn explain(area: &Area<'_>, names: &[String], per_row: i32) -> Result<(), String> {
    let style = font(14).pos(Pos::new(HPos::Left, VPos::Center));
    let place = |index: usize| {
        let (row, column) = (index as i32 / per_row, index as i32 % per_row);
        (24 + column * LEGEND_ENTRY, 12 + row * LEGEND_ROW as i32)
    };
    let word = |(x, y): (i32, i32), text: &str| {
        area.draw(&Text::new(text.to_owned(), (x + 36, y), style.clone())).map_err(failed)
    };
    let line = |(x, y): (i32, i32), style: ShapeStyle| {
        area.draw(&PathElement::new(vec![(x, y), (x + 28, y)], style)).map_err(failed)
    };
    let (x, y) = place(0);
    area.draw(&Rectangle::new([(x, y - 6), (x + 28, y + 6)], AREA.filled())).map_err(failed)?;
    word((x, y), "live payload")?;
    let (x, y) = place(1);
    for dash in 0..3 {
        let from = x + 10 * dash;
        area.draw(&PathElement::new(vec![(from, y), (from + 6, y)], INK)).map_err(failed)?;
    }
    word((x, y), "perfect reuse")?;
    for (index, name) in names.iter().enumerate() {
        line(place(index + 2), colour(names, name).stroke_width(3))?;
        word(place(index + 2), name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_on_the_axes_are_readable() {
        assert_eq!(grouped(0.0), "0");
        assert_eq!(grouped(24_000.0), "24,000");
        assert_eq!((short(2.0), short(2.5)), ("2".into(), "2.5".into()));
        assert_eq!(unit(100.0).1, "bytes");
        assert_eq!(unit(1.5 * 1024.0 * 1024.0), (1024.0, "KiB"));
        assert_eq!(unit(3e9).1, "GiB");
    }
}
