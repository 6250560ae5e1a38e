//! How far a model looks, along one side of a picture: what a picture that was cut into tiles has to
//! share between them. Exact, from each layer's kernel, strides and padding.

use std::ops::Range;

use super::{Plan, PlannedLayer};
use crate::config::layers::{Convolution, Layer, Pair, Pooling};
use crate::config::sections::Config;
use crate::nn::{Interpolation, Padding, same_padding};
use crate::plan::trace::{self, Shape, TraceError};

/// A side of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Along the height.
    Rows,
    /// Along the width.
    Columns,
}

impl Axis {
    /// Of a height and a width, the one that this axis has.
    #[must_use]
    pub fn of<T: Copy>(self, [height, width]: [T; 2]) -> T {
        match self {
            Self::Rows => height,
            Self::Columns => width,
        }
    }

    fn of_pair(self, Pair(height, width): Pair) -> usize {
        self.of([height, width])
    }

    fn length(self, shape: &Shape) -> usize {
        shape.0[self.of([0, 1])]
    }
}

impl Plan {
    /// The same model on pictures of another height and width.
    ///
    /// # Errors
    /// When a layer cannot take them, its weights would have another shape, or the output would have
    /// another size than the input.
    pub fn with_input_size(&self, [height, width]: [usize; 2]) -> Result<Self, TraceError> {
        let input_shape = [height, width, self.input_shape[2]];
        let mut shape = Shape(input_shape.to_vec());
        let mut layers = Vec::with_capacity(self.layers.len());
        for planned in &self.layers {
            let traced = trace::trace(&planned.layer, &shape)?;
            if (traced.trainable, traced.moving) != (planned.trainable, planned.moving) {
                return Err(misfit("has weights for one size of pictures only"));
            }
            if traced.output.values() > super::LARGEST_MODEL {
                return Err(misfit("makes the model too large to compute"));
            }
            let input = std::mem::replace(&mut shape, traced.output.clone());
            layers.push(PlannedLayer { input, output: traced.output, ..planned.clone() });
        }
        if shape.0 != input_shape {
            return Err(misfit("is followed by others that do not lead back to the input's size"));
        }
        let mut config: Config = self.config.clone();
        config.model.input_shape = input_shape.to_vec();
        Ok(Self { config, input_shape, layers, encoder_length: self.encoder_length })
    }

    /// Whether an image with a side of that length comes out with the same; its other side does not
    /// matter. Not for models with a [`sized_layer`](Self::sized_layer).
    #[must_use]
    pub fn gives_back(&self, axis: Axis, length: usize) -> bool {
        let mut shape = Shape(self.input_shape.to_vec());
        shape.0[axis.of([0, 1])] = length;
        let wanted = shape.clone();
        for planned in &self.layers {
            let Ok(traced) = trace::trace(&planned.layer, &shape) else { return false };
            shape = traced.output;
        }
        shape == wanted
    }

    /// The first layer whose weights or meaning hang on the size of the pictures.
    #[must_use]
    pub fn sized_layer(&self) -> Option<&PlannedLayer> {
        let sized = |planned: &&PlannedLayer| {
            matches!(planned.layer, Layer::Flatten(_) | Layer::Reshape(_))
        };
        self.layers.iter().find(sized)
    }

    /// A picture that is moved by so many pixels gives an output that is moved alike.
    ///
    /// Smaller shifts fall between the strides of some layer.
    #[must_use]
    pub fn period(&self, axis: Axis) -> usize {
        // A pixel of the layer is `fine / coarse` of one of the input.
        let (mut fine, mut coarse, mut period) = (1, 1, 1);
        for planned in &self.layers {
            match Reads::of(planned, axis) {
                Reads::Window { stride, .. } => coarse *= stride,
                Reads::Spread { stride, .. }
                | Reads::Nearest { stride }
                | Reads::Blend { stride } => fine *= stride,
                Reads::Shift(_) => {}
            }
            let common = greatest_divisor(fine, coarse);
            (fine, coarse) = (fine / common, coarse / common);
            period = period / greatest_divisor(period, coarse) * coarse;
        }
        period
    }

    /// Positions of the output, along an axis, that do not depend on what lies beyond the input: what
    /// the model gives there is the same whether a picture ends or goes on. Not for models with a
    /// [`sized_layer`](Self::sized_layer).
    #[must_use]
    pub fn clear(&self, axis: Axis) -> Range<usize> {
        let mut clear = 0..axis.of([self.input_shape[0], self.input_shape[1]]) as isize;
        for planned in &self.layers {
            let reads = Reads::of(planned, axis);
            let length = axis.length(&planned.output) as isize;
            // Both ends of what is read only grow with the position.
            let start = (0..length).find(|&i| reads.range(i).0 >= clear.start).unwrap_or(length);
            let end = (start..length).rev().find(|&i| reads.range(i).1 < clear.end);
            clear = start..end.map_or(start, |last| last + 1);
        }
        clear.start as usize..clear.end as usize
    }
}

fn misfit(problem: &str) -> TraceError {
    TraceError { problem: problem.to_owned(), remedy: "keep the model's own size".to_owned() }
}

fn greatest_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

/// Which positions of its input a layer reads for one of its output.
#[derive(Debug, Clone, Copy)]
enum Reads {
    /// A window that stands `before` positions ahead of the strided one.
    Window { window: isize, stride: usize, before: isize },
    /// Those whose windows fall on it, where the first `start` of all were cut off.
    Spread { window: isize, stride: usize, start: isize },
    /// The one that it repeats.
    Nearest { stride: usize },
    /// The two that it lies between.
    Blend { stride: usize },
    /// The one so far away.
    Shift(isize),
}

impl Reads {
    fn of(planned: &PlannedLayer, axis: Axis) -> Self {
        let length = axis.length(&planned.input);
        match &planned.layer {
            Layer::Conv2D(Convolution { kernel_size, strides, padding, .. }) => {
                Self::window(axis.of_pair(*kernel_size), axis.of_pair(*strides), *padding, length)
            }
            Layer::MaxPooling2D(pool) | Layer::AveragePooling2D(pool) => {
                let Pooling { pool_size, strides, padding } = *pool;
                let stride = axis.of_pair(strides.unwrap_or(pool_size));
                Self::window(axis.of_pair(pool_size), stride, padding, length)
            }
            Layer::Conv2DTranspose(Convolution { kernel_size, strides, padding, .. }) => {
                let (window, stride) = (axis.of_pair(*kernel_size), axis.of_pair(*strides));
                let start = match padding {
                    Padding::Valid => 0,
                    Padding::Same => window.saturating_sub(stride) / 2,
                };
                Self::Spread { window: window as isize, stride, start: start as isize }
            }
            Layer::UpSampling2D(up) => {
                let stride = axis.of_pair(up.size);
                match up.interpolation {
                    Interpolation::Nearest => Self::Nearest { stride },
                    Interpolation::Bilinear => Self::Blend { stride },
                }
            }
            Layer::ZeroPadding2D(pad) => {
                Self::Shift(-(axis.of([pad.padding.top, pad.padding.left]) as isize))
            }
            Layer::Cropping2D(crop) => {
                Self::Shift(axis.of([crop.cropping.top, crop.cropping.left]) as isize)
            }
            Layer::Dense(_)
            | Layer::Flatten(_)
            | Layer::Reshape(_)
            | Layer::BatchNormalization(_)
            | Layer::Dropout(_)
            | Layer::GaussianNoise(_)
            | Layer::ReLU(_)
            | Layer::LeakyReLU(_)
            | Layer::Activation(_) => Self::Shift(0),
        }
    }

    fn window(window: usize, stride: usize, padding: Padding, length: usize) -> Self {
        let before = match padding {
            Padding::Valid => 0,
            Padding::Same => same_padding(length, window, stride).0,
        };
        Self::Window { window: window as isize, stride, before: before as isize }
    }

    /// The first and the last position.
    fn range(self, position: isize) -> (isize, isize) {
        match self {
            Self::Window { window, stride, before } => {
                let first = position * stride as isize - before;
                (first, first + window - 1)
            }
            Self::Spread { window, stride, start } => {
                let stride = stride as isize;
                let last = (position + start).div_euclid(stride);
                let first = (position + start - window + stride).div_euclid(stride);
                // Where a stride exceeds its window, nothing falls between two positions.
                (first.min(last), last.max(first))
            }
            Self::Nearest { stride } => {
                let source = position.div_euclid(stride as isize);
                (source, source)
            }
            Self::Blend { stride } => {
                let stride = stride as isize;
                let first = (2 * position + 1 - stride).div_euclid(2 * stride);
                (first, first + 1)
            }
            Self::Shift(by) => (position + by, position + by),
        }
    }
}
