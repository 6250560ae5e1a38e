//! How far a model looks, along one side of an image: what an image that was cut into tiles has to
//! share between them. Exact, from each layer's kernel, strides and padding.

use std::ops::Range;

use super::shapes::axis_of;
use super::{Graph, Node, Plan, Shape, ShapeError, Value, view};
use crate::config::layers::{Geometry, InputShape, Layer, Pair, Pooling, Windows};
use crate::config::sections::Config;
use crate::nn::Interpolation;

/// A side of an image.
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

    /// Of an image's height, width and channels.
    pub(super) fn of_image(self, [height, width, _]: [usize; 3]) -> usize {
        self.of([height, width])
    }

    fn of_pair(self, Pair(height, width): Pair) -> usize {
        self.of([height, width])
    }

    pub(super) fn length(self, shape: &Shape) -> usize {
        shape.computed().0[self.of([0, 1])]
    }
}

impl Plan {
    /// The same model on images of another height and width.
    ///
    /// # Errors
    /// When a layer cannot take them, its weights would have another shape, or the output would not have
    /// the size that belongs to the input's ([`Plan::scale`]).
    pub fn with_input_size(&self, [height, width]: [usize; 2]) -> Result<Self, ShapeError> {
        if self.graph.input.0.len() != 3 && (self.open == [false; 2] || height != 1) {
            let own = self.input_shape[..2] == [height, width];
            let misfit = || ShapeError::misfit("takes inputs of one shape only");
            return own.then(|| self.clone()).ok_or_else(misfit);
        }
        let input_shape = [height, width, self.input_shape[2]];
        let graph = self.graph.with_input(view::input_of(&self.graph, input_shape))?;
        if graph.nodes.iter().any(|node| node.output.values() > super::build::LARGEST_MODEL) {
            return Err(ShapeError::misfit("makes the model too large to compute"));
        }
        let output = graph.shape(graph.output);
        for (axis, side) in [(Axis::Rows, height), (Axis::Columns, width)] {
            let scale = self.scale(axis);
            if scale.is_some_and(|scale| scale.of(side) != Some(axis.length(output))) {
                let problem = "is followed by others that do not lead back to the input's size";
                return Err(ShapeError::misfit(problem));
            }
        }
        let mut config: Config = self.config.clone();
        // An open size stays open: that this is one of many is nothing to be saved.
        let sides = graph.input.0.iter().enumerate();
        let shape = sides.map(|(axis, &side)| (!self.is_open(&graph.input, axis)).then_some(side));
        config.model.input_shape = InputShape(shape.collect());
        let output_shape = view::of_shape(&graph, output);
        Ok(Self { config, input_shape, output_shape, graph, ..self.clone() })
    }

    /// Whether an image with a side of that length comes out with the length that belongs to it
    /// ([`Plan::scale`]), the same for most models; its other side does not matter. Not for models with a
    /// [`sized_layer`](Self::sized_layer).
    #[must_use]
    pub fn gives_back(&self, axis: Axis, length: usize) -> bool {
        let output = self.output_length(axis, length);
        output.is_some() && self.scale(axis).is_some_and(|scale| scale.of(length) == output)
    }

    /// The first layer whose weights or meaning hang on the size of the images. A model of vectors, or of signals of
    /// so many steps, takes one size only.
    #[must_use]
    pub fn sized_layer(&self) -> Option<&Node> {
        if self.graph.input.0.len() == 3 || self.open != [false; 2] {
            self.graph.sized_node()
        } else {
            self.graph.nodes.first()
        }
    }

    /// Whether a side of such a value, counted without the batch, is as long as the input says.
    pub(crate) fn is_open(&self, shape: &Shape, axis: usize) -> bool {
        match shape.0.len() {
            3 => self.open.get(axis) == Some(&true),
            2 => axis == 0 && self.graph.input.0.len() == 2 && self.open[1],
            _ => false,
        }
    }

    /// The first layer whose output hangs on the whole image, of whatever size: such a model cannot be applied
    /// to an image tile by tile.
    #[must_use]
    pub fn whole_layer(&self) -> Option<&Node> {
        self.graph.whole_node()
    }

    /// As [`Graph::period`].
    #[must_use]
    pub fn period(&self, axis: Axis) -> usize {
        self.graph.period(axis)
    }

    /// As [`Graph::clear`].
    #[must_use]
    pub fn clear(&self, axis: Axis) -> Range<usize> {
        self.graph.clear(axis)
    }
}

/// How a value's pixels lie on the input's.
#[derive(Debug, Clone, Copy)]
struct Steps {
    /// A pixel of the value is `coarse / fine` pixels of the input.
    coarse: usize,
    fine: usize,
    /// Shifts of the input by multiples of this shift the value by whole pixels.
    period: usize,
}

impl Graph {
    /// An input that is moved by so many pixels gives an output that is moved alike: the least common
    /// multiple over all ways through the graph; saturates. Smaller shifts fall between the strides of some
    /// layer. The inputs of a merge are taken to lie on the input alike, as equal shapes at every size do; those
    /// that lie on no part of it do not count.
    #[must_use]
    pub fn period(&self, axis: Axis) -> usize {
        self.steps(axis).period
    }

    /// How many pixels of the output lie on how many of the input, in lowest terms.
    pub(super) fn pixels(&self, axis: Axis) -> (usize, usize) {
        let Steps { fine, coarse, .. } = self.steps(axis);
        (fine, coarse)
    }

    fn steps(&self, axis: Axis) -> Steps {
        let start = Steps { coarse: 1, fine: 1, period: 1 };
        let mut known: Vec<Steps> = Vec::with_capacity(self.nodes.len());
        let on_image = self.on_image();
        for node in &self.nodes {
            let read = node.inputs.iter().filter(|&&value| lies(&on_image, value));
            let read = read.map(|&value| match value {
                Value::Input => start,
                Value::Node(index) => known[index],
            });
            let read = read.reduce(|all, one| Steps {
                period: common_multiple(all.period, one.period),
                ..all
            });
            let before = read.unwrap_or(start);
            known.push(self.reads(node, axis).map_or(before, |reads| before.through(reads)));
        }
        match self.output {
            Value::Input => start,
            Value::Node(index) => known[index],
        }
    }

    /// Where the middle of what the output's first pixel reads lies on the input, in pixels from the first; as
    /// if the input went on before it.
    pub(super) fn first_centre(&self, axis: Axis) -> f64 {
        // A position `x` of a value lies at `times * x + first`.
        let start = (1.0, 0.0);
        let mut known: Vec<(f64, f64)> = Vec::with_capacity(self.nodes.len());
        let on_image = self.on_image();
        for node in &self.nodes {
            let read = node.inputs.iter().find(|&&value| lies(&on_image, value));
            let (times, first) = match *read.unwrap_or(&node.inputs[0]) {
                Value::Input => start,
                Value::Node(index) => known[index],
            };
            let (step, at) = self.reads(node, axis).map_or((1.0, 0.0), Reads::centre);
            known.push((times * step, times * at + first));
        }
        match self.output {
            Value::Input => 0.0,
            Value::Node(index) => known[index].1,
        }
    }

    /// Positions of the output, along an axis, that do not depend on what lies beyond the input: what
    /// the model gives there is the same whether an image ends or goes on. At a merge, those that are so
    /// in all of its inputs. Not for models with a [`sized_layer`](Plan::sized_layer), or a
    /// [`whole_layer`](Plan::whole_layer).
    #[must_use]
    pub fn clear(&self, axis: Axis) -> Range<usize> {
        let start = 0..axis.length(&self.input) as isize;
        let mut known: Vec<Range<isize>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let read = node.inputs.iter().map(|&value| match value {
                Value::Input => start.clone(),
                Value::Node(index) => known[index].clone(),
            });
            let read = read.reduce(|all, one| all.start.max(one.start)..all.end.min(one.end));
            let before = read.unwrap_or(start.clone());
            let length = axis.length(&node.output) as isize;
            known.push(match self.reads(node, axis) {
                Some(reads) => reads.clear(&before, length),
                None => before.start..before.end.max(before.start),
            });
        }
        let clear = match self.output {
            Value::Input => start,
            Value::Node(index) => known[index].clone(),
        };
        clear.start as usize..clear.end as usize
    }

    /// Which positions a node reads; a merge reads the same position of each input.
    fn reads(&self, node: &Node, axis: Axis) -> Option<Reads> {
        let input = self.input_of(node);
        let in_2d = node.layer.in_2d();
        let layer = in_2d.as_ref().unwrap_or(&node.layer);
        let of_layer = || Reads::of(layer, axis.length(input), axis);
        // A vector has no positions.
        (!node.layer.is_merge() && input.0.len() > 1).then(of_layer)
    }

    /// Which nodes' values have positions that lie on the input's: not what a layer has made of the whole image.
    fn on_image(&self) -> Vec<bool> {
        let mut known: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let gathers = is_global(&node.layer);
            let reads = node.inputs.iter().any(|&value| lies(&known, value));
            known.push(reads && !gathers);
        }
        known
    }

    /// The first node whose output hangs on the whole image, whatever its size.
    #[must_use]
    pub fn whole_node(&self) -> Option<&Node> {
        let on_image = self.on_image();
        let reads_image = |node: &Node| node.inputs.iter().any(|&value| lies(&on_image, value));
        self.nodes.iter().find(|node| {
            let is_whole = match &node.layer {
                Layer::GroupNormalization(_) => true,
                Layer::Softmax(layer) => {
                    axis_of(&node.output, layer.axis) != Some(node.output.0.len() - 1)
                }
                layer => is_global(layer),
            };
            is_whole && reads_image(node)
        })
    }

    /// The first node whose weights or meaning hang on the size of the images.
    #[must_use]
    pub fn sized_node(&self) -> Option<&Node> {
        let on_image = self.on_image();
        self.nodes.iter().find(|node| self.is_sized(node, &on_image))
    }

    /// Whether a node's weights or meaning hang on the size of the images: it reads all positions at once, puts
    /// positions side by side, or spreads one over all others. What was made of the whole image has no size.
    fn is_sized(&self, node: &Node, on_image: &[bool]) -> bool {
        let lies = |value: &&Value| lies(on_image, **value);
        if !node.inputs.iter().any(|value| lies(&value)) {
            return false;
        }
        let channels = node.output.0.len() - 1;
        if let Layer::PReLU(layer) = &node.layer {
            return !(1..=channels).all(|axis| layer.shared_axes.contains(&axis));
        }
        match node.layer.geometry() {
            _ if is_global(&node.layer) => false,
            _ if channels == 0 => true,
            Geometry::Flatten | Geometry::Reshape(_) => true,
            Geometry::Permute(dims) => !dims.iter().copied().eq(1..=dims.len()),
            Geometry::Concatenate(axis) => axis_of(&node.output, axis) != Some(channels),
            Geometry::Merge => {
                let sides = |shape: &Shape| shape.0[..shape.0.len() - 1].to_vec();
                let mut read = node.inputs.iter().filter(lies);
                read.any(|&value| sides(self.shape(value)) != sides(&node.output))
            }
            _ => false,
        }
    }
}

/// Whether a layer makes one value of each channel.
fn is_global(layer: &Layer) -> bool {
    let in_2d = layer.in_2d();
    matches!(in_2d.as_ref().unwrap_or(layer).geometry(), Geometry::Global(_))
}

/// Whether a value lies on the image, as the nodes before it do.
fn lies(on_image: &[bool], value: Value) -> bool {
    match value {
        Value::Input => true,
        Value::Node(index) => on_image[index],
    }
}

impl Steps {
    fn through(self, reads: Reads) -> Self {
        let Self { mut coarse, mut fine, period } = self;
        match reads {
            Reads::Window { stride, .. } => coarse = coarse.saturating_mul(stride),
            Reads::Spread { stride, .. } | Reads::Nearest { stride } | Reads::Blend { stride } => {
                fine = fine.saturating_mul(stride);
            }
            Reads::Shift(_) => {}
        }
        let common = greatest_divisor(fine, coarse);
        let (coarse, fine) = (coarse / common, fine / common);
        Self { coarse, fine, period: common_multiple(period, coarse) }
    }
}

fn common_multiple(a: usize, b: usize) -> usize {
    (a / greatest_divisor(a, b)).saturating_mul(b)
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
    /// `length` is that of the layer's input.
    fn of(layer: &Layer, length: usize, axis: Axis) -> Self {
        match layer.geometry() {
            Geometry::Convolution(conv) => Self::windows(conv.windows(), length, axis),
            Geometry::Depthwise(windows, _) => Self::windows(windows, length, axis),
            Geometry::Pooling(pool) => {
                let Pooling { pool_size: size, strides, padding } = *pool;
                let strides = strides.unwrap_or(size);
                Self::windows(Windows { size, strides, padding }, length, axis)
            }
            Geometry::Transposed(conv) => {
                let Windows { size, strides, padding } = conv.windows();
                let (window, stride) = (axis.of_pair(size), axis.of_pair(strides));
                let start = padding.cut(window, stride).0;
                Self::Spread { window: window as isize, stride, start: start as isize }
            }
            Geometry::UpSampling(up) => {
                let stride = axis.of_pair(up.size);
                match up.interpolation {
                    Interpolation::Nearest => Self::Nearest { stride },
                    Interpolation::Bilinear => Self::Blend { stride },
                }
            }
            Geometry::DepthToSpace(stride) => Self::Nearest { stride },
            Geometry::Padding(sides) => Self::Shift(-(axis.of([sides.top, sides.left]) as isize)),
            Geometry::Cropping(sides) => Self::Shift(axis.of([sides.top, sides.left]) as isize),
            Geometry::Dense(_)
            | Geometry::Flatten
            | Geometry::Reshape(_)
            | Geometry::Repeat(_)
            | Geometry::Global(_)
            | Geometry::Permute(_)
            | Geometry::Elementwise
            | Geometry::Merge
            | Geometry::Concatenate(_) => Self::Shift(0),
            Geometry::Signal => unreachable!("a layer of signals is that of images on one row"),
        }
    }

    fn windows(windows: Windows, length: usize, axis: Axis) -> Self {
        let (window, stride) = (axis.of_pair(windows.size), axis.of_pair(windows.strides));
        let before = windows.padding.added(length, window, stride).0;
        Self::Window { window: window as isize, stride, before: before as isize }
    }

    /// Of `length` positions those that read clear ones only.
    fn clear(self, clear: &Range<isize>, length: isize) -> Range<isize> {
        // Both ends of what is read only grow with the position.
        let start = (0..length).find(|&i| self.range(i).0 >= clear.start).unwrap_or(length);
        let end = (start..length).rev().find(|&i| self.range(i).1 < clear.end);
        start..end.map_or(start, |last| last + 1)
    }

    /// The middle of what positions 0 and 1 read: how far apart they are, and where the first is.
    fn centre(self) -> (f64, f64) {
        match self {
            Self::Window { window, stride, before } => {
                (stride as f64, (window - 1) as f64 / 2.0 - before as f64)
            }
            Self::Spread { window, stride, start } => {
                let stride = stride as f64;
                (1.0 / stride, (start as f64 - (window - 1) as f64 / 2.0) / stride)
            }
            Self::Nearest { stride } | Self::Blend { stride } => {
                let stride = stride as f64;
                (1.0 / stride, 0.5 / stride - 0.5)
            }
            Self::Shift(by) => (1.0, by as f64),
        }
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
