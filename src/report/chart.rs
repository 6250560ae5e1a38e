//! Draws a settled loss chart: headline, legend, axes, grid lines and curves.
//! Which points and ranges are shown was decided before, in `curves` and `axis`.

use std::f32::consts::FRAC_PI_2;

use super::Problem;
use super::canvas::{Canvas, Rgb, Spot, WHITE};
use super::curves::Plot;
use super::text::{self, Anchor, Run, fitted, width};

/// Blue of the Okabe-Ito palette, which people with any colour vision can tell apart.
pub(super) const TRAINING: Rgb = [0x00, 0x72, 0xb2];
/// Vermilion of the same palette.
pub(super) const VALIDATION: Rgb = [0xd5, 0x5e, 0x00];
/// The training blue, lightened: it belongs to training, yet stands back.
const RUNNING: Rgb = [0x8a, 0xbf, 0xdf];
const GRID: Rgb = [0xe4; 3];
const AXIS: Rgb = [0x80; 3];

const WIDTH: usize = 1200;
const HEIGHT: usize = 640;
const MARGIN: f32 = 24.0;
/// Edges of the plot: headline and legend above, labels and names left and below.
const TOP: f32 = 104.0;
/// Left edge, unless the labels of the vertical axis need more room: charts shall look alike.
const LEAST_LEFT: f32 = 128.0;
const RIGHT: f32 = WIDTH as f32 - MARGIN;
const BOTTOM: f32 = HEIGHT as f32 - 88.0;
const TITLE_SIZE: f32 = 34.0;
const TITLE_MIDDLE: f32 = 34.0;
const LEGEND_MIDDLE: f32 = 76.0;
const TEXT_SIZE: f32 = 25.0;
/// Middle of the lowest line of words.
const FOOT_MIDDLE: f32 = HEIGHT as f32 - MARGIN - TEXT_SIZE / 2.0;
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
#[derive(Clone, Copy)]
enum Marker {
    None,
    Disc,
    Diamond,
}

/// A plot with its place on the page.
struct Frame<'a> {
    plot: &'a Plot<'a>,
    left: f32,
}

/// How a series looks, in the chart and in the legend.
#[derive(Clone, Copy)]
struct Look {
    colour: Rgb,
    width: f32,
    marker: Marker,
}

const RUNNING_LOOK: Look = Look { colour: RUNNING, width: 2.0, marker: Marker::None };
const TRAINING_LOOK: Look = Look { colour: TRAINING, width: 3.0, marker: Marker::Disc };
const VALIDATION_LOOK: Look = Look { colour: VALIDATION, width: 3.0, marker: Marker::Diamond };

/// The finished page.
pub(super) fn draw(plot: &Plot<'_>) -> Result<Canvas, Problem> {
    let mut page = Canvas::white(WIDTH, HEIGHT)?;
    let frame = Frame::of(plot);
    write_words(&mut page, &frame);
    draw_legend(&mut page, &legend(plot));
    draw_axes(&mut page, &frame);
    for piece in &plot.running {
        draw_series(&mut page, &frame, piece, RUNNING_LOOK);
    }
    draw_series(&mut page, &frame, &plot.training, TRAINING_LOOK);
    draw_series(&mut page, &frame, &plot.validation, VALIDATION_LOOK);
    Ok(page)
}

impl<'a> Frame<'a> {
    fn of(plot: &'a Plot<'a>) -> Self {
        let widths = plot.y.ticks.iter().map(|&tick| width(&plot.y.label(tick), TEXT_SIZE));
        let labels = widths.fold(0.0, f32::max);
        // From the left: the axis' name, its labels, and white space around both.
        let needed = MARGIN + TEXT_SIZE + 2.0 * LABEL_GAP + labels + LABEL_GAP;
        Self { plot, left: needed.max(LEAST_LEFT).round() }
    }

    /// Pixels from the left for a position on the horizontal axis.
    fn across(&self, position: f64) -> f32 {
        self.left + self.plot.x.share(position) * (RIGHT - self.left)
    }

    /// Pixels from the top for a position on the vertical axis.
    fn down(&self, position: f64) -> f32 {
        BOTTOM - self.plot.y.share(position) * (BOTTOM - TOP)
    }

    /// The middle of the plot.
    fn middle(&self) -> Spot {
        (f32::midpoint(self.left, RIGHT), f32::midpoint(TOP, BOTTOM))
    }
}

/// Headline and names of the axes, and what the curves cannot say: that some points are missing.
fn write_words(page: &mut Canvas, frame: &Frame<'_>) {
    let (plot, (centre, middle)) = (frame.plot, frame.middle());
    let title = fitted(plot.title, TITLE_SIZE, RIGHT - MARGIN);
    text::write(page, &title, (MARGIN, TITLE_MIDDLE), TITLE_SIZE, Anchor::Start, Run::Across);

    let scale = if plot.y.is_log() { " (log scale)" } else { "" };
    let name = fitted(&format!("{}{scale}", plot.loss), TEXT_SIZE, BOTTOM - TOP);
    let beside = (MARGIN + TEXT_SIZE / 2.0, middle);
    text::write(page, &name, beside, TEXT_SIZE, Anchor::Middle, Run::Up);

    write(page, "epoch", (centre, FOOT_MIDDLE), Anchor::Middle);
    if plot.left_out > 0 {
        let note = format!("left out as not finite: {}", plot.left_out);
        write(page, &note, (RIGHT, FOOT_MIDDLE), Anchor::End);
    }
    if plot.is_empty() {
        let note = "no losses to show";
        write(page, note, (centre, middle), Anchor::Middle);
    }
}

/// The series that have points, in drawing order.
fn legend(plot: &Plot<'_>) -> Vec<(String, Look)> {
    let last = |name: &str, loss: f64| format!("{name} (last {})", short(loss));
    let running = (!plot.running.is_empty()).then(|| "training, within epochs".to_owned());
    let training = plot.last_training.map(|loss| last("training, epoch mean", loss));
    let validation = plot.last_validation.map(|loss| last("validation", loss));
    let entries =
        [(running, RUNNING_LOOK), (training, TRAINING_LOOK), (validation, VALIDATION_LOOK)];
    entries.into_iter().filter_map(|(text, look)| Some((text?, look))).collect()
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

/// Grid lines with their labels, then the two axes.
fn draw_axes(page: &mut Canvas, frame: &Frame<'_>) {
    let Frame { plot, left } = *frame;
    for &tick in &plot.y.ticks {
        let y = frame.down(tick);
        draw_rule(page, [(left, y), (RIGHT, y)], GRID);
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
    draw_rule(page, [(left, BOTTOM), (RIGHT, BOTTOM)], AXIS);
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
fn draw_series(page: &mut Canvas, frame: &Frame<'_>, positions: &[(f64, f64)], look: Look) {
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
    };
    // A diamond looks smaller than a disc of the same reach; equal areas look equal.
    let reach = match look.marker {
        Marker::Diamond => MARKER * FRAC_PI_2.sqrt(),
        _ => MARKER,
    };
    draw(page, spot, reach + MARKER_EDGE, WHITE);
    draw(page, spot, reach, look.colour);
}

/// A loss in four significant digits.
fn short(loss: f64) -> String {
    const DIGITS: f64 = 4.0;
    let leading = loss.abs().log10().floor();
    if loss == 0.0 {
        "0".to_owned()
    } else if (-DIGITS..DIGITS).contains(&leading) {
        let decimals = (DIGITS - 1.0 - leading).max(0.0) as usize;
        format!("{loss:.decimals$}")
    } else {
        format!("{loss:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_in_the_legend_have_four_significant_digits() {
        let texts = [0.093_456, 1.25, 1234.5, 0.0, 4.5e-7, -0.5].map(short);
        assert_eq!(texts, ["0.09346", "1.250", "1234", "0", "4.500e-7", "-0.5000"]);
    }
}
