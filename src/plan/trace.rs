//! What each layer makes of a shape, and how many weights it has: Keras's rules.

use std::fmt;

use crate::config::layers::{Convolution, Layer, Pair, Pooling, Sides, TargetShape};
use crate::nn::{Padding, conv_transpose_length, window_length};

/// A shape without the batch: `[values]`, or `[height, width, channels]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// Number of values; saturates.
    #[must_use]
    pub fn values(&self) -> usize {
        self.0.iter().fold(1, |all, &side| all.saturating_mul(side))
    }

    /// Size of the last axis, which holds the channels.
    fn channels(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&sides.join("x"))
    }
}

/// Why a layer does not fit the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceError {
    /// A sentence whose subject is the layer.
    pub problem: String,
    /// What to change in the config.
    pub remedy: String,
}

fn misfit<T>(problem: String, remedy: impl Into<String>) -> Result<T, TraceError> {
    Err(TraceError { problem, remedy: remedy.into() })
}

/// What a layer gives and holds.
#[derive(Debug)]
pub(super) struct Traced {
    pub output: Shape,
    pub trainable: usize,
    pub moving: usize,
}

/// Follows a shape through one layer.
pub(super) fn trace(layer: &Layer, input: &Shape) -> Result<Traced, TraceError> {
    let last = input.channels();
    let plain = |output| Ok(Traced { output, trainable: 0, moving: 0 });
    let learned = |output, trainable| Ok(Traced { output, trainable, moving: 0 });
    match layer {
        Layer::Conv2D(conv) | Layer::Conv2DTranspose(conv) => {
            let transposed = matches!(layer, Layer::Conv2DTranspose(_));
            let [height, width] =
                if transposed { enlarged(input, conv) } else { convolved(input, conv) }?;
            let weights = kernel_weights(conv.kernel_size, last, conv.filters, conv.use_bias);
            learned(Shape(vec![height, width, conv.filters]), weights)
        }
        Layer::MaxPooling2D(pool) | Layer::AveragePooling2D(pool) => plain(pooled(input, pool)?),
        Layer::UpSampling2D(up) => {
            let [height, width, channels] = picture(input)?;
            let Pair(rows, columns) = up.size;
            plain(Shape(vec![
                fits(height.checked_mul(rows))?,
                fits(width.checked_mul(columns))?,
                channels,
            ]))
        }
        Layer::Dense(dense) => {
            let mut output = input.clone();
            *output.0.last_mut().expect("a shape has a side") = dense.units;
            learned(output, kernel_weights(Pair(1, 1), last, dense.units, dense.use_bias))
        }
        Layer::Flatten(_) => plain(Shape(vec![input.values()])),
        Layer::Reshape(reshape) => plain(reshaped(input, &reshape.target_shape)?),
        Layer::BatchNormalization(norm) => Ok(Traced {
            output: input.clone(),
            trainable: last * (usize::from(norm.center) + usize::from(norm.scale)),
            moving: last * 2,
        }),
        Layer::ZeroPadding2D(pad) => {
            let [height, width, channels] = picture(input)?;
            let Sides { top, bottom, left, right } = pad.padding;
            plain(Shape(vec![height + top + bottom, width + left + right, channels]))
        }
        Layer::Cropping2D(crop) => plain(cropped(input, crop.cropping)?),
        Layer::Dropout(_)
        | Layer::GaussianNoise(_)
        | Layer::ReLU(_)
        | Layer::LeakyReLU(_)
        | Layer::Activation(_) => plain(input.clone()),
    }
}

fn kernel_weights(Pair(h, w): Pair, inputs: usize, outputs: usize, use_bias: bool) -> usize {
    let kernel =
        [h, w, inputs, outputs].iter().fold(1_usize, |all, &side| all.saturating_mul(side));
    kernel.saturating_add(if use_bias { outputs } else { 0 })
}

/// Height, width and channels, for layers that need a picture.
fn picture(input: &Shape) -> Result<[usize; 3], TraceError> {
    input.0.as_slice().try_into().or_else(|_| {
        let problem = format!("needs height, width and channels, but receives {input}");
        misfit(problem, "put a Reshape before it")
    })
}

fn windows(
    sides: [usize; 2],
    Pair(h, w): Pair,
    Pair(down, across): Pair,
    padding: Padding,
) -> Result<[usize; 2], TraceError> {
    let lengths =
        (window_length(sides[0], h, down, padding), window_length(sides[1], w, across, padding));
    match lengths {
        (Some(height), Some(width)) => Ok([height, width]),
        _ => misfit(
            format!(
                "has a window of {h}x{w}, larger than the {}x{} it receives",
                sides[0], sides[1]
            ),
            "make the window smaller, or set padding = \"same\"",
        ),
    }
}

fn convolved(input: &Shape, conv: &Convolution) -> Result<[usize; 2], TraceError> {
    let [height, width, _] = picture(input)?;
    windows([height, width], conv.kernel_size, conv.strides, conv.padding)
}

fn enlarged(input: &Shape, conv: &Convolution) -> Result<[usize; 2], TraceError> {
    let [height, width, _] = picture(input)?;
    let Convolution { kernel_size: Pair(h, w), strides: Pair(down, across), padding, .. } = *conv;
    let rows = fits(conv_transpose_length(height, h, down, padding))?;
    Ok([rows, fits(conv_transpose_length(width, w, across, padding))?])
}

/// Lengths that overflow would be refused for the model's size anyway; say so here.
fn fits(length: Option<usize>) -> Result<usize, TraceError> {
    length.map_or_else(
        || misfit("makes a picture too large to compute".to_owned(), "use smaller strides"),
        Ok,
    )
}

fn pooled(input: &Shape, pool: &Pooling) -> Result<Shape, TraceError> {
    let [height, width, channels] = picture(input)?;
    let strides = pool.strides.unwrap_or(pool.pool_size);
    let [rows, columns] = windows([height, width], pool.pool_size, strides, pool.padding)?;
    Ok(Shape(vec![rows, columns, channels]))
}

fn cropped(input: &Shape, sides: Sides) -> Result<Shape, TraceError> {
    let [height, width, channels] = picture(input)?;
    let rows = height.checked_sub(sides.top + sides.bottom).filter(|&rows| rows > 0);
    let columns = width.checked_sub(sides.left + sides.right).filter(|&columns| columns > 0);
    match (rows, columns) {
        (Some(rows), Some(columns)) => Ok(Shape(vec![rows, columns, channels])),
        _ => misfit(format!("leaves nothing of the {height}x{width} it receives"), "crop less"),
    }
}

fn reshaped(input: &Shape, target: &TargetShape) -> Result<Shape, TraceError> {
    let given = target.0.iter().flatten().fold(1_usize, |all, &side| all.saturating_mul(side));
    let free = input.values() / given;
    let shape = Shape(target.0.iter().map(|side| side.unwrap_or(free)).collect());
    if shape.values() == input.values() {
        return Ok(shape);
    }
    let problem = format!("cannot give {} values the shape {shape}", input.values());
    misfit(problem, format!("choose sides whose product is {}", input.values()))
}
