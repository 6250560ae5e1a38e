//! A model for pictures of another size than the one that it was trained on: the weights of a
//! convolution do not depend on it.

use super::trace::trace;
use super::{Plan, PlannedLayer, Shape};
use crate::config::layers::Layer;

impl Plan {
    /// The same model for pictures of this height and width.
    ///
    /// # Errors
    /// Why it takes no such pictures, as a sentence about "it".
    pub fn for_size(&self, height: usize, width: usize) -> Result<Self, String> {
        let [own_height, own_width, channels] = self.input_shape;
        if (height, width) == (own_height, own_width) {
            return Ok(self.clone());
        }
        let input_shape = [height, width, channels];
        let mut shape = Shape(input_shape.to_vec());
        let mut layers = Vec::with_capacity(self.layers.len());
        for planned in &self.layers {
            if matches!(planned.layer, Layer::Flatten(_) | Layer::Reshape(_)) {
                return Err(format!(
                    "it takes {own_width}x{own_height} pixels only, because of its {}",
                    planned.name
                ));
            }
            let traced = trace(&planned.layer, &shape)
                .map_err(|error| format!("its {} {}", planned.name, error.problem))?;
            let input = std::mem::replace(&mut shape, traced.output.clone());
            layers.push(PlannedLayer { input, output: traced.output, ..planned.clone() });
        }
        match shape.0[..] {
            [h, w, _] if (h, w) == (height, width) => {}
            _ => return Err(format!("it would give back {shape} for {height}x{width}x{channels}")),
        }
        let mut config = self.config.clone();
        config.model.input_shape = input_shape.to_vec();
        Ok(Self { config, input_shape, layers, encoder_length: self.encoder_length })
    }

    /// The same model for pictures whose codes have this shape.
    #[must_use]
    pub fn for_code(&self, code: &Shape) -> Option<Self> {
        let own = self.code_shape();
        if *code == own {
            return Some(self.clone());
        }
        let ([own_height, own_width, _], [height, width, _]) = (&own.0[..], &code.0[..]) else {
            return None;
        };
        // Strides make a code smaller by factors.
        let [picture_height, picture_width, _] = self.input_shape;
        let side =
            |picture: usize, own: usize, asked: usize| Some(picture.checked_mul(asked)? / own);
        let height = side(picture_height, *own_height, *height)?;
        let width = side(picture_width, *own_width, *width)?;
        if height == 0 || width == 0 {
            return None;
        }
        self.for_size(height, width).ok().filter(|plan| plan.code_shape() == *code)
    }
}
