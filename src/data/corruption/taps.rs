//! Linear maps along the rows and columns of an image: what blurring, shrinking and enlarging have
//! in common. Which weights make which map is their business.

/// For each value of a new line, the values of the old line that it sums, with their weights.
#[derive(Debug)]
pub(super) struct Taps {
    /// Length of the old line.
    from: usize,
    sums: Vec<Vec<(usize, f64)>>,
}

impl Taps {
    /// Maps a line of `from` values; every place in `sums` is one of them.
    pub(super) fn new(from: usize, sums: impl IntoIterator<Item = Vec<(usize, f64)>>) -> Self {
        Self { from, sums: sums.into_iter().collect() }
    }

    /// Maps lines whose values are `inner` apart: `(outer, from, inner)` to `(outer, to, inner)`.
    fn map(&self, values: &[f32], inner: usize) -> Vec<f32> {
        let lines = values.chunks_exact(self.from * inner);
        let mut mapped = Vec::with_capacity(lines.len() * self.sums.len() * inner);
        let mut sums = vec![0.0; inner];
        for line in lines {
            for taps in &self.sums {
                sums.fill(0.0);
                for &(at, weight) in taps {
                    for (sum, &value) in sums.iter_mut().zip(&line[at * inner..][..inner]) {
                        *sum += weight * f64::from(value);
                    }
                }
                mapped.extend(sums.iter().map(|&sum| sum as f32));
            }
        }
        mapped
    }
}

/// Maps the rows of an image of `channels` by `along_rows`, then its columns.
pub(super) fn map_image(
    values: &[f32],
    channels: usize,
    along_columns: &Taps,
    along_rows: &Taps,
) -> Vec<f32> {
    let narrow = along_rows.map(values, channels);
    along_columns.map(&narrow, along_rows.sums.len() * channels)
}
