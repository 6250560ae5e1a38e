//! A set of images as the plan wants it fed to the model, and a model of open size at the size of its data.

use super::{Node, Plan};
use crate::config::ConfigError;
use crate::config::data::ImageFiles;
use crate::config::method::SUPERVISED;
use crate::config::regularizers::{Regularizer, Vectors};
use crate::config::sections::Data;
use crate::data::corruption::Split;
use crate::data::{DataLoader, Images, Kept, first_shape};
use crate::system::exit::UsageError;
use crate::system::ranks::Share;

/// The images with the plan's corruption and batch size, beside what the data have for a target.
#[must_use]
pub fn loader<'a>(plan: &'a Plan, images: &'a Images, split: Split) -> DataLoader<'a> {
    DataLoader {
        images,
        corruption: &plan.config.corruption,
        method: &SUPERVISED,
        split,
        seed: plan.seed(),
        batch_size: plan.config.train.batch_size,
        share: Share::ALL,
        kept: Kept::Nothing,
    }
}

/// The same as samples of the plan's method, which is what training learns from and its losses are of.
#[must_use]
pub fn method_loader<'a>(plan: &'a Plan, images: &'a Images, split: Split) -> DataLoader<'a> {
    DataLoader { method: &plan.config.train.method, ..loader(plan, images, split) }
}

impl Plan {
    /// Whether each batch of these images has what the model's regularizers compare: Keras's
    /// `OrthogonalRegularizer` of a layer's outputs takes pairs of samples, and is no number where there is one.
    ///
    /// # Errors
    /// When a batch would hold a single sample.
    pub fn check_batches(&self, images: &Images) -> Result<(), ConfigError> {
        let (batch, count) = (self.config.train.batch_size, images.len());
        let compares = |node: &&Node| match node.layer.activity_regularizer() {
            Some(Regularizer::OrthogonalRegularizer(own)) => own.mode == Vectors::Rows,
            _ => false,
        };
        let Some(node) = self.graph.nodes.iter().find(compares) else { return Ok(()) };
        if batch > 1 && count % batch != 1 {
            return Ok(());
        }
        let problem = format!(
            "is {batch}, which makes a batch of one of the last of {count} samples, and the \
             activity_regularizer of {} (OrthogonalRegularizer) compares the samples of a batch",
            node.name
        );
        let remedy = "give another batch size, or mode = \"columns\" to the regularizer";
        Err(self.source.error("train.batch_size", problem, remedy))
    }

    /// The plan at the size of its data: of a model of open size, without patches of a size, that is the first
    /// training image's. Whether the others have it too, [`Dataset`](crate::data::Dataset) finds out. A vector of
    /// an array's values is seen as the array's images are.
    ///
    /// # Errors
    /// When there is no such image, or the model does not take it.
    pub fn for_data(self) -> anyhow::Result<Self> {
        let times = self.config.corruption.shrinking();
        if self.graph.input.0.len() == 1 && image_files(&self.config.data).is_none() {
            let [height, width, channels] = first_shape(&self.config.data)?;
            return Ok(self.seen_as_data([height / times, width / times, channels]));
        }
        if self.open == [false; 2] {
            return Ok(self);
        }
        if let Some(files) = image_files(&self.config.data) {
            match (&files.patches, files.resize) {
                (Some(patches), _) if patches.size.is_some() => return Ok(self),
                (Some(_), _) => {
                    let remedy = "set it, like data.patches.size=64";
                    return Err(self.source.error("data.patches.size", WANTED, remedy).into());
                }
                (None, Some(_)) => {
                    let remedy = "give height and width in model.input_shape, or cut patches with \
                                  data.patches.size in place of data.resize";
                    return Err(self.source.error("data.resize", WANTED, remedy).into());
                }
                (None, None) => {}
            }
        }
        let first @ [rows, columns, _] = first_shape(&self.config.data)?;
        if self.graph.input.0.len() == 2 {
            let steps = self.steps_of(first);
            return self.for_size(1, steps).map_err(|reason| {
                UsageError(format!(
                    "the training signals have {steps} steps, which the model does not take: {reason}; cut them to \
                     another length"
                ))
                .into()
            });
        }
        let found = [rows, columns];
        let side = |axis: usize| {
            if self.open[axis] { (found[axis] / times).max(1) } else { self.input_shape[axis] }
        };
        let [height, width] = [side(0), side(1)];
        self.for_size(height, width).map_err(|reason| {
            UsageError(format!(
                "the first training image is {columns}x{rows} pixels, which the model does not take: \
                 {reason}; resize the images, or cut patches with data.patches.size"
            ))
            .into()
        })
    }
}

impl Plan {
    /// Steps of signals that are seen so: an array `(N, steps, channels)` is seen as grey images of as many rows, and a
    /// table as one row.
    fn steps_of(&self, [rows, columns, channels]: [usize; 3]) -> usize {
        if rows == 1 && channels == self.input_shape[2] { columns } else { rows }
    }
}

/// Of a model of open size.
const WANTED: &str = "does not say which size a model of open size is trained at";

/// How image files become images, where the data are some.
pub(super) fn image_files(data: &Data) -> Option<&ImageFiles> {
    match data {
        Data::Images(images) => Some(&images.files),
        Data::Pairs(pairs) => Some(&pairs.files),
        _ => None,
    }
}
