//! A set of images as the plan wants it fed to the model.

use super::Plan;
use crate::data::corruption::Split;
use crate::data::{DataLoader, Images};

/// The images with the plan's corruption and batch size.
#[must_use]
pub fn loader<'a>(plan: &'a Plan, images: &'a Images, split: Split) -> DataLoader<'a> {
    DataLoader {
        images,
        corruption: &plan.config.corruption,
        split,
        seed: plan.seed(),
        batch_size: plan.config.train.batch_size,
    }
}
