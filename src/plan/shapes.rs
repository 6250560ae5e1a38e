//! What each layer makes of a shape: Keras's rules.

use std::fmt;

use super::graph::Op;
use crate::config::layers::{Convolution, Geometry, Layer, Pair, Pooling, Sides, TargetShape};
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
    #[must_use]
    pub fn channels(&self) -> usize {
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
pub struct ShapeError {
    /// A sentence whose subject is the layer.
    pub problem: String,
    /// What to change in the config.
    pub remedy: String,
}

impl ShapeError {
    /// Of a model for another size than its own.
    pub(super) fn misfit(problem: &str) -> Self {
        Self { problem: problem.to_owned(), remedy: "keep the model's own size".to_owned() }
    }
}

fn misfit<T>(problem: String, remedy: impl Into<String>) -> Result<T, ShapeError> {
    Err(ShapeError { problem, remedy: remedy.into() })
}

/// What a node gives for inputs of these shapes, of which there is at least one.
pub(super) fn output_of(op: &Op, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    match op {
        Op::Layer(layer) => output_of_layer(layer, inputs[0]),
        Op::Add => added(inputs),
        Op::Concatenate => concatenated(inputs),
    }
}

fn added(inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    match inputs.iter().find(|shape| **shape != inputs[0]) {
        None => Ok(inputs[0].clone()),
        Some(other) => misfit(
            format!("receives {} and {other}, which have to be equal", inputs[0]),
            "change the layers before it until their outputs have one shape",
        ),
    }
}

/// All axes but the last are equal.
fn concatenated(inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    let sides = |shape: &Shape| shape.0[..shape.0.len() - 1].to_vec();
    let first = sides(inputs[0]);
    if let Some(other) = inputs.iter().find(|shape| sides(shape) != first) {
        return misfit(
            format!("receives {} and {other}, of which only the channels may differ", inputs[0]),
            "change the layers before it until their outputs have one height and width",
        );
    }
    let channels = inputs.iter().fold(0_usize, |all, shape| all.saturating_add(shape.channels()));
    Ok(Shape([first, vec![channels]].concat()))
}

fn output_of_layer(layer: &Layer, input: &Shape) -> Result<Shape, ShapeError> {
    match layer.geometry() {
        Geometry::Convolution(conv) => {
            let [height, width] = convolved(input, conv)?;
            Ok(Shape(vec![height, width, conv.filters]))
        }
        Geometry::Transposed(conv) => {
            let [height, width] = enlarged(input, conv)?;
            Ok(Shape(vec![height, width, conv.filters]))
        }
        Geometry::Pooling(pool) => pooled(input, pool),
        Geometry::UpSampling(up) => {
            let [height, width, channels] = image(input)?;
            let Pair(rows, columns) = up.size;
            let (height, width) = (height.checked_mul(rows), width.checked_mul(columns));
            Ok(Shape(vec![fits(height)?, fits(width)?, channels]))
        }
        Geometry::Dense(dense) => {
            let mut output = input.clone();
            *output.0.last_mut().expect("a shape has a side") = dense.units;
            Ok(output)
        }
        Geometry::Flatten => Ok(Shape(vec![input.values()])),
        Geometry::Reshape(reshape) => reshaped(input, &reshape.target_shape),
        Geometry::Padding(Sides { top, bottom, left, right }) => {
            let [height, width, channels] = image(input)?;
            Ok(Shape(vec![height + top + bottom, width + left + right, channels]))
        }
        Geometry::Cropping(sides) => cropped(input, sides),
        Geometry::Elementwise => Ok(input.clone()),
    }
}

/// Height, width and channels, for layers that need an image.
fn image(input: &Shape) -> Result<[usize; 3], ShapeError> {
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
) -> Result<[usize; 2], ShapeError> {
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

fn convolved(input: &Shape, conv: &Convolution) -> Result<[usize; 2], ShapeError> {
    let [height, width, _] = image(input)?;
    windows([height, width], conv.kernel_size, conv.strides, conv.padding)
}

fn enlarged(input: &Shape, conv: &Convolution) -> Result<[usize; 2], ShapeError> {
    let [height, width, _] = image(input)?;
    let Convolution { kernel_size: Pair(h, w), strides: Pair(down, across), padding, .. } = *conv;
    let rows = fits(conv_transpose_length(height, h, down, padding))?;
    Ok([rows, fits(conv_transpose_length(width, w, across, padding))?])
}

/// Lengths that overflow would be refused for the model's size anyway; say so here.
fn fits(length: Option<usize>) -> Result<usize, ShapeError> {
    length.map_or_else(
        || misfit("makes an image too large to compute".to_owned(), "use smaller strides"),
        Ok,
    )
}

fn pooled(input: &Shape, pool: &Pooling) -> Result<Shape, ShapeError> {
    let [height, width, channels] = image(input)?;
    let strides = pool.strides.unwrap_or(pool.pool_size);
    let [rows, columns] = windows([height, width], pool.pool_size, strides, pool.padding)?;
    Ok(Shape(vec![rows, columns, channels]))
}

fn cropped(input: &Shape, sides: Sides) -> Result<Shape, ShapeError> {
    let [height, width, channels] = image(input)?;
    let rows = height.checked_sub(sides.top + sides.bottom).filter(|&rows| rows > 0);
    let columns = width.checked_sub(sides.left + sides.right).filter(|&columns| columns > 0);
    match (rows, columns) {
        (Some(rows), Some(columns)) => Ok(Shape(vec![rows, columns, channels])),
        _ => misfit(format!("leaves nothing of the {height}x{width} it receives"), "crop less"),
    }
}

fn reshaped(input: &Shape, target: &TargetShape) -> Result<Shape, ShapeError> {
    let given = target.0.iter().flatten().fold(1_usize, |all, &side| all.saturating_mul(side));
    let free = input.values() / given;
    let shape = Shape(target.0.iter().map(|side| side.unwrap_or(free)).collect());
    if shape.values() == input.values() {
        return Ok(shape);
    }
    let problem = format!("cannot give {} values the shape {shape}", input.values());
    misfit(problem, format!("choose sides whose product is {}", input.values()))
}
