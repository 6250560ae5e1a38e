//! Draws a settled loss chart: headline, legends, axes, grid lines and curves.
//! Which points, looks and ranges are shown was decided before, in `curves`, `several_runs` and `axis`.

use std::f32::consts::{FRAC_PI_2, PI};

use super::Problem;
use super::canvas::{Canvas, Rgb, Spot, WHITE};
use super::curves::Plot;
use super::text::{self, Anchor, Run, fitted, width};

const GRID: Rgb = [0xe4; 3];
pub(super) const AXIS: Rgb = [0x80; 3];

/// Without names beside the plot, which make the page wider.
const WIDTH: usize = 1200;
const HEIGHT: usize = 640;
const MARGIN: f32 = 24.0;
/// Edges of the plot: headline and legend above, labels and names left and below.
const TOP: f32 = 104.0;
/// Left edge, unless the labels of the vertical axis need more room: charts shall look alike.
const LEAST_LEFT: f32 = 128.0;
const BOTTOM: f32 = HEIGHT as f32 - 88.0;
const TITLE_SIZE: f32 = 34.0;
const TITLE_MIDDLE: f32 = 34.0;
const LEGEND_MIDDLE: f32 = 76.0;
const TEXT_SIZE: f32 = 25.0;
/// Middle of the lowest line of words.
const FOOT_MIDDLE: f32 = HEIGHT as f32 - MARGIN - TEXT_SIZE / 2.0;
/// What names beside the plot take at most, their samples included, and the plot then keeps.
const MOST_NAMES: f32 = 560.0;
const PLOT_BESIDE_NAMES: f32 = 860.0;
/// From one name to the next; less where there are many.
const NAME_PITCH: f32 = 34.0;
/// Length of a line in the legend.
const SAMPLE: f32 = 44.0;
/// White space between a legend's line and its text; three of them stand between entries.
const SAMPLE_GAP: f32 = 10.0;
/// White space between an axis and its labels.
const LABEL_GAP: f32 = 10.0;
/// Reach of a marker from its middle.
const MARKER: f32 = 6.5;
/// White edge around a marker, so that it stands out where curves cross.
const MARKER_EDGE: f32 = 1.5;
/// Markers a curve bears at most; more would run into a band.
const MOST_MARKERS: usize = 20;

/// Told apart by shape as well as by colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Marker {
    None,
    Disc,
    Diamond,
    Square,
}

/// How a series looks, in the chart and in the legend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    pub(super) colour: Rgb,
    pub(super) width: f32,
    pub(super) marker: Marker,
}

/// A plot with its place on the page.
struct Frame<'a> {
    plot: &'a Plot<'a>,
    /// Edges of the plot.
    left: f32,
    right: f32,
    /// Right edge of the page's content.
    end: f32,
}

/// The finished page.
pub(super) fn draw(plot: &Plot<'_>) -> Result<Canvas, Problem> {
    let frame = Frame::of(plot);
    let mut page = Canvas::white((frame.end + MARGIN) as usize, HEIGHT)?;
    write_words(&mut page, &frame);
    draw_legend(&mut page, &plot.legend);
    draw_names(&mut page, &frame);
    draw_axes(&mut page, &frame);
    for series in &plot.series {
        for piece in &series.pieces {
            draw_piece(&mut page, &frame, piece, series.look);
        }
    }
    Ok(page)
}

impl<'a> Frame<'a> {
    fn of(plot: &'a Plot<'a>) -> Self {
        let widths = plot.y.ticks.iter().map(|&tick| width(&plot.y.label(tick), TEXT_SIZE));
        let labels = widths.fold(0.0, f32::max);
        // From the left: the axis' name, its labels, and white space around both.
        let needed = MARGIN + TEXT_SIZE + 2.0 * LABEL_GAP + labels + LABEL_GAP;
        let left = needed.max(LEAST_LEFT).round();

        let longest = plot.names.iter().map(|(name, _)| width(name, TEXT_SIZE));
        let Some(longest) = longest.reduce(f32::max) else {
            let end = WIDTH as f32 - MARGIN;
            return Self { plot, left, right: end, end };
        };
        let right = left + PLOT_BESIDE_NAMES;
        let names = (SAMPLE + SAMPLE_GAP + longest).min(MOST_NAMES).ceil() + 1.0;
        Self { plot, left, right, end: right + MARGIN + names }
    }

    /// Pixels from the left for a position on the horizontal axis.
    fn across(&self, position: f64) -> f32 {
        self.left + self.plot.x.share(position) * (self.right - self.left)
    }

    /// Pixels from the top for a position on the vertical axis.
    fn down(&self, position: f64) -> f32 {
        BOTTOM - self.plot.y.share(position) * (BOTTOM - TOP)
    }

    /// The middle of the plot.
    fn middle(&self) -> Spot {
        (f32::midpoint(self.left, self.right), f32::midpoint(TOP, BOTTOM))
    }
}

/// Headline and names of the axes, and what the curves cannot say: that some points are missing.
fn write_words(page: &mut Canvas, frame: &Frame<'_>) {
    let (plot, (centre, middle)) = (frame.plot, frame.middle());
    let title = fitted(plot.title, TITLE_SIZE, frame.end - MARGIN);
    text::write(page, &title, (MARGIN, TITLE_MIDDLE), TITLE_SIZE, Anchor::Start, Run::Across);

    let scale = if plot.y.is_log() { " (log scale)" } else { "" };
    let name = fitted(&format!("{}{scale}", plot.loss), TEXT_SIZE, BOTTOM - TOP);
    let beside = (MARGIN + TEXT_SIZE / 2.0, middle);
    text::write(page, &name, beside, TEXT_SIZE, Anchor::Middle, Run::Up);

    write(page, "epoch", (centre, FOOT_MIDDLE), Anchor::Middle);
    if plot.left_out > 0 {
        let note = format!("left out as not finite: {}", plot.left_out);
        write(page, &note, (frame.right, FOOT_MIDDLE), Anchor::End);
    }
    if plot.is_empty() {
        let note = "no losses to show";
        write(page, note, (centre, middle), Anchor::Middle);
    }
}

/// One line above the plot, where it can cover no curve.
fn draw_legend(page: &mut Canvas, entries: &[(String, Look)]) {
    let mut left = MARGIN;
    for (text, look) in entries {
        let sample = [(left, LEGEND_MIDDLE), (left + SAMPLE, LEGEND_MIDDLE)];
        page.stroke(&sample, look.width, look.colour);
        draw_marker(page, (left + SAMPLE / 2.0, LEGEND_MIDDLE), *look);
        let start = left + SAMPLE + SAMPLE_GAP;
        write(page, text, (start, LEGEND_MIDDLE), Anchor::Start);
        left = start + width(text, TEXT_SIZE) + 3.0 * SAMPLE_GAP;
    }
}

/// A column beside the plot, where there is room for long names of many curves.
fn draw_names(page: &mut Canvas, frame: &Frame<'_>) {
    let names = &frame.plot.names;
    let pitch = NAME_PITCH.min((BOTTOM - TOP) / names.len().max(1) as f32);
    // Lines of smaller letters where they stand closer.
    let size = TEXT_SIZE.min(pitch * TEXT_SIZE / NAME_PITCH + 1.0);
    let left = frame.right + MARGIN;
    let start = left + SAMPLE + SAMPLE_GAP;
    for (index, (name, look)) in names.iter().enumerate() {
        let middle = TOP + pitch * (index as f32 + 0.5);
        page.stroke(&[(left, middle), (left + SAMPLE, middle)], look.width, look.colour);
        draw_marker(page, (left + SAMPLE / 2.0, middle), *look);
        let name = fitted(name, size, frame.end - start);
        text::write(page, &name, (start, middle), size, Anchor::Start, Run::Across);
    }
}

/// Grid lines with their labels, then the two axes.
fn draw_axes(page: &mut Canvas, frame: &Frame<'_>) {
    let Frame { plot, left, right, .. } = *frame;
    for &tick in &plot.y.ticks {
        let y = frame.down(tick);
        draw_rule(page, [(left, y), (right, y)], GRID);
        let label = plot.y.label(tick);
        write(page, &label, (left - LABEL_GAP, y), Anchor::End);
    }
    for &tick in &plot.x.ticks {
        let x = frame.across(tick);
        draw_rule(page, [(x, TOP), (x, BOTTOM)], GRID);
        let below = (x, BOTTOM + LABEL_GAP + TEXT_SIZE / 2.0);
        write(page, &plot.x.label(tick), below, Anchor::Middle);
    }
    draw_rule(page, [(left, TOP), (left, BOTTOM)], AXIS);
    draw_rule(page, [(left, BOTTOM), (right, BOTTOM)], AXIS);
}

/// Writes `text` in the chart's usual size, with the middle of its height on `spot`.
fn write(page: &mut Canvas, text: &str, spot: Spot, anchor: Anchor) {
    text::write(page, text, spot, TEXT_SIZE, anchor, Run::Across);
}

/// A level or upright line, one pixel thick, on whole pixels so that it is crisp.
fn draw_rule(page: &mut Canvas, ends: [Spot; 2], colour: Rgb) {
    let ends = ends.map(|(x, y)| (x.floor() + 0.5, y.floor() + 0.5));
    page.stroke(&ends, 1.0, colour);
}

/// A curve, then its markers upon it.
fn draw_piece(page: &mut Canvas, frame: &Frame<'_>, positions: &[(f64, f64)], look: Look) {
    let place = |&(x, y): &(f64, f64)| (frame.across(x), frame.down(y));
    let spots: Vec<Spot> = positions.iter().map(place).collect();
    page.stroke(&spots, look.width, look.colour);
    let stride = spots.len().div_ceil(MOST_MARKERS).max(1);
    // From the end backwards, so that the last epoch always bears its marker.
    for &spot in spots.iter().rev().step_by(stride) {
        draw_marker(page, spot, look);
    }
}

fn draw_marker(page: &mut Canvas, spot: Spot, look: Look) {
    let draw = match look.marker {
        Marker::None => return,
        Marker::Disc => Canvas::disc,
        Marker::Diamond => Canvas::diamond,
        Marker::Square => Canvas::square,
    };
    // Shapes of the same reach look unlike in size; equal areas look equal.
    let reach = match look.marker {
        Marker::Diamond => MARKER * FRAC_PI_2.sqrt(),
        Marker::Square => MARKER * PI.sqrt() / 2.0,
        _ => MARKER,
    };
    draw(page, spot, reach + MARKER_EDGE, WHITE);
    draw(page, spot, reach, look.colour);
}
