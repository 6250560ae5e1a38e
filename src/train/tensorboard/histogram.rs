//! The bins of a histogram, as TensorFlow's `summary.histogram` makes them.

/// Bins of equal width; TensorFlow's default.
const BINS: usize = 30;

/// Left end, right end and count of each bin; none where there is no finite value. Values that are all
/// equal get one bin of width 1 around them.
pub(super) fn bins(values: &[f32]) -> Vec<[f64; 3]> {
    let values: Vec<f64> =
        values.iter().filter(|value| value.is_finite()).map(|&value| f64::from(value)).collect();
    let Some(least) = values.iter().copied().reduce(f64::min) else { return vec![] };
    let most = values.iter().copied().fold(least, f64::max);
    if most <= least {
        return vec![[least - 0.5, least + 0.5, values.len() as f64]];
    }
    let width = (most - least) / BINS as f64;
    let edge = |bin: usize| if bin == BINS { most } else { least + bin as f64 * width };
    let mut bins: Vec<[f64; 3]> = (0..BINS).map(|bin| [edge(bin), edge(bin + 1), 0.0]).collect();
    for value in values {
        // The largest value belongs to the last bin.
        let bin = (((value - least) / width) as usize).min(BINS - 1);
        bins[bin][2] += 1.0;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_value_is_counted_once_and_the_bins_touch() {
        let mut values: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
        values.extend([f32::NAN, f32::INFINITY]);
        let bins = bins(&values);
        assert_eq!(bins.len(), BINS);
        assert!((bins.iter().map(|bin| bin[2]).sum::<f64>() - 1000.0).abs() < 1e-9);
        assert!(bins.windows(2).all(|pair| pair[0][1].to_bits() == pair[1][0].to_bits()));
        let least = values.iter().copied().fold(1.0, f32::min);
        assert_eq!(bins[0][0].to_bits(), f64::from(least).to_bits());
    }

    #[test]
    fn a_value_lies_in_its_bin() {
        let bins = bins(&[0.0, 30.0, 4.5, 4.5, 29.999]);
        let counts: Vec<(usize, f64)> =
            bins.iter().map(|bin| bin[2]).enumerate().filter(|(_, count)| *count > 0.0).collect();
        assert_eq!(counts, [(0, 1.0), (4, 2.0), (29, 2.0)]);
    }

    #[test]
    fn equal_values_and_none_have_their_own_forms() {
        assert_eq!(bins(&[2.0; 3]), [[1.5, 2.5, 3.0]]);
        assert!(bins(&[f32::NAN]).is_empty() && bins(&[]).is_empty());
    }
}
