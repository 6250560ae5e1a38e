//! A signal as curves: a line for each channel, from left to right, larger values above.

use super::Raster;

/// Of a drawing, in pixels.
const HEIGHT: usize = 64;
const WIDTHS: std::ops::RangeInclusive<usize> = 96..=384;
/// Of the paper, and of the line of the first channel; those of others are lighter, as far as the last.
const PAPER: f32 = 1.0;
const FIRST: f32 = 0.0;
const LAST: f32 = 0.6;

/// What values are drawn between: 0 to 1, or all that there are, so that drawings of one range can be compared.
#[must_use]
pub fn range_of(all: &[&[f32]]) -> [f32; 2] {
    let values = all.iter().flat_map(|values| values.iter()).filter(|value| value.is_finite());
    values.fold([0.0, 1.0], |[low, high], &value| [low.min(value), high.max(value)])
}

/// Height and width of a drawing of so many steps.
pub(super) fn size(steps: usize) -> [usize; 2] {
    [HEIGHT, steps.clamp(*WIDTHS.start(), *WIDTHS.end())]
}

/// Steps of `channels` values each, drawn between the ends of a range; what lies beyond is drawn at its edge.
pub(super) fn drawn(values: &[f32], channels: usize, [low, high]: [f32; 2]) -> Raster {
    let steps = values.len() / channels;
    let [_, width] = size(steps);
    let mut pixels = vec![PAPER; HEIGHT * width];
    let lines = HEIGHT - 1;
    let row = |value: f32| {
        let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
        lines - (share * lines as f32).round() as usize
    };
    for channel in (0..channels).rev() {
        let shade =
            FIRST + (LAST - FIRST) * channel as f32 / channels.max(2).saturating_sub(1) as f32;
        let rows: Vec<usize> =
            values.chunks_exact(channels).map(|step| row(step[channel])).collect();
        for column in 0..width {
            let reached = reached(&rows, column, width);
            for line in *reached.start()..=*reached.end() {
                pixels[line * width + column] = shade;
            }
        }
    }
    Raster::new(HEIGHT, width, 1, pixels).expect("the sides are constants above 0")
}

/// Rows that a line through all steps meets within a column.
fn reached(rows: &[usize], column: usize, width: usize) -> std::ops::RangeInclusive<usize> {
    let last = rows.len() - 1;
    let place = |edge: f32| (edge / width as f32 * last as f32).clamp(0.0, last as f32);
    let [from, to] = [column as f32, column as f32 + 1.0].map(place);
    let between = |at: f32| {
        let (before, after) = (rows[at.floor() as usize], rows[at.ceil() as usize]);
        (before as f32 + (after as f32 - before as f32) * at.fract()).round() as usize
    };
    let ends = [between(from), between(to)];
    let inner = &rows[from.ceil() as usize..=(to.floor() as usize).max(from.ceil() as usize)];
    let all = || ends.iter().chain(inner.iter().filter(|_| to.floor() >= from.ceil()));
    let low = all().min().copied().unwrap_or(0);
    low..=all().max().copied().unwrap_or(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a column that are not paper, from the top.
    fn marked(raster: &Raster, column: usize) -> Vec<usize> {
        let dark = |&line: &usize| raster.pixels()[line * raster.width() + column] < PAPER;
        (0..raster.height()).filter(dark).collect()
    }

    #[test]
    fn a_line_rises_from_the_lower_left_to_the_upper_right() {
        let raster = drawn(&[0.0, 1.0], 1, [0.0, 1.0]);
        assert_eq!((raster.height(), raster.width()), (HEIGHT, 96));
        assert_eq!(marked(&raster, 0).last(), Some(&63));
        assert_eq!(marked(&raster, 95)[0], 0);
        let middle = marked(&raster, 48);
        assert!(middle.iter().all(|line| (30..=33).contains(line)), "{middle:?}");
    }

    #[test]
    fn of_more_steps_than_columns_every_peak_is_seen() {
        let mut values = vec![0.0; 5000];
        values[1234] = 1.0;
        let raster = drawn(&values, 1, [0.0, 1.0]);
        assert_eq!(raster.width(), 384);
        let columns = (0..384).filter(|&column| marked(&raster, column).contains(&0));
        assert!(columns.count() >= 1);
        assert!((0..384).all(|column| !marked(&raster, column).is_empty()));
    }

    #[test]
    fn one_step_and_values_beyond_the_range_are_drawn_at_the_edge() {
        let raster = drawn(&[7.0, f32::NEG_INFINITY], 2, [0.0, 1.0]);
        assert_eq!(marked(&raster, 5), [0, 63]);
        let range = range_of(&[&[0.5, -2.0], &[3.0, f32::NAN]]);
        assert_eq!(range.map(f32::to_bits), [-2.0_f32, 3.0].map(f32::to_bits));
    }
}
