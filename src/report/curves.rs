//! What a loss chart shows: which points, over which ranges, in how much detail.
//! The numbers are settled here; `chart` only draws them.

use std::path::Path;

use super::axis::Axis;
use super::canvas::Rgb;
use super::chart::{Look, Marker};
use super::{ReportError, chart, deliver};

/// Blue of the Okabe-Ito palette, which people with any colour vision can tell apart.
const TRAINING: Rgb = [0x00, 0x72, 0xb2];
/// Vermilion of the same palette.
const VALIDATION: Rgb = [0xd5, 0x5e, 0x00];
/// The training blue, lightened: it belongs to training, yet stands back.
const RUNNING: Rgb = [0x8a, 0xbf, 0xdf];

const RUNNING_LOOK: Look = Look { colour: RUNNING, width: 2.0, marker: Marker::None };
const TRAINING_LOOK: Look = Look { colour: TRAINING, width: 3.0, marker: Marker::Disc };
const VALIDATION_LOOK: Look = Look { colour: VALIDATION, width: 3.0, marker: Marker::Diamond };

/// Points of the running loss that are drawn; each is the mean of the batches it stands for.
pub(super) const RUNNING_POINTS: usize = 200;
/// From this many epochs on, the epochs alone say enough, and the steep start of the running loss
/// may leave the chart at the top instead of pressing everything else flat.
pub(super) const EPOCHS_THAT_SPEAK: usize = 3;

/// A loss at a point of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPoint {
    /// Epochs trained so far: 0.5 is half way through the first, 1.0 its end.
    pub epoch: f64,
    /// The loss there.
    pub loss: f64,
}

/// The losses of a run, for [`write_loss_curves`].
///
/// Any of the three series may be empty. Points that are not finite numbers are left out, and the
/// chart says how many.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// Headline of the chart.
    pub title: String,
    /// Name of the loss, written along the vertical axis, such as "binary cross-entropy".
    pub loss: String,
    /// Training loss of single batches, any number of them, in order of `epoch`. The chart thins
    /// them to about 200 means.
    pub running: Vec<LossPoint>,
    /// Training loss at the end of each epoch.
    pub training: Vec<LossPoint>,
    /// Validation loss at the end of epochs.
    pub validation: Vec<LossPoint>,
}

/// A chart settled down to positions: all points finite, axes and looks chosen.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    pub(super) loss: &'a str,
    /// In drawing order.
    pub(super) series: Vec<Series>,
    /// In a line above the plot.
    pub(super) legend: Vec<(String, Look)>,
    /// In a column beside the plot; may be none.
    pub(super) names: Vec<(String, Look)>,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Points left out because they are not finite.
    pub(super) left_out: usize,
}

/// One line of a chart.
#[derive(Debug)]
pub(super) struct Series {
    /// Positions, in pieces: the line is cut where it leaves the chart at the top.
    pub(super) pieces: Vec<Vec<(f64, f64)>>,
    pub(super) look: Look,
}

/// Writes training and validation loss over the epochs as one chart, 1200x640 pixels.
///
/// The running loss is a thin line, the epochs' losses are lines with markers. The loss axis is
/// logarithmic where the losses span a factor of five, else linear. With three epochs or more the
/// axis follows the epochs, and the steep start of the running loss is cut at the top. A run of one
/// epoch, of one point, or of none still makes a chart.
///
/// # Errors
/// [`ReportError`] naming the file, when it cannot be drawn or written.
pub fn write_loss_curves(path: &Path, curves: &Curves) -> Result<(), ReportError> {
    deliver(path, || chart::draw(&Plot::of(curves))?.to_png())
}

impl<'a> Plot<'a> {
    /// Whether there is no point to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.pieces.is_empty())
    }

    pub(super) fn of(curves: &'a Curves) -> Self {
        let [running, training, validation] =
            [&curves.running, &curves.training, &curves.validation].map(|series| drawable(series));
        let given = curves.running.len() + curves.training.len() + curves.validation.len();
        let left_out = given - running.len() - training.len() - validation.len();

        let legend = legend(&running, &training, &validation);
        let running = thinned(&running, RUNNING_POINTS);
        let (x, y) = axes(&running, &[training.as_slice(), &validation].concat());
        let series =
            [(running, RUNNING_LOOK), (training, TRAINING_LOOK), (validation, VALIDATION_LOOK)];
        let series = series.map(|(points, look)| Series::placed(&points, &y, look)).into();
        let names = vec![];
        Self { title: &curves.title, loss: &curves.loss, series, legend, names, x, y, left_out }
    }
}

impl Series {
    /// The points at their positions. The vertical axis holds all but the running loss, which may
    /// leave it at the top.
    pub(super) fn placed(points: &[LossPoint], y: &Axis, look: Look) -> Self {
        let place = |point: &LossPoint| (point.epoch, y.position(point.loss));
        let positions: Vec<_> = points.iter().map(place).collect();
        Self { pieces: below(&positions, y.high), look }
    }
}

/// The series that have points, in drawing order.
fn legend(
    running: &[LossPoint],
    training: &[LossPoint],
    validation: &[LossPoint],
) -> Vec<(String, Look)> {
    let last = |name: &str, points: &[LossPoint]| {
        points.last().map(|point| format!("{name} (last {})", short(point.loss)))
    };
    let running = (!running.is_empty()).then(|| "training, within epochs".to_owned());
    let entries = [
        (running, RUNNING_LOOK),
        (last("training, epoch mean", training), TRAINING_LOOK),
        (last("validation", validation), VALIDATION_LOOK),
    ];
    entries.into_iter().filter_map(|(text, look)| Some((text?, look))).collect()
}

/// The axes that hold all epochs, and all losses but the steep start of the running one.
pub(super) fn axes(running: &[LossPoint], epochs: &[LossPoint]) -> (Axis, Axis) {
    (epoch_axis(running, epochs), Axis::of_losses(&losses_in_view(running, epochs)))
}

/// The points that can be drawn: finite, and within `f32`, so that no sum of them overflows.
pub(super) fn drawable(points: &[LossPoint]) -> Vec<LossPoint> {
    let fits = |value: f64| value.abs() <= f64::from(f32::MAX);
    points.iter().copied().filter(|point| fits(point.epoch) && fits(point.loss)).collect()
}

/// At most about `most` points, each the mean of as many neighbours.
pub(super) fn thinned(points: &[LossPoint], most: usize) -> Vec<LossPoint> {
    let mean = |values: &[LossPoint], of: fn(&LossPoint) -> f64| {
        values.iter().map(of).sum::<f64>() / values.len() as f64
    };
    points
        .chunks(points.len().div_ceil(most).max(1))
        .map(|chunk| LossPoint { epoch: mean(chunk, |p| p.epoch), loss: mean(chunk, |p| p.loss) })
        .collect()
}

/// The losses that the vertical axis has to hold.
fn losses_in_view(running: &[LossPoint], epochs: &[LossPoint]) -> Vec<f64> {
    let mut ends: Vec<f64> = epochs.iter().map(|point| point.epoch).collect();
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    let steep_start = if ends.len() < EPOCHS_THAT_SPEAK { f64::NEG_INFINITY } else { ends[0] };

    let settled = running.iter().filter(|point| point.epoch > steep_start);
    // The start may leave the chart at the top, never at the bottom: a run that got worse shows it.
    let least = running.iter().map(|point| point.loss).reduce(f64::min);
    settled.chain(epochs).map(|point| point.loss).chain(least).collect()
}

fn epoch_axis(running: &[LossPoint], epochs: &[LossPoint]) -> Axis {
    let all = || running.iter().chain(epochs).map(|point| point.epoch);
    let (Some(first), Some(last)) = (all().reduce(f64::min), all().reduce(f64::max)) else {
        return Axis::of_epochs(0.0, 1.0);
    };
    // The running loss begins a little after the start of an epoch; the axis begins at it.
    Axis::of_epochs(if running.is_empty() { first } else { first.floor() }, last)
}

/// The parts of a line at or below `top`, cut where it crosses.
fn below(line: &[(f64, f64)], top: f64) -> Vec<Vec<(f64, f64)>> {
    let mut pieces = vec![vec![]];
    let mut previous: Option<(f64, f64)> = None;
    for &point in line {
        let inside = point.1 <= top;
        if let Some(before) = previous.filter(|before| (before.1 <= top) != inside) {
            let share = (top - before.1) / (point.1 - before.1);
            let crossing = (before.0 + share * (point.0 - before.0), top);
            push(&mut pieces, crossing);
        }
        if inside {
            push(&mut pieces, point);
        } else {
            pieces.push(vec![]);
        }
        previous = Some(point);
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn push(pieces: &mut [Vec<(f64, f64)>], point: (f64, f64)) {
    if let Some(piece) = pieces.last_mut() {
        piece.push(point);
    }
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

    fn points(pairs: &[(f64, f64)]) -> Vec<LossPoint> {
        pairs.iter().map(|&(epoch, loss)| LossPoint { epoch, loss }).collect()
    }

    fn epochs(losses: &[f64]) -> Vec<LossPoint> {
        losses.iter().zip(1..).map(|(&loss, e)| LossPoint { epoch: f64::from(e), loss }).collect()
    }

    fn written(curves: &Curves) -> image::RgbImage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loss.png");
        write_loss_curves(&path, curves).unwrap();
        image::open(&path).unwrap().into_rgb8()
    }

    #[test]
    fn a_long_running_loss_is_thinned_to_means() {
        let long: Vec<_> = (0..1000).map(|i| (f64::from(i) / 1000.0, f64::from(i % 2))).collect();
        let thin = thinned(&points(&long), 100);
        assert_eq!(thin.len(), 100);
        assert!(thin.iter().all(|point| (point.loss - 0.5).abs() < 1e-12));
        assert!((thin[0].epoch - 0.0045).abs() < 1e-12);
    }

    #[test]
    fn a_short_running_loss_is_kept_as_it_is() {
        let short = points(&[(0.1, 3.0), (0.2, 1.0)]);
        assert_eq!(thinned(&short, 200), short);
        assert!(thinned(&[], 200).is_empty());
    }

    #[test]
    fn losses_that_are_not_finite_are_left_out_and_counted() {
        let broken = [0.3, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300];
        let curves = Curves { training: epochs(&broken), ..Curves::default() };
        let plot = Plot::of(&curves);
        assert_eq!((plot.series[1].pieces[0].len(), plot.left_out), (1, 4));
    }

    #[test]
    fn with_one_epoch_the_whole_running_loss_is_in_view() {
        let curves = Curves {
            running: points(&[(0.01, 0.6), (0.5, 0.2), (1.0, 0.1)]),
            training: epochs(&[0.25]),
            ..Curves::default()
        };
        let plot = Plot::of(&curves);
        assert!(plot.y.high > plot.y.position(0.6));
        assert_eq!(plot.series[0].pieces[0].len(), 3);
        assert!(plot.x.ticks[0] == 0.0);
    }

    #[test]
    fn with_three_epochs_the_steep_start_leaves_at_the_top() {
        let curves = Curves {
            running: points(&[(0.01, 0.7), (0.5, 0.12), (1.5, 0.11), (2.5, 0.1)]),
            training: epochs(&[0.14, 0.11, 0.1]),
            ..Curves::default()
        };
        let plot = Plot::of(&curves);
        assert!(plot.y.high < 0.15);
        assert!(plot.series[0].pieces[0][0].1 >= plot.y.high); // at the top, where it was cut
        assert_eq!(plot.series[0].pieces[0].len(), 4); // the crossing and three points
    }

    #[test]
    fn a_run_that_got_worse_keeps_its_good_start_in_view() {
        let curves = Curves {
            running: points(&[(0.5, 0.1), (1.5, 4.0)]),
            training: epochs(&[3.0, 4.0, 5.0]),
            ..Curves::default()
        };
        let plot = Plot::of(&curves);
        assert!(plot.y.low < plot.y.position(0.1));
    }

    #[test]
    fn a_spike_is_cut_into_two_pieces_at_the_top() {
        let pieces = below(&[(0.0, 1.0), (1.0, 3.0), (2.0, 1.0)], 2.0);
        assert_eq!(pieces, [[(0.0, 1.0), (0.5, 2.0)], [(1.5, 2.0), (2.0, 1.0)]]);
    }

    #[test]
    fn a_line_wholly_above_the_top_leaves_nothing() {
        assert!(below(&[(0.0, 3.0), (1.0, 4.0)], 2.0).is_empty());
    }

    #[test]
    fn training_and_validation_are_drawn_in_their_colours() {
        let curves = Curves {
            training: epochs(&[0.3, 0.2, 0.15]),
            validation: epochs(&[0.28, 0.22, 0.2]),
            ..Curves::default()
        };
        let page = written(&curves);
        assert_eq!(page.dimensions(), (1200, 640));
        for colour in [TRAINING, VALIDATION] {
            let painted = page.pixels().filter(|p| p.0 == colour).count();
            assert!(painted > 500, "{colour:?}: {painted} pixels");
        }
    }

    #[test]
    fn losses_that_differ_in_a_late_digit_still_leave_room_for_their_labels() {
        let overflows = |losses: &[f64]| {
            let curves = Curves { training: epochs(losses), ..Curves::default() };
            let page = written(&curves);
            // Ink in the left margin, beside the plot: a label that ran out of room.
            (0..24).any(|x| (104..552).any(|y| page.get_pixel(x, y).0[0] < 0x60))
        };
        assert!(!overflows(&[0.5, 0.4]));
        assert!(!overflows(&[0.123_456_1, 0.123_456_2]));
    }

    #[test]
    fn every_poor_run_still_makes_a_chart() {
        let runs = [
            vec![],
            epochs(&[0.1]),
            epochs(&[0.2, 0.2, 0.2]),
            epochs(&[0.0, 0.0]),
            epochs(&[f64::NAN, f64::INFINITY]),
            epochs(&[1e-300, 1e-310]),
            epochs(&[-3e38, 3e38]),
            points(&[(1e30, 0.1), (-1e30, 0.2)]),
            points(&[(2.0, 0.1), (2.0, 0.2)]),
        ];
        for run in runs {
            for bits in [1, 6, 7] {
                let series = |bit: i32| if bits & bit == 0 { vec![] } else { run.clone() };
                let (running, training, validation) = (series(1), series(2), series(4));
                let curves = Curves { running, training, validation, ..Curves::default() };
                assert_eq!(written(&curves).dimensions(), (1200, 640));
            }
        }
    }

    #[test]
    fn losses_in_the_legend_have_four_significant_digits() {
        let texts = [0.093_456, 1.25, 1234.5, 0.0, 4.5e-7, -0.5].map(short);
        assert_eq!(texts, ["0.09346", "1.250", "1234", "0", "4.500e-7", "-0.5000"]);
    }
}
