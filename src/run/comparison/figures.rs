//! The figures of a run that a comparison shows, and which of them are the best.

use super::run::{EpochFigures, Run};

/// What came out of a run; `None` where it has no such figure, or one that is no number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Whole epochs.
    pub epochs: usize,
    /// After the last epoch.
    pub loss: Option<f64>,
    /// After the last epoch.
    pub val_loss: Option<f64>,
    /// The lowest of all epochs.
    pub best_val_loss: Option<f64>,
    /// The first epoch that had it; counts from 1.
    pub best_epoch: Option<usize>,
    /// Training and validation of all epochs.
    pub seconds: Option<f64>,
    /// Training images per second of training, over all epochs.
    pub images_per_second: Option<f64>,
}

impl Figures {
    /// Of a run's epochs.
    #[must_use]
    pub fn of(epochs: &[EpochFigures]) -> Self {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        let last = epochs.last();
        let losses = epochs.iter().filter_map(|done| Some((finite(done.val_loss)?, done.epoch)));
        let best = losses.reduce(|best, next| if next.0 < best.0 { next } else { best });
        // A time that is missing for one epoch would make the sum a lie.
        let seconds: Option<f64> = epochs.iter().map(|done| finite(done.seconds)).sum();
        let pace: Option<f64> =
            epochs.iter().map(|done| finite(done.images_per_second).map(f64::recip)).sum();
        Self {
            epochs: epochs.len(),
            loss: last.and_then(|done| finite(done.loss)),
            val_loss: last.and_then(|done| finite(done.val_loss)),
            best_val_loss: best.map(|(loss, _)| loss),
            best_epoch: best.map(|(_, epoch)| epoch),
            seconds: seconds.filter(|_| !epochs.is_empty()),
            // All epochs train on the same number of images.
            images_per_second: pace
                .map(|pace| epochs.len() as f64 / pace)
                .filter(|p| p.is_finite()),
        }
    }
}

/// The best of each figure; `None` where the runs cannot be ranked by it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Best {
    pub(super) loss: Option<f64>,
    pub(super) val_loss: Option<f64>,
    pub(super) lowest_val_loss: Option<f64>,
    pub(super) seconds: Option<f64>,
    pub(super) images_per_second: Option<f64>,
}

impl Best {
    /// A single run is not better than others; losses of different functions are not comparable,
    /// nor is the time for different numbers of epochs.
    pub(super) fn of(runs: &[Run]) -> Self {
        let with_figures = || runs.iter().filter(|run| run.figures.epochs > 0);
        if with_figures().count() < 2 {
            return Self::default();
        }
        let lowest = |figure: fn(&Figures) -> Option<f64>| {
            with_figures().filter_map(|run| figure(&run.figures)).reduce(f64::min)
        };
        let highest = |figure: fn(&Figures) -> Option<f64>| {
            with_figures().filter_map(|run| figure(&run.figures)).reduce(f64::max)
        };
        let one_loss = same(with_figures().map(Run::loss_function));
        let one_length = same(with_figures().map(|run| run.figures.epochs));
        Self {
            loss: lowest(|figures| figures.loss).filter(|_| one_loss),
            val_loss: lowest(|figures| figures.val_loss).filter(|_| one_loss),
            lowest_val_loss: lowest(|figures| figures.best_val_loss).filter(|_| one_loss),
            seconds: lowest(|figures| figures.seconds).filter(|_| one_length),
            images_per_second: highest(|figures| figures.images_per_second),
        }
    }
}

fn same<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    let first = values.next();
    values.all(|value| Some(value) == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: usize, val_loss: f64, images_per_second: f64) -> EpochFigures {
        EpochFigures {
            epoch,
            loss: Some(val_loss + 0.1),
            val_loss: Some(val_loss),
            seconds: Some(2.0),
            images_per_second: Some(images_per_second),
        }
    }

    #[test]
    fn the_best_epoch_is_the_first_with_the_lowest_loss() {
        let losses = [f64::NAN, 0.5, 0.3, 0.3, 0.4];
        let epochs: Vec<_> = losses.iter().zip(1..).map(|(&loss, e)| epoch(e, loss, 1.0)).collect();
        let figures = Figures::of(&epochs);
        assert_eq!((figures.best_val_loss, figures.best_epoch), (Some(0.3), Some(3)));
        assert_eq!((figures.val_loss, figures.epochs), (Some(0.4), 5));
    }

    #[test]
    fn images_per_second_are_those_of_all_epochs_together() {
        // 100 images in one second, then the same in four: 200 in five.
        let figures = Figures::of(&[epoch(1, 0.2, 100.0), epoch(2, 0.1, 25.0)]);
        assert!((figures.images_per_second.unwrap() - 40.0).abs() < 1e-9);
        assert_eq!(figures.seconds, Some(4.0));
    }

    #[test]
    fn a_run_without_an_epoch_or_without_times_has_no_such_figures() {
        assert_eq!(Figures::of(&[]), Figures::default());
        let untimed = EpochFigures { seconds: None, images_per_second: None, ..epoch(1, 0.2, 1.0) };
        let figures = Figures::of(&[untimed, epoch(2, 0.1, 1.0)]);
        assert_eq!((figures.seconds, figures.images_per_second), (None, None));
        assert_eq!(figures.val_loss, Some(0.1));
    }
}
