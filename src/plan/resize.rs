//! A model for images of another size than the one that it was trained on: the weights of a
//! convolution do not depend on it.

use super::{Axis, Plan, Scale, Shape};

/// Sides that are looked at to find the next one that a model gives back: a config may have strides whose
/// product is astronomic.
pub(crate) const LARGEST_PERIOD: usize = 1 << 16;

impl Plan {
    /// The same model for images of this height and width.
    ///
    /// # Errors
    /// Why it takes no such images, as a sentence.
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

    /// The same model for inputs of this shape, in Keras's axes.
    ///
    /// # Errors
    /// As [`Plan::for_size`].
    pub fn for_shape(&self, shape: &Shape) -> Result<Self, String> {
        match shape.0[..] {
            _ if *shape == self.graph.input => Ok(self.clone()),
            [height, width, channels] if self.input_shape[2] == channels => {
                self.for_size(height, width)
            }
            [steps, channels]
                if self.open[1]
                    && self.graph.input.0.len() == 2
                    && self.input_shape[2] == channels =>
            {
                self.for_size(1, steps)
            }
            _ => Err(format!("it takes {}", self.graph.input)),
        }
    }

    /// The same model for images of the next height and width that come out as large as they go in. `None` of a
    /// model that gives other sizes, or takes one only.
    #[must_use]
    pub fn for_size_around(&self, height: usize, width: usize) -> Option<Self> {
        let next = |axis: Axis, side: usize| {
            let same = self.scale(axis) == Some(Scale::SAME) && self.sized_layer().is_none();
            let period = self.period(axis).min(LARGEST_PERIOD);
            same.then(|| (side..=side + period).find(|&side| self.gives_back(axis, side)))?
        };
        self.for_size(next(Axis::Rows, height)?, next(Axis::Columns, width)?).ok()
    }

    /// The same model for images whose codes have this shape.
    #[must_use]
    pub fn for_code(&self, code: &Shape) -> Option<Self> {
        let own = self.code_shape();
        if code == own {
            return Some(self.clone());
        }
        let ([own_height, own_width, _], [height, width, _]) = (&own.0[..], &code.0[..]) else {
            return None;
        };
        // Strides make a code smaller by factors.
        let [image_height, image_width, _] = self.input_shape;
        let side = |image: usize, own: usize, asked: usize| Some(image.checked_mul(asked)? / own);
        let height = side(image_height, *own_height, *height)?;
        let width = side(image_width, *own_width, *width)?;
        if height == 0 || width == 0 {
            return None;
        }
        self.for_size(height, width).ok().filter(|plan| plan.code_shape() == code)
    }
}
