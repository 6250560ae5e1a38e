//! Which of many codes are nearest to one, without keeping the many.

/// The nearest codes so far, the nearest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    most: usize,
    /// Squared distances, ascending, with the indices of their codes.
    found: Vec<(f64, usize)>,
}

impl Nearest {
    /// To keep at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, found: Vec::with_capacity(most + 1) }
    }

    /// Takes a code into account; of codes equally far the first one offered stays first.
    pub fn offer(&mut self, index: usize, query: &[f32], code: &[f32]) {
        // What is not a number is farther than anything.
        let distance = Some(squared_distance(query, code)).filter(|distance| !distance.is_nan());
        let distance = distance.unwrap_or(f64::INFINITY);
        let place = self.found.partition_point(|(other, _)| other.total_cmp(&distance).is_le());
        if place < self.most {
            self.found.insert(place, (distance, index));
            self.found.truncate(self.most);
        }
    }

    /// Indices with their Euclidean distances.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        self.found.iter().map(|&(squared, index)| (index, squared.sqrt()))
    }
}

/// Sums in float64, eight at a time, so that the loop becomes vectors.
fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let square = |a: f32, b: f32| (f64::from(a) - f64::from(b)).powi(2);
    let ((whole_a, rest_a), (whole_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in whole_a.iter().zip(whole_b) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += square(a, b);
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(&a, &b)| square(a, b)).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// All distances, sorted.
    fn reference(query: &[f32], codes: &[Vec<f32>]) -> Vec<(usize, f64)> {
        let distance = |code: &[f32]| -> f64 {
            query.iter().zip(code).map(|(&a, &b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
        };
        let mut all: Vec<_> =
            codes.iter().enumerate().map(|(index, code)| (index, distance(code))).collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        all
    }

    #[test]
    fn the_nearest_are_those_that_sorting_all_distances_gives() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for (length, count, most) in [(1, 50, 8), (8, 3, 8), (21, 200, 1), (392, 40, 40)] {
            // Few values, so that some distances are equal.
            let mut code = || (0..length).map(|_| (random.next_u32() % 3) as f32).collect();
            let codes: Vec<Vec<f32>> = (0..count).map(|_| code()).collect();
            let query = code();
            let mut nearest = Nearest::new(most);
            for (index, code) in codes.iter().enumerate() {
                nearest.offer(index, &query, code);
            }
            let expected: Vec<_> = reference(&query, &codes).into_iter().take(most).collect();
            assert_eq!(nearest.iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn distances_are_euclidean() {
        let mut nearest = Nearest::new(1);
        nearest.offer(7, &[0.0, 3.0], &[4.0, 0.0]);
        assert_eq!(nearest.iter().collect::<Vec<_>>(), [(7, 5.0)]);
    }

    #[test]
    fn a_code_that_is_not_a_number_is_farther_than_any_other() {
        let mut nearest = Nearest::new(2);
        nearest.offer(0, &[0.0], &[f32::NAN]);
        nearest.offer(1, &[0.0], &[1e30]);
        nearest.offer(2, &[0.0], &[1.0]);
        assert_eq!(nearest.iter().map(|(index, _)| index).collect::<Vec<_>>(), [2, 1]);
    }
}
