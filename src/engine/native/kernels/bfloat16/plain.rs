//! Plain loops: what the tiles are held to, and on what the rest is tested where there are none.

use super::{Bfloat16, Given, LINE, Line, Row, SIDE, Square, Tall, Tile};

pub(super) static FORM: Bfloat16<f32> =
    Bfloat16 { name: "plain", round, pair, turn, tall, square, give };

/// To the nearest, and of two to the one whose last bit is 0; what is no number stays none.
fn rounded(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 1 << 6;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

fn wide(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

impl Row<'_, f32> {
    /// Beyond the last channel or pixel there are zeros.
    fn rounded(&self, pixel: usize, channel: usize) -> u16 {
        if pixel >= self.pixels || channel >= self.channels {
            return 0;
        }
        rounded(self.values[pixel * self.step + channel])
    }
}

fn round(row: &Row<'_, f32>, lines: &mut [Line]) {
    let each = row.channels.div_ceil(LINE);
    for (pixel, lines) in lines.chunks_exact_mut(each).take(row.pixels).enumerate() {
        for (first, line) in (0..).step_by(LINE).zip(lines) {
            line.0 = std::array::from_fn(|k| row.rounded(pixel, first + k));
        }
    }
}

fn pair(row: &Row<'_, f32>, lines: &mut [Line]) {
    for (first, line) in (0..row.pixels).step_by(2).zip(lines) {
        line.0 = std::array::from_fn(|k| row.rounded(first + k % 2, k / 2));
    }
}

fn turn(row: &Row<'_, f32>, lines: &mut [Line]) {
    for (channel, line) in lines.iter_mut().enumerate() {
        line.0 = std::array::from_fn(|pixel| row.rounded(pixel, channel));
    }
}

/// Row `r` of `left` times column `c` of `right`, added up for all rows and columns.
fn multiply<'a>(left: impl Fn(usize) -> &'a Line, right: &[Line], sums: &mut Tile) {
    for (r, sums) in sums.0.chunks_exact_mut(SIDE).enumerate() {
        for (c, sum) in sums.iter_mut().enumerate() {
            let terms = left(r).0.iter().enumerate();
            *sum += terms
                .map(|(k, &value)| wide(value) * wide(right[k / 2].0[2 * c + k % 2]))
                .sum::<f32>();
        }
    }
}

fn tall(run: &Tall<'_>, sums: &mut [Tile; 4]) {
    *sums = [Tile::ZERO; 4];
    for (offset, right) in run.offsets.iter().zip(run.right.chunks_exact(SIDE)) {
        for (start, sums) in run.starts.iter().zip(&mut *sums) {
            multiply(|r| &run.left[start + r * run.row_step + offset], right, sums);
        }
    }
}

fn square(run: &Square<'_>, sums: &mut [Tile; 4]) {
    for (step, offset) in run.offsets.iter().enumerate() {
        for (place, sums) in sums.iter_mut().enumerate() {
            let left = &run.left[run.lefts[place / 2] + SIDE * step..];
            multiply(|r| &left[r], &run.right[run.rights[place % 2] + offset..], sums);
        }
    }
}

fn give(given: &Given<'_>, values: &mut [f32]) {
    let rows = given.sums.0.chunks_exact(SIDE).take(given.pixels);
    for (sums, pixel) in rows.zip(values.chunks_mut(given.step)) {
        let terms = sums.iter().zip(given.bias).take(given.channels);
        pixel.iter_mut().zip(terms).for_each(|(to, (sum, bias))| *to = sum + bias);
    }
}
