//! The losses of several runs in one chart: each run has its colour and marker, and its name beside
//! the plot. The numbers are settled here; `chart` only draws them.

use std::path::Path;

use super::canvas::Rgb;
use super::chart::{AXIS, Look, Marker};
use super::curves::{
    Curves, EPOCHS_THAT_SPEAK, LossPoint, Plot, RUNNING_POINTS, Series, axes, drawable, thinned,
};
use super::{ReportError, chart, deliver};

/// The Okabe-Ito palette, which people with any colour vision can tell apart; grey in place of its
/// yellow, which is lost on white.
const COLOURS: [Rgb; 8] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
    [0x00, 0x00, 0x00],
    [0x80, 0x80, 0x80],
];
/// Runs beyond the colours share them, and have another marker.
const MARKERS: [Marker; 2] = [Marker::Diamond, Marker::Square];
/// Runs whose curves can still be told apart.
pub const MOST_RUNS: usize = COLOURS.len() * MARKERS.len();
/// How much of its colour a training loss keeps: it belongs to its run, yet stands back.
const FAINT: f32 = 0.45;

const TRAINING_WIDTH: f32 = 1.5;
const VALIDATION_WIDTH: f32 = 3.0;

/// Writes the losses of several runs as one chart of 640 pixels' height, wide enough for their names,
/// which are the titles of their curves.
///
/// Of each run the validation loss is a line with markers, and the training loss a thin one: that
/// within the epochs where there are fewer than three, else that of the epochs. The axes are those of
/// [`write_loss_curves`](super::write_loss_curves). Beyond [`MOST_RUNS`] runs the looks recur.
///
/// # Errors
/// [`ReportError`] naming the file, when it cannot be drawn or written.
pub fn write_curves_of_runs(
    path: &Path,
    title: &str,
    loss: &str,
    runs: &[Curves],
) -> Result<(), ReportError> {
    deliver(path, || chart::draw(&plot(title, loss, runs))?.to_png())
}

fn plot<'a>(title: &'a str, loss: &'a str, runs: &'a [Curves]) -> Plot<'a> {
    let lines: Vec<Lines> = runs.iter().map(Lines::of).collect();
    let of_all = |points: fn(&Lines) -> &[LossPoint]| -> Vec<LossPoint> {
        lines.iter().flat_map(points).copied().collect()
    };
    let epochs = of_all(|lines| if lines.within { &[] } else { &lines.training });
    let epochs = [epochs, of_all(|lines| &lines.validation)].concat();
    let running = of_all(|lines| if lines.within { &lines.training } else { &[] });
    let (x, y) = axes(&running, &epochs);

    let training = lines.iter().zip(looks()).map(|(lines, look)| {
        let look = Look { width: TRAINING_WIDTH, marker: Marker::None, colour: faint(look.colour) };
        Series::placed(&lines.training, &y, look)
    });
    let validation = lines.iter().zip(looks());
    let validation = validation.map(|(lines, look)| Series::placed(&lines.validation, &y, look));
    Plot {
        title,
        loss,
        series: training.chain(validation).collect(),
        legend: legend(),
        names: runs.iter().map(|run| run.title.clone()).zip(looks()).collect(),
        left_out: lines.iter().map(|lines| lines.left_out).sum(),
        x,
        y,
    }
}

/// What is drawn of one run.
struct Lines {
    training: Vec<LossPoint>,
    /// Whether that is the loss within the epochs.
    within: bool,
    validation: Vec<LossPoint>,
    /// Points that are not finite.
    left_out: usize,
}

impl Lines {
    fn of(run: &Curves) -> Self {
        let within = run.training.len() < EPOCHS_THAT_SPEAK && !run.running.is_empty();
        let given = if within { &run.running } else { &run.training };
        let (training, validation) = (drawable(given), drawable(&run.validation));
        let left_out = given.len() + run.validation.len() - training.len() - validation.len();
        let training = if within { thinned(&training, RUNNING_POINTS) } else { training };
        Self { training, within, validation, left_out }
    }
}

/// How the validation losses of one run after the other look, without end.
fn looks() -> impl Iterator<Item = Look> {
    let look = |index: usize| Look {
        colour: COLOURS[index % COLOURS.len()],
        width: VALIDATION_WIDTH,
        marker: MARKERS[index / COLOURS.len() % MARKERS.len()],
    };
    (0..).map(look)
}

/// What thick and thin lines are, whatever their colour.
fn legend() -> Vec<(String, Look)> {
    let validation = Look { colour: AXIS, width: VALIDATION_WIDTH, marker: Marker::Diamond };
    let training = Look { width: TRAINING_WIDTH, marker: Marker::None, ..validation };
    vec![("validation".to_owned(), validation), ("training".to_owned(), training)]
}

/// A colour mixed with the page's white.
fn faint(colour: Rgb) -> Rgb {
    colour.map(|value| (255.0 - FAINT * (255.0 - f32::from(value))).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, losses: &[f64]) -> Curves {
        let points = losses.iter().zip(1..);
        let points: Vec<_> =
            points.map(|(&loss, epoch)| LossPoint { epoch: f64::from(epoch), loss }).collect();
        let validation = points.clone();
        Curves { title: name.to_owned(), training: points, validation, ..Curves::default() }
    }

    fn written(runs: &[Curves]) -> image::RgbImage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("compare.png");
        write_curves_of_runs(&path, "Several", "mse", runs).unwrap();
        image::open(&path).unwrap().into_rgb8()
    }

    #[test]
    fn no_two_of_the_runs_that_can_be_told_apart_look_alike() {
        let looks: Vec<Look> = looks().take(MOST_RUNS + 1).collect();
        for (index, look) in looks[..MOST_RUNS].iter().enumerate() {
            assert!(!looks[..index].contains(look));
        }
        assert_eq!(looks[MOST_RUNS], looks[0]);
    }

    #[test]
    fn every_run_is_drawn_in_its_colour_and_named_in_it() {
        let runs: Vec<_> = (0..8)
            .map(|index| {
                let end = 0.2 + f64::from(index) * 0.02;
                run(&format!("run {index}"), &[end + 0.1, end + 0.05, end])
            })
            .collect();
        let page = written(&runs);
        for colour in COLOURS {
            let painted = |beside: bool| {
                let pixels = page.enumerate_pixels();
                pixels.filter(|(x, _, pixel)| (*x > 1010) == beside && pixel.0 == colour).count()
            };
            assert!(painted(false) > 500, "{colour:?} in the plot: {}", painted(false));
            assert!(painted(true) > 100, "{colour:?} beside it: {}", painted(true));
        }
    }

    #[test]
    fn runs_of_one_epoch_show_the_loss_within_it() {
        let running = (1..=100).map(|i| LossPoint { epoch: f64::from(i) / 100.0, loss: 0.5 });
        let one = Curves { running: running.collect(), ..run("one", &[0.4]) };
        let runs = [one, run("three", &[0.5, 0.4, 0.3])];
        let plot = plot("", "", &runs);
        let lengths = plot.series.iter().map(|series| series.pieces[0].len());
        assert_eq!(lengths.collect::<Vec<_>>(), [100, 3, 1, 3]);
        assert!(plot.x.ticks[0] == 0.0);
    }

    #[test]
    fn losses_that_are_not_finite_are_counted_over_all_runs() {
        let runs = [run("a", &[f64::NAN, 0.2]), run("b", &[f64::INFINITY, 0.2])];
        assert_eq!(plot("", "", &runs).left_out, 4);
    }

    #[test]
    fn poor_runs_many_runs_and_long_names_still_make_a_chart() {
        for count in [0, 1, 2, MOST_RUNS, 100] {
            for losses in [&[][..], &[0.1], &[f64::NAN], &[0.3, 0.2, 1e9]] {
                let runs = vec![run(&"long name, ".repeat(30), losses); count];
                let page = written(&runs);
                assert!(page.height() == 640 && page.width() < 1700, "{}", page.width());
            }
        }
    }
}
