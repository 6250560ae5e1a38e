//! What goes into a model and what comes out of it, as images: data, targets, corruption, metrics and drawings
//! know `[height, width, channels]` only. A view has the same values in the same order, channels last; the
//! graph, the engines and the exports keep Keras's own shapes.

use super::{Graph, Plan, Shape};
use crate::config::sections::Data;
use crate::config::{ConfigError, Source};

/// How the input is seen: an image as it is, a signal `[steps, channels]` as an image of one row, a matrix
/// `[height, width]` as a grey image, a vector as a square image where it has as many values, else as one row.
///
/// # Errors
/// When the data are image files, and a vector is no square image.
pub(super) fn of_input(source: &Source, graph: &Graph) -> Result<[usize; 3], ConfigError> {
    let values = graph.input.values();
    let is_vector = graph.input.0.len() == 1;
    let from_files = matches!(source.config.data, Data::Images(_) | Data::Pairs(_));
    match square(values).filter(|_| is_vector) {
        Some(view) => Ok(view),
        None if is_vector && from_files => {
            let problem = format!("is a vector of {values} values, which no square image has");
            let remedy = "give s * s values for grey images of s x s pixels, 3 * s * s for RGB; or give \
                          [height, width, channels], and begin with a Flatten";
            Err(source.error("model.input_shape", problem, remedy))
        }
        None => Ok(of_shape(graph, &graph.input)),
    }
}

/// How the output is seen: as the input is where it has that one's shape, or as many values in other sides.
fn of_output(graph: &Graph, input: [usize; 3]) -> [usize; 3] {
    let shape = graph.shape(graph.output);
    let ranks = [shape.0.len(), graph.input.0.len()];
    let like_input = shape.values() == graph.input.values() && ranks[0] != ranks[1];
    if *shape == graph.input || like_input { input } else { of_shape(graph, shape) }
}

/// By itself. Two sides are those of a signal where the model has layers of signals.
pub(super) fn of_shape(graph: &Graph, shape: &Shape) -> [usize; 3] {
    match shape.0[..] {
        [height, width, channels] => [height, width, channels],
        [steps, channels] if graph.has_signals() => [1, steps, channels],
        [height, width] => [height, width, 1],
        _ => [1, shape.values(), 1],
    }
}

/// The shape of an input that is seen so: the other way round, where the model is one of images or signals.
pub(super) fn input_of(graph: &Graph, [height, width, channels]: [usize; 3]) -> Shape {
    Shape(if graph.input.0.len() == 3 {
        vec![height, width, channels]
    } else {
        vec![width, channels]
    })
}

/// A grey image of that many values, or an RGB one.
fn square(values: usize) -> Option<[usize; 3]> {
    [1, 3].into_iter().find_map(|channels| {
        let side = (values / channels).isqrt();
        (side * side * channels == values).then_some([side, side, channels])
    })
}

impl Plan {
    /// With the input seen as this image.
    pub(super) fn seen_as(mut self, input: [usize; 3]) -> Self {
        self.input_shape = input;
        self.output_shape = of_output(&self.graph, input);
        self.scales = self.find_scales();
        self
    }

    /// A vector as the data's images are, where it has as many values; else as one row.
    pub(super) fn seen_as_data(self, [height, width, channels]: [usize; 3]) -> Self {
        let values = self.graph.input.values();
        let fits = |channels: &usize| height * width * channels == values;
        let view = [channels, 1, 3].into_iter().find(fits);
        self.seen_as(view.map_or([1, values, 1], |channels| [height, width, channels]))
    }
}
