//! Where an axis begins and ends, whether it is linear or logarithmic, and which ticks it shows.
//! Pure numbers in and out; nothing here draws.

/// From this ratio of largest to smallest loss on, a linear axis would press the later epochs into
/// its lowest fifth.
const LOG_FROM_RATIO: f64 = 5.0;
/// White space beyond the outermost values, as a share of what is between them.
const PADDING: f64 = 0.05;
/// Steps between ticks that still leave room for labels: beside each other, and above.
const MOST_STEPS: f64 = 6.0;
/// The same for whole epochs, whose labels are short.
const MOST_EPOCH_STEPS: f64 = 12.0;
/// The same for powers of ten, which stand above each other.
const MOST_DECADE_STEPS: f64 = 12.0;
/// Values closer than this, relative to their size, count as equal: their ticks would read alike.
const EQUAL: f64 = 1e-9;
/// Values below this count as zero, so that powers of ten stay far from the end of `f64`.
const NOTHING: f64 = 1e-30;
/// Leading digits of the ticks on a logarithmic axis, and the decades up to which they have room.
const MANTISSAS: [(f64, &[f64]); 3] =
    [(1.3, &[1.0, 2.0, 3.0, 4.0, 6.0, 8.0]), (3.5, &[1.0, 2.0, 5.0]), (f64::INFINITY, &[1.0])];
/// Labels leave plain notation below the first and from the second value on.
const PLAIN: std::ops::Range<f64> = 1e-4..1e6;

/// One axis of a chart. Positions on it are values, or their logarithms to base ten.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    log: bool,
    /// Position of the lower end.
    pub(super) low: f64,
    /// Position of the upper end; above `low`.
    pub(super) high: f64,
    /// Positions of the ticks, rising.
    pub(super) ticks: Vec<f64>,
    /// Distance of two ticks on a linear axis, which decides the digits of their labels.
    step: f64,
}

impl Axis {
    /// The axis for losses: logarithmic where they span a factor of five or more, else linear.
    ///
    /// `values` are finite. Without any, the axis runs from 0 to 1.
    pub(super) fn of_losses(values: &[f64]) -> Self {
        let (least, most) = extent(values).unwrap_or((0.0, 1.0));
        if least > NOTHING && most / least >= LOG_FROM_RATIO {
            return Self::log(least.log10(), most.log10());
        }
        let (low, high) = padded(least, most);
        // A loss that is never negative gets no room below zero.
        let low = if least >= 0.0 { low.max(0.0) } else { low };
        Self::linear(low, high, nice((high - low) / MOST_STEPS))
    }

    /// The axis for epochs from `first` to `last`: ticks at whole epochs, and at parts of one only
    /// when there is no second epoch to show.
    pub(super) fn of_epochs(first: f64, last: f64) -> Self {
        let length = last - first;
        if length <= EQUAL * last.abs() {
            let (low, high) = padded(first, first);
            return Self { log: false, low, high, ticks: vec![first], step: 1.0 };
        }
        let whole = (length > 1.0).then(|| nice(length / MOST_EPOCH_STEPS).max(1.0));
        let step = whole.unwrap_or_else(|| nice(length / MOST_STEPS));
        // Half the room that losses get on each side: just enough for a marker.
        let room = length * PADDING / 2.0;
        let mut axis = Self::linear(first - room, last + room, step);
        axis.ticks.retain(|tick| (first..=last).contains(tick));
        axis
    }

    /// Position of a value.
    pub(super) fn position(&self, value: f64) -> f64 {
        if self.log { value.log10() } else { value }
    }

    /// How far along the axis a position lies: 0 at its lower end, 1 at the upper.
    pub(super) fn share(&self, position: f64) -> f32 {
        ((position - self.low) / (self.high - self.low)) as f32
    }

    /// Whether positions are logarithms.
    pub(super) fn is_log(&self) -> bool {
        self.log
    }

    /// Text beside the tick at `position`.
    pub(super) fn label(&self, position: f64) -> String {
        if self.log {
            return label(10_f64.powf(position), position.floor());
        }
        label(position, magnitude(self.step))
    }

    /// Ticks at the multiples of `step`.
    fn linear(low: f64, high: f64, step: f64) -> Self {
        let first = (low / step).ceil();
        let count = ((high / step).floor() - first).max(0.0) as usize;
        // `+ 0.0` turns -0 into 0, which would be labelled "-0".
        let ticks = (0..=count).map(|index| (first + index as f64) * step + 0.0).collect();
        Self { log: false, low, high, ticks, step }
    }

    /// `least` and `most` are logarithms, the latter larger.
    fn log(least: f64, most: f64) -> Self {
        let (low, high) = padded(least, most);
        let fitting = MANTISSAS.iter().find(|(decades, _)| high - low <= *decades);
        let mantissas = fitting.map_or(&[1.0][..], |(_, mantissas)| mantissas);
        // Decades between ticks: 1, unless that makes too many.
        let step = ((high - low) / MOST_DECADE_STEPS).ceil();
        let first = (low / step).floor();
        let count = ((high - low) / step) as usize + 1;
        let ticks = (0..=count)
            .map(|index| (first + index as f64) * step)
            .flat_map(|decade| mantissas.iter().map(move |mantissa| decade + mantissa.log10()))
            .filter(|tick| (low..=high).contains(tick))
            .collect();
        Self { log: true, low, high, ticks, step }
    }
}

/// Smallest and largest value.
fn extent(values: &[f64]) -> Option<(f64, f64)> {
    let pairs = values.iter().map(|&value| (value, value));
    pairs.reduce(|(least, most), (value, _)| (least.min(value), most.max(value)))
}

/// Ends of an axis around the values; never equal, even where the values are.
fn padded(least: f64, most: f64) -> (f64, f64) {
    let size = least.abs().max(most.abs());
    let room = if most - least > (size * EQUAL).max(NOTHING) {
        (most - least) * PADDING
    } else if size > NOTHING {
        size * 2.0 * PADDING
    } else {
        1.0
    };
    (least - room, most + room)
}

/// The nearest step of 1, 2 or 5 times a power of ten that is not below `rough`.
fn nice(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|mantissa| mantissa * power);
    steps.into_iter().find(|&step| step >= rough * (1.0 - EQUAL)).unwrap_or(10.0 * power)
}

/// The power of ten of the leading digit.
fn magnitude(value: f64) -> f64 {
    // The tolerance keeps 0.001, whose logarithm may come out as -3.0000001, at -3.
    (value.abs().log10() + EQUAL).floor()
}

/// `value` with digits down to the given power of ten.
fn label(value: f64, lowest: f64) -> String {
    if value == 0.0 || PLAIN.contains(&value.abs()) {
        let decimals = (-lowest).max(0.0) as usize;
        return format!("{value:.decimals$}");
    }
    let digits = (magnitude(value) - lowest).max(0.0) as usize;
    format!("{value:.digits$e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn losses_close_together_get_a_linear_axis_with_round_ticks() {
        let axis = Axis::of_losses(&[0.093, 0.141]);
        assert!(!axis.is_log());
        assert_eq!(labels(&axis), ["0.10", "0.11", "0.12", "0.13", "0.14"]);
    }

    #[test]
    fn losses_beyond_a_factor_of_five_get_a_logarithmic_axis() {
        let axis = Axis::of_losses(&[0.7, 0.009]);
        assert!(axis.is_log());
        assert_eq!(labels(&axis), ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5"]);
        let short = Axis::of_losses(&[0.69, 0.1]);
        assert_eq!(labels(&short), ["0.1", "0.2", "0.3", "0.4", "0.6"]);
    }

    #[test]
    fn many_decades_are_labelled_sparsely() {
        let axis = Axis::of_losses(&[1e-30 * 2.0, 1e30]);
        assert!((4..=14).contains(&axis.ticks.len()), "{:?}", labels(&axis));
        let plain = Axis::of_losses(&[1e-5, 100.0]);
        assert_eq!(labels(&plain), ["1e-5", "0.0001", "0.001", "0.01", "0.1", "1", "10", "100"]);
    }

    #[test]
    fn a_loss_that_touches_zero_gets_a_linear_axis_from_zero() {
        let axis = Axis::of_losses(&[0.0, 5.0]);
        assert!(!axis.is_log() && axis.low == 0.0);
        assert_eq!(labels(&axis), ["0", "1", "2", "3", "4", "5"]);
    }

    #[test]
    fn neighbouring_ticks_never_read_alike() {
        for values in [[1.2e6, 1.9e6], [2e-7, 3e-7], [1.000_001, 1.000_002], [5e-5, 4e-4]] {
            let mut labels = labels(&Axis::of_losses(&values));
            let count = labels.len();
            labels.dedup();
            assert_eq!(labels.len(), count, "{labels:?}");
        }
    }

    #[test]
    fn negative_losses_keep_room_below_them() {
        let axis = Axis::of_losses(&[-3.0, 1.0]);
        assert!(axis.low < -3.0);
        assert_eq!(labels(&axis), ["-3", "-2", "-1", "0", "1"]);
    }

    #[test]
    fn equal_or_absent_losses_still_span_an_axis() {
        for values in [&[][..], &[0.0], &[0.2, 0.2], &[-7.0], &[1e-40, 2e-40], &[3e38, 3e38]] {
            let axis = Axis::of_losses(values);
            assert!(axis.low < axis.high, "{values:?}: {axis:?}");
            assert!((2..=14).contains(&axis.ticks.len()), "{values:?}: {axis:?}");
        }
    }

    #[test]
    fn several_epochs_are_counted_in_whole_numbers() {
        assert_eq!(labels(&Axis::of_epochs(0.0, 3.0)), ["0", "1", "2", "3"]);
        assert_eq!(
            labels(&Axis::of_epochs(1.0, 50.0)),
            ["5", "10", "15", "20", "25", "30", "35", "40", "45", "50"]
        );
    }

    #[test]
    fn a_single_epoch_is_divided() {
        assert_eq!(labels(&Axis::of_epochs(0.0, 1.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn a_single_point_gets_one_tick() {
        assert_eq!(labels(&Axis::of_epochs(4.0, 4.0)), ["4"]);
    }
}
