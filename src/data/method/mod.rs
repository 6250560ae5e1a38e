//! Samples of methods that learn from noisy images alone: pure in (seed, epoch, sample), so that neither
//! batches nor threads make a difference.

mod blind_spot;
mod neighbors;

pub use neighbors::Neighbors;

use super::images::Draw;
use crate::config::method::Method;
use crate::data::corruption::Split;
use crate::system::random::{Purpose, stream};

/// Which values of a batch the loss looks at.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Supervision {
    /// All that the model gives.
    #[default]
    Full,
    /// Of each image as many, which stand one image after the other: places in its values, channels last.
    Masked(Vec<u32>),
    /// All that the model gives for one of two neighbours; what is left to do is the regularizer.
    Neighbors(Box<Neighbors>),
}

impl Supervision {
    /// The places of the values that count, of all images; `None` where all do.
    #[must_use]
    pub fn masked(&self) -> Option<&[u32]> {
        match self {
            Self::Masked(places) => Some(places),
            _ => None,
        }
    }
}

/// What a method makes of a sample.
pub(super) struct Sample {
    /// What the model sees.
    pub input: Vec<f32>,
    /// What it should give.
    pub target: Vec<f32>,
}

impl Method {
    /// Makes a sample of a noisy image of that shape, with what the loss looks at added to `supervision`;
    /// `None` where the image is a sample as it is.
    pub(super) fn sample(
        &self,
        image: &[f32],
        shape: [usize; 3],
        (draw, index): (Draw, u64),
        supervision: &mut Supervision,
    ) -> Option<Sample> {
        let (purpose, epoch) = match draw.split {
            Split::Train => (Purpose::TrainMethod, draw.epoch),
            Split::Test => (Purpose::TestMethod, 0),
        };
        let stream = || stream(draw.seed, purpose, epoch, index);
        match self {
            Self::Supervised(_) => None,
            Self::Noise2Void(own) => {
                let (input, places) = own.mask(image, shape, &mut stream());
                match supervision {
                    Supervision::Masked(all) => all.extend(places),
                    _ => *supervision = Supervision::Masked(places),
                }
                Some(Sample { input, target: image.to_vec() })
            }
            Self::Neighbor2Neighbor(_) => {
                let pairs = neighbors::draw_pairs(shape, &mut stream());
                let [input, target] = neighbors::pick(image, shape, &pairs);
                if !matches!(supervision, Supervision::Neighbors(_)) {
                    *supervision = Supervision::Neighbors(Box::new(Neighbors::new(shape)));
                }
                if let Supervision::Neighbors(all) = supervision {
                    all.push(image, &pairs);
                }
                Some(Sample { input, target })
            }
        }
    }
}
