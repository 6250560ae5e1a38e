//! The losses as SVG, with the same ranges, ticks and points as the run's loss image.

use std::fmt::Display;

use super::RunReport;
use super::markup::Markup;
use crate::report::curves::Plot;

/// Units of the drawing; small, so that its letters stay large on a phone.
const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = WIDTH - 10.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = HEIGHT - 42.0;
/// Line height of the legend.
const LINE: f64 = 18.0;
/// Ticks of the epochs beyond which every second label is left out.
const MOST_LABELS: usize = 8;
/// Markers a curve bears at most.
const MOST_MARKERS: usize = 20;
const MARKER: f64 = 3.6;

/// Places of a run's lines among a plot's.
const RUNNING: usize = 0;
const TRAINING: usize = 1;
const VALIDATION: usize = 2;

type Points = [(f64, f64)];

fn pieces<'a>(plot: &'a Plot<'_>, line: usize) -> &'a [Vec<(f64, f64)>] {
    &plot.series[line].pieces
}

/// Of a line that the axes hold whole, so that it is one piece.
fn points<'a>(plot: &'a Plot<'_>, line: usize) -> &'a Points {
    pieces(plot, line).first().map_or(&[], Vec::as_slice)
}

/// The loss that a line ends at.
fn last(plot: &Plot<'_>, line: usize) -> Option<f64> {
    points(plot, line).last().map(|&(_, position)| value(plot, position))
}

pub(super) fn section(html: &mut Markup, report: &RunReport) {
    let plot = Plot::of(&report.curves);
    if plot.is_empty() {
        html.words("p", &[], "There is no loss to draw: the run ended before its first point.");
        return;
    }
    html.element("figure", &[("class", &"drawing")], |html| draw(html, &plot));
}

fn draw(html: &mut Markup, plot: &Plot<'_>) {
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    let attributes: [(&str, &dyn Display); 3] =
        [("viewBox", &view), ("role", &"img"), ("aria-labelledby", &"loss-name loss-words")];
    html.element("svg", &attributes, |svg| {
        svg.words("title", &[("id", &"loss-name")], plot.title);
        svg.words("desc", &[("id", &"loss-words")], describe(plot));
        axes(svg, plot);
        for piece in pieces(plot, RUNNING) {
            line(svg, plot, piece, "running");
        }
        line(svg, plot, points(plot, TRAINING), "training");
        line(svg, plot, points(plot, VALIDATION), "validation");
        markers(svg, plot);
        legend(svg, plot);
    });
}

/// The drawing in a sentence, for those who cannot see it.
fn describe(plot: &Plot<'_>) -> String {
    let mut text = format!("{} over the epochs", plot.loss);
    let ends: Vec<String> = pieces(plot, RUNNING)
        .first()
        .and_then(|piece| piece.first())
        .map(|&(_, start)| format!("training starts at {}", number(value(plot, start))))
        .into_iter()
        .chain(last(plot, TRAINING).map(|loss| format!("training ends at {}", number(loss))))
        .chain(last(plot, VALIDATION).map(|loss| format!("validation ends at {}", number(loss))))
        .collect();
    if !ends.is_empty() {
        text += ": ";
        text += &ends.join(", ");
    }
    if plot.left_out > 0 {
        text.push_str("; left out as not finite: ");
        text.push_str(&plot.left_out.to_string());
    }
    text
}

fn value(plot: &Plot<'_>, position: f64) -> f64 {
    if plot.y.is_log() { 10_f64.powf(position) } else { position }
}

fn number(loss: f64) -> String {
    format!("{loss:.4}")
}

fn across(plot: &Plot<'_>, position: f64) -> f64 {
    LEFT + f64::from(plot.x.share(position)) * (RIGHT - LEFT)
}

fn down(plot: &Plot<'_>, position: f64) -> f64 {
    BOTTOM - f64::from(plot.y.share(position)) * (BOTTOM - TOP)
}

fn axes(svg: &mut Markup, plot: &Plot<'_>) {
    for &tick in &plot.y.ticks {
        let y = round(down(plot, tick));
        rule(svg, [LEFT, y, RIGHT, y], "rule");
        words(svg, (LEFT - 6.0, y + 4.0), "end", "tick", plot.y.label(tick));
    }
    let every = plot.x.ticks.len().div_ceil(MOST_LABELS).max(1);
    for &tick in plot.x.ticks.iter().step_by(every) {
        let x = round(across(plot, tick));
        rule(svg, [x, BOTTOM, x, BOTTOM + 4.0], "axis");
        words(svg, (x, BOTTOM + 17.0), "middle", "tick", plot.x.label(tick));
    }
    rule(svg, [LEFT, BOTTOM, RIGHT, BOTTOM], "axis");
    words(svg, (f64::midpoint(LEFT, RIGHT), HEIGHT - 6.0), "middle", "name", "epochs");
    let scale = if plot.y.is_log() { " (log scale)" } else { "" };
    let turn = format!("translate(12 {}) rotate(-90)", f64::midpoint(TOP, BOTTOM));
    let attributes: [(&str, &dyn Display); 3] =
        [("transform", &turn), ("text-anchor", &"middle"), ("class", &"name")];
    svg.words("text", &attributes, format_args!("{}{scale}", plot.loss));
}

fn rule(svg: &mut Markup, [x1, y1, x2, y2]: [f64; 4], class: &str) {
    svg.empty("line", &[("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2), ("class", &class)]);
}

fn words(svg: &mut Markup, (x, y): (f64, f64), anchor: &str, class: &str, text: impl Display) {
    let attributes: [(&str, &dyn Display); 4] =
        [("x", &x), ("y", &y), ("text-anchor", &anchor), ("class", &class)];
    svg.words("text", &attributes, text);
}

fn line(svg: &mut Markup, plot: &Plot<'_>, points: &Points, class: &str) {
    let at = |&(x, y): &(f64, f64)| format!("{} {}", round(across(plot, x)), round(down(plot, y)));
    let places: Vec<String> = points.iter().map(at).collect();
    // A single point has no line; its marker, or a dot of the line's width, shows it.
    let path = match places.as_slice() {
        [] => return,
        [only] => format!("M{only}h0"),
        several => format!("M{}", several.join("L")),
    };
    svg.empty("path", &[("d", &path), ("class", &class)]);
}

/// Told apart by shape as well as by colour.
fn markers(svg: &mut Markup, plot: &Plot<'_>) {
    for &(x, y) in marked(points(plot, TRAINING)) {
        let (x, y) = (round(across(plot, x)), round(down(plot, y)));
        svg.empty("circle", &[("cx", &x), ("cy", &y), ("r", &MARKER), ("class", &"training")]);
    }
    for &(x, y) in marked(points(plot, VALIDATION)) {
        diamond(svg, (across(plot, x), down(plot, y)));
    }
}

fn marked(points: &Points) -> impl Iterator<Item = &(f64, f64)> {
    let every = points.len().div_ceil(MOST_MARKERS).max(1);
    points.iter().rev().step_by(every)
}

fn diamond(svg: &mut Markup, (x, y): (f64, f64)) {
    let reach = MARKER + 1.0;
    let path = format!(
        "M{} {}l{reach} {reach}l-{reach} {reach}l-{reach} -{reach}z",
        round(x),
        round(y - reach)
    );
    svg.empty("path", &[("d", &path), ("class", &"validation filled")]);
}

/// Two lines above the plot.
fn legend(svg: &mut Markup, plot: &Plot<'_>) {
    let (training, class) = match last(plot, TRAINING) {
        Some(loss) => (format!("training, at last {}", number(loss)), "training"),
        None => ("training, within the epochs".to_owned(), "running"),
    };
    let first = LINE / 2.0 + 2.0;
    rule(svg, [LEFT, first, LEFT + 24.0, first], class);
    if last(plot, TRAINING).is_some() {
        svg.empty(
            "circle",
            &[("cx", &(LEFT + 12.0)), ("cy", &first), ("r", &MARKER), ("class", &"training")],
        );
    }
    words(svg, (LEFT + 32.0, first + 4.0), "start", "entry", training);
    if let Some(loss) = last(plot, VALIDATION) {
        let second = first + LINE;
        rule(svg, [LEFT, second, LEFT + 24.0, second], "validation");
        diamond(svg, (LEFT + 12.0, second));
        let text = format!("validation, at last {}", number(loss));
        words(svg, (LEFT + 32.0, second + 4.0), "start", "entry", text);
    }
}

/// A tenth of a unit is finer than any screen.
fn round(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}
