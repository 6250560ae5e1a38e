//! A model for pictures of another size than the one that it was trained on: the weights of a
//! convolution do not depend on it.

use super::{Plan, Shape};

impl Plan {
    /// The same model for pictures of this height and width.
    ///
    /// # Errors
    /// Why it takes no such pictures, as a sentence.
    pub fn for_size(&self, height: usize, width: usize) -> Result<Self, String> {
        let [own_height, own_width, _] = self.input_shape;
        match self.sized_layer() {
            _ if (height, width) == (own_height, own_width) => Ok(self.clone()),
            Some(layer) => Err(format!(
                "it takes {own_width}x{own_height} pixels only, because of its {}",
                layer.name
            )),
            None => self
                .with_input_size([height, width])
                .map_err(|error| format!("a layer {}", error.problem)),
        }
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
