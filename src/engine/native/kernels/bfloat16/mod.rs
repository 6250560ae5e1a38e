//! Products of bfloat16 values, summed up in float32: what the tiles of a processor with AMX compute, and the same in
//! plain loops.
//!
//! bfloat16 is the upper half of a float32: its exponent, and 8 significant bits. AMX multiplies a tile of 16 rows and
//! 32 values with one of 32 values and 16 columns, and adds the result to 16 x 16 sums; of the second tile, the values
//! that follow each other in a column stand in pairs.

#[cfg(target_arch = "x86_64")]
mod amx;
mod plain;

use std::fmt::Debug;

/// 32 values by their bits; whatever tiles read starts at such a line, as reading across two of them takes five times as
/// long.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Line(pub [u16; LINE]);

/// Values of a line.
pub(in crate::engine) const LINE: usize = 32;
/// Rows of a tile, and columns of its sums.
pub(in crate::engine) const SIDE: usize = 16;

/// Sums of a tile, row by row.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::engine) struct Tile(pub [f32; SIDE * SIDE]);

impl Line {
    pub const ZERO: Self = Self([0; LINE]);
}

impl Tile {
    pub const ZERO: Self = Self([0.0; SIDE * SIDE]);
}

/// Four tiles of rows times one of columns: `sums[i][r][c] = left[starts[i] + r * row_step + offsets[s]][k] *
/// right[16 s + k / 2][2 c + k % 2]`, added up over all `s` and `k`.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Tall<'a> {
    pub left: &'a [Line],
    pub starts: [usize; 4],
    /// Lines from row to row.
    pub row_step: usize,
    /// Of each step, lines.
    pub offsets: &'a [usize],
    /// Sixteen lines a step.
    pub right: &'a [Line],
}

/// Two tiles of rows times two of columns: `sums[2 i + j][r][c] += left[lefts[i] + 16 s + r][k] *
/// right[rights[j] + offsets[s] + k / 2][2 c + k % 2]`, for all `s` and `k`.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Square<'a> {
    pub left: &'a [Line],
    pub lefts: [usize; 2],
    pub right: &'a [Line],
    pub rights: [usize; 2],
    /// Of each step, lines.
    pub offsets: &'a [usize],
}

/// Pixels that stand one after the other, of which some channels are taken.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Row<'a, T> {
    /// From the first channel that is taken on.
    pub values: &'a [T],
    /// Channels of a pixel.
    pub step: usize,
    /// Those that are taken.
    pub channels: usize,
    pub pixels: usize,
}

/// Sums of pixels, row by row, that become values with a bias: up to 16 channels of up to 16 pixels.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Given<'a> {
    pub sums: &'a Tile,
    pub bias: &'a [f32; SIDE],
    /// Channels of a pixel of the result.
    pub step: usize,
    /// Those that are given.
    pub channels: usize,
    pub pixels: usize,
}

/// One way of computing it.
#[derive(Debug)]
pub(in crate::engine) struct Bfloat16<T: 'static> {
    pub name: &'static str,
    round: unsafe fn(&Row<'_, T>, &mut [Line]),
    pair: unsafe fn(&Row<'_, T>, &mut [Line]),
    turn: unsafe fn(&Row<'_, T>, &mut [Line]),
    tall: unsafe fn(&Tall<'_>, &mut [Tile; 4]),
    square: unsafe fn(&Square<'_>, &mut [Tile; 4]),
    give: unsafe fn(&Given<'_>, &mut [T]),
}

impl<T> Row<'_, T> {
    /// Values that are read of a row that is not empty.
    fn reach(&self) -> usize {
        (self.pixels.max(1) - 1) * self.step + self.channels
    }

    fn check(&self, channels: usize) {
        assert!(self.channels <= channels, "more channels than have room");
        assert!(self.pixels == 0 || self.values.len() >= self.reach(), "a row is too short");
    }
}

/// Each method panics where a slice is too short.
impl<T> Bfloat16<T> {
    /// Rounds each pixel to lines of its own, with zeros after its last channel: so many lines a pixel as its channels
    /// need.
    pub fn round(&self, row: &Row<'_, T>, lines: &mut [Line]) {
        row.check(usize::MAX);
        assert!(lines.len() >= row.pixels * row.channels.div_ceil(LINE));
        // SAFETY: checked just now; a form is handed out only where the processor has its instructions.
        unsafe { (self.round)(row, lines) }
    }

    /// Rounds up to 16 channels of pixels to columns: each line holds the pairs of two pixels, of which the last one may
    /// be missing.
    pub fn pair(&self, row: &Row<'_, T>, lines: &mut [Line]) {
        row.check(SIDE);
        assert!(lines.len() >= row.pixels.div_ceil(2));
        // SAFETY: as above.
        unsafe { (self.pair)(row, lines) }
    }

    /// Rounds up to 16 channels of up to 32 pixels to a tile of rows, one for each channel; zeros stand for the
    /// missing ones.
    pub fn turn(&self, row: &Row<'_, T>, lines: &mut [Line]) {
        row.check(SIDE);
        assert!(lines.len() == SIDE && row.pixels <= LINE);
        // SAFETY: as above.
        unsafe { (self.turn)(row, lines) }
    }

    /// See [`Tall`].
    pub fn tall(&self, run: &Tall<'_>, sums: &mut [Tile; 4]) {
        let furthest =
            run.offsets.iter().max().map_or(0, |offset| offset + (SIDE - 1) * run.row_step + 1);
        assert!(run.starts.iter().all(|start| start + furthest <= run.left.len()));
        assert!(SIDE * run.offsets.len() <= run.right.len());
        // SAFETY: as above.
        unsafe { (self.tall)(run, sums) }
    }

    /// See [`Square`].
    pub fn square(&self, run: &Square<'_>, sums: &mut [Tile; 4]) {
        let furthest = run.offsets.iter().max().map_or(0, |offset| offset + SIDE);
        assert!(run.lefts.iter().all(|left| left + SIDE * run.offsets.len() <= run.left.len()));
        assert!(run.rights.iter().all(|right| right + furthest <= run.right.len()));
        // SAFETY: as above.
        unsafe { (self.square)(run, sums) }
    }

    /// From the first pixel's first channel that is given on.
    pub fn give(&self, given: &Given<'_>, values: &mut [T]) {
        let Given { step, channels, pixels, .. } = *given;
        assert!((1..=SIDE).contains(&channels) && (1..=SIDE).contains(&pixels));
        assert!((pixels - 1) * step + channels <= values.len());
        // SAFETY: as above.
        unsafe { (self.give)(given, values) }
    }
}

/// The forms that this processor can run, the fastest first.
pub(super) fn available_f32() -> Vec<&'static Bfloat16<f32>> {
    let mut forms: Vec<&'static Bfloat16<f32>> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    if amx::is_available() {
        forms.push(&amx::FORM);
    }
    forms.push(&plain::FORM);
    forms
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn values(count: usize, seed: u64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..count).map(|_| random.random_range(-2.0..2.0)).collect()
    }

    /// The forms that are held to the plain one, which comes last.
    fn forms() -> (&'static [&'static Bfloat16<f32>], &'static Bfloat16<f32>) {
        let forms: &'static [_] = available_f32().leak();
        let (plain, fast) = forms.split_last().unwrap();
        (fast, plain)
    }

    #[test]
    fn what_is_rounded_is_the_nearest_and_no_number_stays_none() {
        let (fast, plain) = forms();
        let exact = |bits: u32| f32::from_bits(bits);
        let cases = [
            (1.0, 0x3f80),
            (exact(0x3f80_8000), 0x3f80), // halfway: to the even one
            (exact(0x3f81_8000), 0x3f82),
            (exact(0x3f80_8001), 0x3f81),
            (-2.5, 0xc020),
            (f32::MAX, 0x7f80),
            (f32::INFINITY, 0x7f80),
            (f32::NEG_INFINITY, 0xff80),
            (exact(0x7fff_ffff), 0x7fff),
            (exact(0x7f80_0001), 0x7fc0),
        ];
        let values = cases.map(|(value, _)| value);
        for form in fast.iter().chain([&plain]) {
            let mut line = [Line([7; LINE])];
            let row = Row { values: &values, step: 10, channels: 10, pixels: 1 };
            form.round(&row, &mut line);
            assert_eq!(line[0].0[..10], cases.map(|(_, bits)| bits), "{}", form.name);
            assert_eq!(line[0].0[10..], [0; 22]);
        }
    }

    #[test]
    fn all_forms_bring_values_into_the_same_order() {
        let (fast, plain) = forms();
        let values = values(40 * 64, 1);
        for (step, channels, pixels) in
            [(40, 40, 9), (16, 16, 32), (7, 5, 31), (64, 16, 17), (33, 1, 2), (3, 3, 0)]
        {
            let row = Row { values: &values, step, channels, pixels };
            let few = Row { channels: channels.min(SIDE), ..row };
            let orders = |form: &Bfloat16<f32>| {
                let mut lines = [(); 3].map(|()| vec![Line([7; LINE]); 4 * SIDE]);
                form.round(&row, &mut lines[0]);
                form.pair(&few, &mut lines[1]);
                form.turn(&few, &mut lines[2][..SIDE]);
                lines
            };
            let expected = orders(plain);
            for form in fast {
                assert_eq!(orders(form), expected, "{}: {row:?}", form.name);
            }
        }
    }

    #[test]
    fn all_forms_add_up_the_same_products() {
        let (fast, plain) = forms();
        let mut lines = vec![Line::ZERO; 3000];
        let values = values(3000 * LINE, 2);
        plain.round(&Row { values: &values, step: LINE, channels: LINE, pixels: 3000 }, &mut lines);
        for steps in [0, 1, 18] {
            let offsets: Vec<usize> = (0..steps).map(|step| step * 7 % 50).collect();
            let (left, right) = (&lines[..], &lines[700..]);
            let tall =
                Tall { left, starts: [0, 2000, 33, 5], row_step: 3, offsets: &offsets, right };
            let square =
                Square { left, lefts: [16, 400], right, rights: [3, 1111], offsets: &offsets };
            let sums = |form: &Bfloat16<f32>| {
                let mut sums = [[Tile([0.5; SIDE * SIDE]); 4]; 2];
                form.tall(&tall, &mut sums[0]);
                form.square(&square, &mut sums[1]);
                sums
            };
            let expected = sums(plain);
            for form in fast {
                let ours = sums(form);
                for (ours, expected) in ours.iter().flatten().zip(expected.iter().flatten()) {
                    for (a, b) in ours.0.iter().zip(expected.0) {
                        assert!(
                            (a - b).abs() < 1e-4,
                            "{}: {a}, not {b}, of {steps} steps",
                            form.name
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn all_forms_give_pixels_their_channels_and_leave_the_others() {
        let (fast, plain) = forms();
        let sums = Tile(std::array::from_fn(|i| i as f32));
        let bias = std::array::from_fn(|i| 0.5 * i as f32);
        for (step, channels, pixels) in [(16, 16, 16), (20, 3, 5), (7, 7, 1)] {
            let given = Given { sums: &sums, bias: &bias, step, channels, pixels };
            let results = |form: &Bfloat16<f32>| {
                let mut values = vec![-1.0; (pixels - 1) * step + channels];
                form.give(&given, &mut values);
                values
            };
            let expected = results(plain);
            for (place, &value) in expected.iter().enumerate() {
                let (pixel, channel) = (place / step, place % step);
                let sum = (pixel * SIDE + channel) as f32 + 0.5 * channel as f32;
                assert_eq!(value, if channel < channels { sum } else { -1.0 });
            }
            for form in fast {
                assert_eq!(results(form), expected, "{}", form.name);
            }
        }
    }

    #[test]
    #[should_panic(expected = "left.len()")]
    fn a_tile_beyond_the_end_is_not_read() {
        let lines = [Line::ZERO; 40];
        let run =
            Tall { left: &lines, starts: [0, 0, 0, 10], row_step: 2, offsets: &[1], right: &lines };
        forms().1.tall(&run, &mut [Tile::ZERO; 4]);
    }
}
