//! The same corruption, weaker or stronger: what a report shows beside what a model was trained for.

use crate::config::corruption::{Corruption, CorruptionKind, MaskShape, Span};

/// Most of a share that a config may ask for.
const WHOLE: f64 = 1.0;
/// Fewest photons that tell black from white at all; the most that a config may ask for.
const PHOTONS: (f64, f64) = (1e-3, 1e6);
/// Largest standard deviation, and shrinking, that a config may ask for.
const LARGEST_DEVIATION: f64 = 100.0;
const LARGEST_SCALE: f64 = 256.0;

impl Corruption {
    /// Each kind `times` as strong (above 0), within what a config may ask for: the deviation of noise
    /// and blur, the shares of pixels and the factor of shrinking that many times as large, the area of
    /// boxes too, and the quality of JPEG that many times as low.
    #[must_use]
    pub fn scaled(&self, times: f64) -> Self {
        Self(self.0.iter().map(|kind| kind.scaled(times)).collect())
    }
}

impl CorruptionKind {
    fn scaled(&self, times: f64) -> Self {
        let mut scaled = self.clone();
        match &mut scaled {
            Self::None(_) => {}
            Self::Gaussian(own) => own.factor = scale(own.factor, times, LARGEST_DEVIATION),
            Self::Speckle(own) => own.factor = scale(own.factor, times, LARGEST_DEVIATION),
            Self::Blur(own) => own.sigma = scale(own.sigma, times, LARGEST_DEVIATION),
            // The deviation of a count is the root of its mean.
            Self::Poisson(own) => {
                let peak = |peak: f64| (peak / (times * times)).clamp(PHOTONS.0, PHOTONS.1);
                own.peak = Span { low: peak(own.peak.low), high: peak(own.peak.high) };
            }
            Self::SaltAndPepper(own) => own.amount = scale(own.amount, times, WHOLE),
            Self::Mask(own) if own.shape == MaskShape::Boxes => {
                own.size = scale(own.size, times.sqrt(), WHOLE);
            }
            Self::Mask(own) => own.amount = scale(own.amount, times, WHOLE),
            // The model takes images of one size, whatever the level.
            Self::Downscale(own) if !own.enlarge => {}
            Self::Downscale(own) => {
                own.scale = whole(own.scale, |scale| (scale * times).clamp(1.0, LARGEST_SCALE));
            }
            Self::Jpeg(own) => {
                own.quality = whole(own.quality, |quality| (quality / times).clamp(1.0, 100.0));
            }
        }
        scaled
    }
}

fn scale(span: Span<f64>, times: f64, most: f64) -> Span<f64> {
    Span { low: (span.low * times).min(most), high: (span.high * times).min(most) }
}

fn whole(span: Span<usize>, change: impl Fn(f64) -> f64) -> Span<usize> {
    let change = |value: usize| change(value as f64).round() as usize;
    Span { low: change(span.low), high: change(span.high) }
}

#[cfg(test)]
mod tests {
    use crate::config::Source;

    /// The only corruption of a config, `times` as strong, as TOML.
    fn scaled(corruption: &str, times: f64) -> String {
        let text = std::fs::read_to_string("configs/plain.toml").unwrap();
        let change = [format!("corruption={corruption}")];
        let mut config = Source::parse(&text, "plain.toml", &change).unwrap().config;
        config.corruption = config.corruption.scaled(times);
        // What comes out is what a config may ask for.
        let text = config.to_toml();
        assert_eq!(Source::parse(&text, "scaled", &[]).unwrap().config, config);
        let section = text.split("[corruption]\n").nth(1).unwrap();
        section.split("\n\n").next().unwrap().to_owned()
    }

    #[test]
    fn every_kind_becomes_stronger_in_its_own_way() {
        for (kind, key) in [
            ("{kind=\"gaussian\",factor=0.5}", "factor = 1.0"),
            ("{kind=\"gaussian\",factor=[0.1,0.2]}", "factor = [0.2, 0.4]"),
            ("{kind=\"speckle\",factor=0.5}", "factor = 1.0"),
            ("{kind=\"poisson\",peak=40.0}", "peak = 10.0"),
            ("{kind=\"salt_and_pepper\",amount=0.1}", "amount = 0.2"),
            ("{kind=\"salt_and_pepper\",amount=0.8}", "amount = 1.0"),
            ("{kind=\"mask\",shape=\"pixels\",amount=0.25}", "amount = 0.5"),
            ("{kind=\"blur\",sigma=1.5}", "sigma = 3.0"),
            ("{kind=\"downscale\",scale=3}", "scale = 6"),
            ("{kind=\"jpeg\",quality=20}", "quality = 10"),
            ("{kind=\"jpeg\",quality=1}", "quality = 1"),
        ] {
            let found = scaled(kind, 2.0);
            assert!(found.lines().any(|line| line == key), "{kind}: {found}");
        }
    }

    #[test]
    fn a_box_of_twice_the_area_has_sides_of_its_root() {
        let found = scaled("{kind=\"mask\",size=0.5}", 2.0);
        let size = found.lines().find_map(|line| line.strip_prefix("size = ")).unwrap();
        assert!((size.parse::<f64>().unwrap() - 0.5_f64.sqrt()).abs() < 1e-12, "{size}");
    }

    #[test]
    fn weaker_than_the_weakest_is_the_weakest() {
        assert!(scaled("{kind=\"downscale\",scale=1}", 0.5).contains("scale = 1"));
        assert!(scaled("{kind=\"jpeg\",quality=90}", 0.5).contains("quality = 100"));
        assert!(scaled("{kind=\"none\"}", 0.5).contains("none"));
    }
}
