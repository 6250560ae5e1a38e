//! Whether a method goes with the model, the loss and the data of a plan.

use super::loader::image_files;
use super::{Plan, Shape};
use crate::config::ConfigError;
use crate::config::layers::Layer;
use crate::config::method::{Block, Method, Noise2Void};
use crate::nn::{Loss, Reduction, Term};

impl Plan {
    /// Refuses a method that does not go with the rest of the plan.
    ///
    /// # Errors
    /// Naming the key, and what to change.
    pub(super) fn check_method(&self) -> Result<(), ConfigError> {
        let method = &self.config.train.method;
        if let Method::Supervised(_) = method {
            return Ok(());
        }
        let name = method.name();
        let refuse = |path: &str, problem: String, remedy: &str| {
            Err(self.source.error(path, problem, remedy))
        };
        let [input, output] = [self.input_shape, self.output_shape()];
        if input != output {
            let [input, output] = [input, output].map(|shape| Shape(shape.to_vec()));
            let problem = format!("is {name}, and the model gives {output} for {input}");
            return refuse("train.method", problem, "end in the shape of the input");
        }
        if self.config.corruption.shrinking() > 1 {
            let problem = format!("makes images smaller, and train.method is {name}");
            return refuse("corruption", problem, "remove the downscale");
        }
        let losses = &self.config.train.loss;
        match method {
            Method::Supervised(_) => Ok(()),
            Method::Noise2Void(own) => {
                let is_mean =
                    |term: &Term| term.loss.is_elementwise() && term.reduction == Reduction::Mean;
                if !losses.0.iter().all(is_mean) {
                    let problem = format!(
                        "is {}, and noise2void's is a mean of single pixels",
                        losses.name()
                    );
                    return refuse("train.loss", problem, "take mean_squared_error");
                }
                self.check_mask(own)
            }
            Method::Neighbor2Neighbor(_) => {
                if *losses != Loss::MeanSquaredError {
                    let problem =
                        format!("is {}, for which the regularizer has no formula", losses.name());
                    return refuse("train.loss", problem, "take mean_squared_error");
                }
                if let Some(node) = self.graph.nodes.iter().find(|node| adds_to_loss(&node.layer)) {
                    let problem = format!(
                        "is {name}, and `{}` adds to the loss by what it gives, which the regularizer has no \
                         formula for",
                        node.name
                    );
                    let remedy = "remove its activity_regularizer or kl_weight";
                    return refuse("train.method", problem, remedy);
                }
                let [height, width, _] = input;
                if height % 2 == 1 || width % 2 == 1 {
                    let problem = format!("is {name}, and the images are {height}x{width}");
                    return refuse("train.method", problem, "take images or patches of even sides");
                }
                if self.open != [true; 2] {
                    let problem = format!("is {name}, which trains on halves of {height}x{width}");
                    let remedy =
                        "set -1 for height and width in model.input_shape, and data.patches.size";
                    return refuse("train.method", problem, remedy);
                }
                match self.with_input_size([height / 2, width / 2]) {
                    Ok(_) => Ok(()),
                    Err(error) => {
                        let problem = format!(
                            "is {name}, which trains on halves of {height}x{width}, of which a layer {}",
                            error.problem
                        );
                        refuse("train.method", problem, "take larger patches")
                    }
                }
            }
        }
    }

    /// Something of an image has to be seen, and what replaces a pixel to lie beyond its block.
    fn check_mask(&self, own: &Noise2Void) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: String, remedy: &str| {
            Err(self.source.error(&format!("train.method.{key}"), problem, remedy))
        };
        let Block(hidden) = own.hidden;
        if own.window.is_multiple_of(2) {
            return refuse("window", format!("is {}", own.window), "give an odd number");
        }
        if hidden.iter().all(|side| side.is_none_or(|side| side >= own.window)) {
            let problem = format!("is {}, and all of that is hidden", own.window);
            return refuse("window", problem, "make it larger than a side of hidden");
        }
        let [height, width, _] = self.input_shape;
        let (cells, sides) = (own.cells([height, width]), [height, width]);
        let block = |axis: usize| hidden[axis].unwrap_or(sides[axis]).min(sides[axis]);
        // Blocks may lie side by side.
        if cells[0] * block(0) * cells[1] * block(1) >= height * width {
            let problem = format!("may hide all of an image of {height}x{width}");
            return refuse("hidden", problem, "make it smaller, or mask fewer pixels with masked");
        }
        let patches = image_files(&self.config.data).and_then(|files| files.patches.as_ref());
        if hidden[0] != hidden[1] && patches.is_some_and(|patches| patches.rotations) {
            let problem = "is no square, and data.patches.rotations turns the noise";
            return refuse("hidden", problem.to_owned(), "set data.patches.rotations=false");
        }
        Ok(())
    }
}

fn adds_to_loss(layer: &Layer) -> bool {
    layer.activity_regularizer().is_some()
        || matches!(layer, Layer::Sampling(sampling) if sampling.kl_weight > 0.0)
}
