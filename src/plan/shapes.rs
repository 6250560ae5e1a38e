//! What each layer makes of a shape: Keras's rules.

use std::fmt;

use crate::config::layers::{
    Channels, Conv2D, Convolution, Geometry, Layer, Pair, Pooling, Sides, TargetShape, Windows,
};
use crate::nn::{conv_transpose_length, window_length};

/// A shape without the batch: `[values]`, `[steps, channels]` of a signal (or `[height, width]` of a matrix), or
/// `[height, width, channels]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// Number of values; saturates.
    #[must_use]
    pub fn values(&self) -> usize {
        self.0.iter().fold(1, |all, &side| all.saturating_mul(side))
    }

    /// As the engines and the exports compute on it: two sides are an image of one row, so that every layer of
    /// images works on signals too.
    #[must_use]
    pub fn computed(&self) -> Self {
        match self.0[..] {
            [steps, channels] => Self(vec![1, steps, channels]),
            _ => self.clone(),
        }
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
pub(super) fn output_of(layer: &Layer, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    check_count(layer, inputs.len())?;
    match layer.geometry() {
        Geometry::Merge if matches!(layer, Layer::Sampling(_)) && inputs[0] != inputs[1] => misfit(
            format!("receives {} and {}, which have to be equal", inputs[0], inputs[1]),
            "give mean and log-variance one shape",
        ),
        Geometry::Merge => merged(inputs),
        Geometry::Concatenate(axis) => concatenated(inputs, axis),
        _ => output_of_layer(layer, inputs[0]),
    }
}

/// Keras's merges take two values or more, `Subtract` just two, and every other layer one.
fn check_count(layer: &Layer, count: usize) -> Result<(), ShapeError> {
    let (fits, wanted) = match layer {
        Layer::Subtract(_) | Layer::Sampling(_) => (count == 2, "two"),
        _ if layer.is_merge() => (count >= 2, "two or more"),
        _ => (count == 1, "one"),
    };
    let remedy = || format!("name {wanted} with `inputs`");
    if fits {
        Ok(())
    } else {
        misfit(format!("reads {count} values, and takes {wanted}"), remedy())
    }
}

/// Sides are equal, or 1, which meets any length.
fn merged(inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    let (first, others) = inputs.split_first().expect("a merge has inputs");
    let mut sides = first.0.clone();
    for other in others {
        let fits = |(&one, &two): (&usize, &usize)| one == two || one == 1 || two == 1;
        if other.0.len() != sides.len() || !sides.iter().zip(&other.0).all(fits) {
            return misfit(
                format!("receives {first} and {other}, whose sides have to be equal, or 1"),
                "change the layers before it until their outputs have one shape",
            );
        }
        sides.iter_mut().zip(&other.0).for_each(|(side, &other)| *side = (*side).max(other));
    }
    Ok(Shape(sides))
}

/// All axes but one are equal; `axis` is Keras's, counted with the batch.
fn concatenated(inputs: &[&Shape], axis: i64) -> Result<Shape, ShapeError> {
    let (first, others) = inputs.split_first().expect("a merge has inputs");
    let Some(axis) = axis_of(first, axis) else {
        let remedy = "give an axis of its inputs, counted from 1, or -1 for the channels";
        return misfit(format!("has axis = {axis}, but receives {first}"), remedy);
    };
    let mut sides = first.0.clone();
    for other in others {
        let same = other.0.len() == sides.len()
            && (0..sides.len()).all(|i| i == axis || sides[i] == other.0[i]);
        if !same {
            return misfit(
                format!("receives {first} and {other}, of which only axis {} may differ", axis + 1),
                "change the layers before it until their other sides are equal",
            );
        }
        sides[axis] = sides[axis].saturating_add(other.0[axis]);
    }
    Ok(Shape(sides))
}

/// The side of a shape that Keras's `axis` means, which counts the batch.
pub(crate) fn axis_of(shape: &Shape, axis: i64) -> Option<usize> {
    let sides = shape.0.len() as i64;
    let side = if axis < 0 { sides + axis } else { axis - 1 };
    usize::try_from(side).ok().filter(|&side| side < shape.0.len())
}

/// The same axis of `(N, C, H, W)` or `(N, F)`, as libtorch and ONNX count it; a signal is an image of one row.
///
/// # Panics
/// When the shape has no such side, which a plan refuses.
pub(crate) fn channels_first_axis(shape: &Shape, axis: i64) -> usize {
    let side = axis_of(shape, axis).expect("the plan has checked it");
    let rows_before = shape.computed().0.len() - shape.0.len();
    if side + 1 == shape.0.len() { 1 } else { side + rows_before + 2 }
}

/// What Keras refuses when it makes a layer (`layers/convolutional/base_conv.py`, `layers/activations/prelu.py`).
fn check_options(layer: &Layer, input: &Shape) -> Result<(), ShapeError> {
    if let Layer::Conv2D(Conv2D { conv, .. }) | Layer::Conv2DTranspose(conv) = layer {
        let both = |Pair(one, two): Pair| one.max(two) > 1;
        if both(conv.strides) && both(conv.dilation_rate) {
            let problem = "has strides and a dilation_rate above 1".to_owned();
            return misfit(problem, "set one of them to 1");
        }
    }
    if let Layer::Softmax(layer) = layer
        && axis_of(input, layer.axis).is_none()
    {
        let problem = format!("has axis = {}, but receives {input}", layer.axis);
        return misfit(
            problem,
            "give an axis of its input, counted from 1, or -1 for the channels",
        );
    }
    if let Layer::GroupNormalization(norm) = layer
        && norm.groups_of(input.channels()).is_none()
    {
        let problem =
            format!("has {} groups, but receives {} channels", norm.groups, input.channels());
        return misfit(problem, "choose a number of groups that divides the channels, or -1");
    }
    if let Layer::SpatialDropout2D(_) = layer {
        image(input)?;
    }
    if let Layer::PReLU(layer) = layer
        && let Some(axis) = layer.shared_axes.iter().find(|&&axis| axis > input.0.len())
    {
        let problem = format!("shares axis {axis}, but receives {input}");
        return misfit(problem, "name axes of its input, counted from 1");
    }
    if let Layer::Conv2D(Conv2D { conv, groups }) = layer {
        let (given, filters) = (input.channels(), conv.filters);
        if !given.is_multiple_of(*groups) || !filters.is_multiple_of(*groups) {
            let problem = format!(
                "has {groups} groups, but receives {given} channels and has {filters} filters"
            );
            return misfit(problem, "choose a number of groups that divides both");
        }
    }
    Ok(())
}

fn output_of_layer(layer: &Layer, input: &Shape) -> Result<Shape, ShapeError> {
    check_options(layer, input)?;
    if let Some(layer) = layer.in_2d() {
        let output = output_of_layer(&layer, &signal(input)?.computed())?;
        // A signal again, unless all of its steps became one vector.
        return Ok(if output.0.len() == 3 { Shape(output.0[1..].to_vec()) } else { output });
    }
    match layer.geometry() {
        Geometry::Convolution(conv) => {
            let [height, width] = convolved(input, conv)?;
            Ok(Shape(vec![height, width, conv.filters]))
        }
        Geometry::Transposed(conv) => {
            let [height, width] = enlarged(input, conv)?;
            Ok(Shape(vec![height, width, conv.filters]))
        }
        Geometry::Depthwise(kernels, channels) => {
            let [height, width, given] = image(input)?;
            let [height, width] = windows([height, width], kernels)?;
            let channels = match channels {
                Channels::Count(count) => count,
                Channels::Each(times) => given.saturating_mul(times),
            };
            Ok(Shape(vec![height, width, channels]))
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
        Geometry::Repeat(steps) => match input.0[..] {
            [values] => Ok(Shape(vec![steps, values])),
            _ => misfit(
                format!("needs a vector, but receives {input}"),
                "put a Flatten or a global pooling before it",
            ),
        },
        Geometry::Global(keepdims) => {
            let [_, _, channels] = image(input)?;
            Ok(Shape(if keepdims { vec![1, 1, channels] } else { vec![channels] }))
        }
        Geometry::DepthToSpace(block) => in_blocks(input, block),
        Geometry::Permute(dims) => permuted(input, dims),
        Geometry::Padding(Sides { top, bottom, left, right }) => {
            let [height, width, channels] = image(input)?;
            Ok(Shape(vec![height + top + bottom, width + left + right, channels]))
        }
        Geometry::Cropping(sides) => cropped(input, sides),
        Geometry::Elementwise | Geometry::Merge | Geometry::Concatenate(_) => Ok(input.clone()),
        Geometry::Signal => unreachable!("a layer of signals is that of images on one row"),
    }
}

/// Steps and channels, for layers that need a signal.
fn signal(input: &Shape) -> Result<&Shape, ShapeError> {
    if input.0.len() == 2 {
        return Ok(input);
    }
    let problem = format!("needs steps and channels, but receives {input}");
    misfit(problem, "put a Reshape before it, like target_shape = [-1, 1]")
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
    Windows { size: Pair(h, w), strides: Pair(down, across), padding }: Windows,
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
    windows([height, width], conv.windows())
}

fn enlarged(input: &Shape, conv: &Convolution) -> Result<[usize; 2], ShapeError> {
    let [height, width, _] = image(input)?;
    let Windows { size: Pair(h, w), strides: Pair(down, across), padding } = conv.windows();
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
    let kernels = Windows { size: pool.pool_size, strides, padding: pool.padding };
    let [rows, columns] = windows([height, width], kernels)?;
    Ok(Shape(vec![rows, columns, channels]))
}

fn in_blocks(input: &Shape, block: usize) -> Result<Shape, ShapeError> {
    let [height, width, channels] = image(input)?;
    if !channels.is_multiple_of(block * block) {
        let problem = format!("makes blocks of {block}x{block} pixels of {channels} channels");
        return misfit(problem, format!("give it a multiple of {} channels", block * block));
    }
    let (height, width) = (height.checked_mul(block), width.checked_mul(block));
    Ok(Shape(vec![fits(height)?, fits(width)?, channels / (block * block)]))
}

fn permuted(input: &Shape, dims: &[usize]) -> Result<Shape, ShapeError> {
    let mut sorted = dims.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(1..=input.0.len()) {
        let problem = format!("has dims = {dims:?}, but receives {input}");
        return misfit(problem, "name each axis of its input once, counted from 1");
    }
    Ok(Shape(dims.iter().map(|&axis| input.0[axis - 1]).collect()))
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
