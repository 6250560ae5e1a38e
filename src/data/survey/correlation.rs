//! Whether the noise of neighbouring pixels is independent: by the autocorrelation of what is left of the
//! flattest blocks without their slope, and by the offsets that whole rows or columns have in common.

use super::blocks::median;
use super::plane::Plane;

/// Side of a block, in pixels.
const SIDE: usize = 16;
/// Blocks are ranked by the means of parts of this side.
const PART: usize = 4;
/// Share of an image's blocks that are read, and the fewest.
const FLATTEST: f64 = 0.04;
const FEWEST: usize = 4;
/// Blocks of which a larger share lies at an end of the range are left out, where others are there and where not.
const UNCLIPPED: f64 = 0.02;
const SATURATED: f64 = 0.75;
/// The largest distance of two pixels that is looked at.
pub(super) const REACH: usize = 6;
/// The standard deviation of normal numbers, from their median absolute deviation.
const FROM_MEDIAN: f64 = 1.4826;

/// What one image tells.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Correlation {
    /// Standard deviation of all noise, whatever its correlation.
    pub deviation: f64,
    /// Autocorrelation with the pixel that stands `1..=REACH` farther in the row, and in the column.
    pub in_rows: [f64; REACH],
    /// The same down a column.
    pub in_columns: [f64; REACH],
    /// Standard deviation of offsets that whole rows have in common.
    pub row_offsets: f64,
    /// The same of columns.
    pub column_offsets: f64,
}

/// `None` where the plane has no room for blocks.
pub(super) fn correlation(plane: &Plane) -> Option<Correlation> {
    // Of noise that is cut off less is left, so blocks of it are read where there are no others.
    let all = [UNCLIPPED, SATURATED].map(|most| blocks(plane, most));
    let mut blocks = all.into_iter().find(|blocks| blocks.len() >= FEWEST)?;
    let count = ((blocks.len() as f64 * FLATTEST) as usize).max(FEWEST);
    blocks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let flat = &blocks[..count];
    let covariance = |dy: usize, dx: usize| {
        median(flat.iter().map(|(_, block)| covariance(block, dy, dx)).collect())
    };
    let variance = covariance(0, 0);
    if variance <= 0.0 {
        return Some(Correlation::default());
    }
    let lag = |index: usize| index + 1;
    Some(Correlation {
        deviation: variance.sqrt(),
        in_rows: std::array::from_fn(|index| covariance(0, lag(index)) / variance),
        in_columns: std::array::from_fn(|index| covariance(lag(index), 0) / variance),
        row_offsets: row_offsets(plane),
        column_offsets: row_offsets(&plane.transposed()),
    })
}

type Block = [[f64; SIDE]; SIDE];

/// Blocks without mean and slope that are not clipped more than that, each with the variance of its parts' means.
fn blocks(plane: &Plane, most_clipped: f64) -> Vec<(f64, Block)> {
    let mut blocks = Vec::new();
    let [low, high] = plane.ends();
    for y in (0..(plane.height + 1).saturating_sub(SIDE)).step_by(SIDE / 2) {
        for x in (0..(plane.width + 1).saturating_sub(SIDE)).step_by(SIDE / 2) {
            let rows: [&[f32]; SIDE] = std::array::from_fn(|row| &plane.row(y + row)[x..x + SIDE]);
            let clipped = rows.iter().flat_map(|row| row.iter());
            let clipped = clipped.filter(|&&value| value <= low || value >= high).count();
            if clipped as f64 <= most_clipped * (SIDE * SIDE) as f64 {
                let block = levelled(rows);
                blocks.push((roughness(&block), block));
            }
        }
    }
    blocks
}

/// Without its mean and slope.
fn levelled(rows: [&[f32]; SIDE]) -> Block {
    let mut block: Block = rows.map(|row| std::array::from_fn(|x| f64::from(row[x])));
    let centre = (SIDE as f64 - 1.0) / 2.0;
    let square: f64 = (0..SIDE).map(|i| (i as f64 - centre).powi(2)).sum::<f64>() * SIDE as f64;
    let (mut mean, mut down, mut right) = (0.0, 0.0, 0.0);
    for (y, row) in block.iter().enumerate() {
        for (x, value) in row.iter().enumerate() {
            mean += value / (SIDE * SIDE) as f64;
            down += value * (y as f64 - centre) / square;
            right += value * (x as f64 - centre) / square;
        }
    }
    for (y, row) in block.iter_mut().enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            *value -= mean + down * (y as f64 - centre) + right * (x as f64 - centre);
        }
    }
    block
}

/// Variance of the parts' means.
fn roughness(block: &Block) -> f64 {
    let parts = SIDE / PART;
    let mut sum = 0.0;
    for (i, j) in (0..parts).flat_map(|i| (0..parts).map(move |j| (i, j))) {
        let rows = block[i * PART..][..PART].iter();
        let mean = rows.flat_map(|row| &row[j * PART..][..PART]).sum::<f64>();
        sum += (mean / (PART * PART) as f64).powi(2);
    }
    sum
}

/// Mean product of pixels so far apart.
fn covariance(block: &Block, dy: usize, dx: usize) -> f64 {
    let mut sum = 0.0;
    for y in 0..SIDE - dy {
        for x in 0..SIDE - dx {
            sum += block[y][x] * block[y + dy][x + dx];
        }
    }
    sum / ((SIDE - dy) * (SIDE - dx)) as f64
}

/// Standard deviation of the offsets of rows. The median over a row of what a pixel differs from the mean of those above
/// and below it is 0 in an image, up to the noise; offsets shift it. Of independent noise of variance `v` that
/// difference has the variance 1.5 v, and so has the offsets' own.
fn row_offsets(plane: &Plane) -> f64 {
    if plane.height < SIDE || plane.width < SIDE {
        return 0.0;
    }
    let second = |y: usize| {
        let (above, row, below) = (plane.row(y - 1), plane.row(y), plane.row(y + 1));
        let difference = |x: usize| f64::from(row[x]) - f64::from(above[x] + below[x]) / 2.0;
        (0..plane.width).map(difference).collect::<Vec<f64>>()
    };
    let (mut medians, mut spreads) = (Vec::new(), Vec::new());
    for y in 1..plane.height - 1 {
        let differences = second(y);
        let middle = median(differences.clone());
        spreads.push(deviation(differences, middle).powi(2));
        medians.push(middle);
    }
    // The variance of a median is that of a mean times pi / 2.
    let expected = median(spreads) * std::f64::consts::FRAC_PI_2 / plane.width as f64;
    let found = deviation(medians, 0.0).powi(2);
    if found < 3.0 * expected { 0.0 } else { ((found - expected) / 1.5).sqrt() }
}

fn deviation(values: Vec<f64>, centre: f64) -> f64 {
    FROM_MEDIAN * median(values.into_iter().map(|value| (value - centre).abs()).collect())
}
