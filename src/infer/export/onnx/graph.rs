//! A graph that grows by one operator after the other, with the names that ONNX needs.

use super::proto::{Attribute, FLOAT, INT64, Node, Tensor};
use crate::formats::checkpoint::Array;

/// The name of the graph's input.
pub const INPUT: &str = "input";
/// The name of its output.
pub const OUTPUT: &str = "output";

/// Operators so far, and the value that they arrived at.
#[derive(Debug)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub initializers: Vec<Tensor>,
    /// The value that the next layer receives, by its name.
    pub value: String,
    /// The layer that is being lowered: `encoder.conv2d`.
    layer: String,
}

impl Graph {
    /// Without an operator: its value is its input.
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            initializers: Vec::new(),
            value: INPUT.to_owned(),
            layer: String::new(),
        }
    }

    /// Names what is added next.
    pub fn enter(&mut self, layer: String) {
        self.layer = layer;
    }

    /// Appends an operator on the value and some constants; its output becomes the value.
    pub fn op(&mut self, kind: &str, constants: &[String], attributes: Vec<Attribute>) {
        let inputs = std::iter::once(self.value.clone()).chain(constants.iter().cloned()).collect();
        self.op_on(kind, inputs, attributes);
    }

    /// The same on values of any names.
    pub fn op_on(&mut self, kind: &str, input: Vec<String>, attribute: Vec<Attribute>) {
        let name = format!("{}/{}_{kind}", self.layer, self.nodes.len());
        self.value.clone_from(&name);
        self.nodes.push(Node {
            input,
            output: vec![name.clone()],
            name,
            op_type: kind.to_owned(),
            attribute,
        });
    }

    /// An array of float32 under a name of its own; returns the name. Layers that share it name it once for
    /// each shape in which they read it.
    pub fn weight(&mut self, suffix: &str, array: &Array, shape: &[usize]) -> String {
        let dims: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
        let mut name = format!("{}.{suffix}", self.layer);
        while let Some(there) = self.initializers.iter().find(|tensor| tensor.name == name) {
            if there.dims == dims {
                return name;
            }
            name.push('_');
        }
        self.add(name, FLOAT, shape, array.bytes().to_vec())
    }

    /// Constant numbers; returns their name.
    pub fn floats(&mut self, shape: &[usize], values: &[f32]) -> String {
        let name = format!("{}/constant_{}", self.layer, self.initializers.len());
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.add(name, FLOAT, shape, bytes)
    }

    /// Constant whole numbers, in a row; returns their name.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let name = format!("{}/constant_{}", self.layer, self.initializers.len());
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.add(name, INT64, &[values.len()], bytes)
    }

    fn add(&mut self, name: String, data_type: i32, shape: &[usize], raw_data: Vec<u8>) -> String {
        let dims = shape.iter().map(|&side| side as i64).collect();
        self.initializers.push(Tensor { dims, data_type, name: name.clone(), raw_data });
        name
    }

    /// Gives the value the name of the graph's output.
    pub fn finish(&mut self) {
        let read = self.nodes.iter().any(|node| node.input.contains(&self.value));
        let last = self.nodes.last().is_some_and(|node| node.output[0] == self.value);
        if read || !last {
            self.op("Identity", &[], vec![]);
        }
        let last = self.nodes.last_mut().expect("there is an operator by now");
        OUTPUT.clone_into(&mut last.output[0]);
        OUTPUT.clone_into(&mut self.value);
    }
}
