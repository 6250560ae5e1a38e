//! The model as a graph: what a plan gives, and what everything else reads. Shapes, weights, libtorch's
//! module, the native engine's stages, exports and the summary all follow its nodes.
//!
//! A config's two lists are the short form of a graph in which each node reads the one before.

use super::regularizers::{check_constraints, check_initializers, check_regularizers};
use super::shapes::{Shape, ShapeError, output_of};
use super::weights::{Weight, weights_of};
use crate::config::layers::Layer;

/// What of a model is to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From image to image.
    Whole,
    /// From image to code.
    Encoder,
    /// From code to image.
    Decoder,
}

impl Part {
    /// What the names of its weights begin with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "model",
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }
}

/// A value of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// What the model receives.
    Input,
    /// What the node at this index gives.
    Node(usize),
}

/// A layer with its place in the model.
#[derive(Debug, Clone)]
pub struct Node {
    /// Keras's name for it: `conv2d_1`.
    pub name: String,
    /// The half that it stands in.
    pub part: Part,
    /// What it computes.
    pub layer: Layer,
    /// The node before it whose weights it uses, where it has none of its own.
    pub shares: Option<usize>,
    /// What it reads: one value, or of a merge several.
    pub inputs: Vec<Value>,
    /// Of one sample, as it goes out.
    pub output: Shape,
    /// In Keras's order; none where it shares those of another node.
    pub weights: Vec<Weight>,
}

impl Node {
    /// What the names of its weights begin with: `encoder.conv2d_1`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}", self.part.name(), self.name)
    }

    /// Number of values that the optimizer changes; saturates.
    #[must_use]
    pub fn trainable(&self) -> usize {
        self.count(true)
    }

    /// Number of values that follow the data: moving statistics.
    #[must_use]
    pub fn non_trainable(&self) -> usize {
        self.count(false)
    }

    fn count(&self, trainable: bool) -> usize {
        let weights = self.weights.iter().filter(|weight| weight.trainable == trainable);
        weights.fold(0, |all, weight| all.saturating_add(weight.count()))
    }
}

/// A model's layers and how they are connected. Nodes stand in topological order: each reads the input and
/// nodes before it.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Of one sample: `[height, width, channels]` of an image.
    pub input: Shape,
    /// In topological order.
    pub nodes: Vec<Node>,
    /// What the model gives.
    pub output: Value,
    /// Where encoder and decoder meet.
    pub code: Value,
}

/// Some of a graph's nodes: from one value to another.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    graph: &'a Graph,
    /// Indices of the nodes that the output needs, in topological order. There may be none: a code can be
    /// the image itself.
    indices: Vec<usize>,
    /// What goes in.
    pub input: Value,
    /// What comes out.
    pub output: Value,
}

/// A connection that leads past the code, so that the code alone does not give the output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{reader}` reads `{read}` past the code")]
pub struct SkipConnection {
    /// The node behind the code.
    pub reader: String,
    /// What it reads.
    pub read: String,
}

impl Graph {
    /// Without nodes: it gives what it receives.
    #[must_use]
    pub fn new(input: Shape) -> Self {
        Self { input, nodes: Vec::new(), output: Value::Input, code: Value::Input }
    }

    /// Appends a node, whose value becomes the graph's output.
    ///
    /// # Errors
    /// When the node cannot take its inputs.
    pub fn add(
        &mut self,
        name: String,
        part: Part,
        layer: Layer,
        inputs: Vec<Value>,
    ) -> Result<Value, ShapeError> {
        let shapes: Vec<&Shape> = inputs.iter().map(|&value| self.shape(value)).collect();
        let output = output_of(&layer, &shapes)?;
        let weights = weights_of(&layer, shapes[0]);
        check_initializers(&layer, &weights)?;
        check_regularizers(&layer, &output, &weights)?;
        check_constraints(&layer, &weights)?;
        self.nodes.push(Node { name, part, layer, shares: None, inputs, output, weights });
        self.output = Value::Node(self.nodes.len() - 1);
        Ok(self.output)
    }

    /// Appends a node that computes what the node at index `of` does, with its weights.
    ///
    /// # Errors
    /// When the node cannot take its inputs, or would need weights of other shapes.
    pub fn add_shared(
        &mut self,
        name: String,
        part: Part,
        of: usize,
        inputs: Vec<Value>,
    ) -> Result<Value, ShapeError> {
        let of = self.owner(of);
        let layer = self.nodes[of].layer.clone();
        let value = self.add(name, part, layer, inputs)?;
        let [.., node] = &mut self.nodes[..] else { unreachable!("one was added") };
        let own = std::mem::take(&mut node.weights);
        node.shares = Some(of);
        if own == self.nodes[of].weights {
            return Ok(value);
        }
        Err(ShapeError {
            problem: format!("needs weights of other shapes than `{}` has", self.nodes[of].name),
            remedy: "give both inputs of as many channels".to_owned(),
        })
    }

    /// The node whose weights the one at this index uses: its own, or those that it shares.
    #[must_use]
    pub fn owner(&self, index: usize) -> usize {
        self.nodes[index].shares.unwrap_or(index)
    }

    /// Shape of a value, without the batch.
    #[must_use]
    pub fn shape(&self, value: Value) -> &Shape {
        match value {
            Value::Input => &self.input,
            Value::Node(index) => &self.nodes[index].output,
        }
    }

    /// Shape of a node's input; of a merge, of its first.
    #[must_use]
    pub fn input_of(&self, node: &Node) -> &Shape {
        self.shape(node.inputs[0])
    }

    /// Name of a value, for people.
    #[must_use]
    pub fn name_of(&self, value: Value) -> &str {
        match value {
            Value::Input => "input",
            Value::Node(index) => &self.nodes[index].name,
        }
    }

    /// Of a graph in which each node reads the one before, and nothing else, and is there once: how many
    /// nodes lead to the code. `None` of any other.
    #[must_use]
    pub fn chain(&self) -> Option<usize> {
        let before = |index: usize| index.checked_sub(1).map_or(Value::Input, Value::Node);
        let follows =
            |(index, node): (usize, &Node)| node.inputs == [before(index)] && node.shares.is_none();
        let is_chain =
            self.nodes.iter().enumerate().all(follows) && self.output == before(self.nodes.len());
        let encoder = match self.code {
            Value::Input => 0,
            Value::Node(index) => index + 1,
        };
        is_chain.then_some(encoder)
    }

    /// Where the trainable values of a node start in the row of all of the model's; of one that shares its
    /// weights, where those of their owner do. Saturates.
    #[must_use]
    pub fn weights_before(&self, index: usize) -> usize {
        let index = if index < self.nodes.len() { self.owner(index) } else { index };
        self.nodes[..index].iter().fold(0, |all, node| all.saturating_add(node.trainable()))
    }

    /// The same connections for an input of another shape.
    ///
    /// # Errors
    /// When a node cannot take what it would receive, or its weights would have another shape.
    pub fn with_input(&self, input: Shape) -> Result<Self, ShapeError> {
        let mut graph = Self::new(input);
        for node in &self.nodes {
            let (name, inputs) = (node.name.clone(), node.inputs.clone());
            match node.shares {
                None => graph.add(name, node.part, node.layer.clone(), inputs)?,
                Some(of) => graph.add_shared(name, node.part, of, inputs)?,
            };
        }
        let weights =
            |graph: &Self| graph.nodes.iter().map(|node| node.weights.clone()).collect::<Vec<_>>();
        if weights(&graph) != weights(self) {
            return Err(ShapeError::misfit("has weights for one size of images only"));
        }
        (graph.output, graph.code) = (self.output, self.code);
        Ok(graph)
    }

    /// Whether it has a layer of signals.
    #[must_use]
    pub fn has_signals(&self) -> bool {
        self.nodes.iter().any(|node| node.layer.in_2d().is_some())
    }

    /// What goes into a part, and what comes out.
    #[must_use]
    pub fn ends(&self, part: Part) -> [Value; 2] {
        match part {
            Part::Whole => [Value::Input, self.output],
            Part::Encoder => [Value::Input, self.code],
            Part::Decoder => [self.code, self.output],
        }
    }

    /// Some of the nodes, by what they are for.
    ///
    /// # Errors
    /// Of the decoder: when a connection leads past the code.
    pub fn section(&self, part: Part) -> Result<Section<'_>, SkipConnection> {
        let [input, output] = self.ends(part);
        let before = match part {
            Part::Decoder => self.ancestors(self.code),
            Part::Whole | Part::Encoder => vec![false; self.nodes.len()],
        };
        let indices = self.between(input, output, &before)?;
        Ok(Section { graph: self, indices, input, output })
    }

    /// Which nodes the output and the code need.
    #[must_use]
    pub fn needed(&self) -> Vec<bool> {
        let code = self.ancestors(self.code);
        self.ancestors(self.output).into_iter().zip(code).map(|(a, b)| a || b).collect()
    }

    /// Which nodes a value needs, its own among them.
    fn ancestors(&self, value: Value) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            let Value::Node(index) = value else { continue };
            if !std::mem::replace(&mut needed[index], true) {
                open.extend(&self.nodes[index].inputs);
            }
        }
        needed
    }

    /// The nodes that `output` needs beside `input`, in topological order; none may read what lies `before`
    /// the input.
    fn between(
        &self,
        input: Value,
        output: Value,
        before: &[bool],
    ) -> Result<Vec<usize>, SkipConnection> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open = vec![output];
        while let Some(value) = open.pop() {
            let Value::Node(index) = value else { continue };
            if value == input || std::mem::replace(&mut needed[index], true) {
                continue;
            }
            let node = &self.nodes[index];
            for &read in node.inputs.iter().filter(|&&read| read != input) {
                let past = match read {
                    Value::Input => true,
                    Value::Node(index) => before[index],
                };
                if past {
                    let read = self.name_of(read).to_owned();
                    return Err(SkipConnection { reader: node.name.clone(), read });
                }
                open.push(read);
            }
        }
        Ok((0..needed.len()).filter(|&index| needed[index]).collect())
    }
}

impl<'a> Section<'a> {
    /// The nodes with their indices in the graph, in topological order.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, &'a Node)> {
        self.indices.iter().map(|&index| (index, &self.graph.nodes[index]))
    }

    /// The graph that it is of.
    #[must_use]
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// Shape of what goes in.
    #[must_use]
    pub fn input_shape(&self) -> &'a Shape {
        self.graph.shape(self.input)
    }

    /// Shape of what comes out.
    #[must_use]
    pub fn output_shape(&self) -> &'a Shape {
        self.graph.shape(self.output)
    }

    /// How many of the section's nodes read a value.
    #[must_use]
    pub fn readers(&self, value: Value) -> usize {
        self.nodes().flat_map(|(_, node)| &node.inputs).filter(|&&read| read == value).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Axis;

    /// Keras's layers as a config writes them.
    fn layer(toml: &str) -> Layer {
        crate::plan::testing::layer(toml)
    }

    fn merge(name: &str) -> Layer {
        layer(&format!("layer = \"{name}\""))
    }

    fn conv(filters: usize, keys: &str) -> Layer {
        layer(&format!("layer = \"Conv2D\", filters = {filters}, {keys}"))
    }

    fn same(filters: usize, kernel_size: usize) -> Layer {
        conv(filters, &format!("kernel_size = {kernel_size}, padding = \"same\""))
    }

    fn graph(input: [usize; 3]) -> Graph {
        Graph::new(Shape(input.to_vec()))
    }

    fn add(graph: &mut Graph, layer: Layer, inputs: &[Value]) -> Value {
        let name = format!("node_{}", graph.nodes.len());
        graph.add(name, Part::Encoder, layer, inputs.to_vec()).unwrap()
    }

    #[test]
    fn a_sum_has_the_shape_of_its_inputs_and_a_concatenation_all_their_channels() {
        let mut graph = graph([6, 8, 3]);
        let one = add(&mut graph, same(4, 3), &[Value::Input]);
        let two = add(&mut graph, same(4, 5), &[Value::Input]);
        let sum = add(&mut graph, merge("Add"), &[one, two, one]);
        let joined = add(&mut graph, merge("Concatenate"), &[sum, Value::Input, one]);
        assert_eq!(graph.shape(sum).0, [6, 8, 4]);
        assert_eq!(graph.shape(joined).0, [6, 8, 11]);
        let last = add(&mut graph, same(2, 1), &[joined]);
        assert_eq!(graph.nodes[4].trainable(), 11 * 2 + 2);
        assert_eq!(graph.weights_before(4), (3 * 9 * 4 + 4) + (3 * 25 * 4 + 4));
        assert_eq!((graph.output, graph.chain()), (last, None));
    }

    #[test]
    fn inputs_that_do_not_fit_each_other_are_refused_by_their_shapes() {
        let mut graph = graph([6, 8, 3]);
        let one = add(&mut graph, same(4, 3), &[Value::Input]);
        let pooled = add(&mut graph, layer("layer = \"MaxPooling2D\""), &[one]);
        for (op, inputs, words) in [
            (
                merge("Add"),
                [one, Value::Input],
                "receives 6x8x4 and 6x8x3, whose sides have to be equal",
            ),
            (
                merge("Concatenate"),
                [one, pooled],
                "receives 6x8x4 and 3x4x4, of which only axis 3 may differ",
            ),
        ] {
            let refused =
                graph.add("x".to_owned(), Part::Encoder, op, inputs.to_vec()).unwrap_err();
            assert!(refused.problem.contains(words), "{refused:?}");
        }
    }

    #[test]
    fn what_is_clear_at_a_merge_is_clear_in_all_of_its_inputs() {
        for op in [merge("Add"), merge("Concatenate")] {
            let mut graph = graph([20, 30, 1]);
            let near = add(&mut graph, same(1, 3), &[Value::Input]);
            let far = add(&mut graph, same(1, 7), &[Value::Input]);
            let merged = add(&mut graph, op, &[near, far, Value::Input]);
            assert_eq!((graph.clear(Axis::Rows), graph.clear(Axis::Columns)), (3..17, 3..27));
            add(&mut graph, same(1, 3), &[merged]);
            assert_eq!(graph.clear(Axis::Rows), 4..16);
            assert_eq!(graph.period(Axis::Rows), 1);
        }
    }

    #[test]
    fn the_period_of_a_merge_is_the_least_common_multiple() {
        let mut graph = graph([24, 36, 1]);
        let resized = |graph: &mut Graph, size: usize| {
            let pool = layer(&format!("layer = \"AveragePooling2D\", pool_size = {size}"));
            let pooled = add(graph, pool, &[Value::Input]);
            add(graph, layer(&format!("layer = \"UpSampling2D\", size = {size}")), &[pooled])
        };
        let (two, three) = (resized(&mut graph, 2), resized(&mut graph, 3));
        add(&mut graph, merge("Add"), &[two, three]);
        assert_eq!((graph.period(Axis::Rows), graph.period(Axis::Columns)), (6, 6));
        assert_eq!(graph.clear(Axis::Rows), 0..24);
    }

    #[test]
    fn what_is_made_of_the_whole_image_lies_on_no_part_of_it() {
        let mut graph = graph([24, 36, 3]);
        let conv = add(&mut graph, same(4, 3), &[Value::Input]);
        let pooled = add(&mut graph, layer("layer = \"MaxPooling2D\""), &[conv]);
        let mean = add(
            &mut graph,
            layer("layer = \"GlobalAveragePooling2D\", keepdims = true"),
            &[pooled],
        );
        let values = add(&mut graph, layer("layer = \"Flatten\""), &[mean]);
        let pixel =
            add(&mut graph, layer("layer = \"Reshape\", target_shape = [1, 1, 4]"), &[values]);
        add(&mut graph, merge("Multiply"), &[pixel, conv]);
        assert_eq!(graph.period(Axis::Rows), 1);
        assert!(graph.sized_node().is_none(), "{:?}", graph.sized_node());
        assert_eq!(graph.whole_node().unwrap().name, "node_2");
        let resized = graph.with_input(Shape(vec![10, 7, 3])).unwrap();
        assert_eq!(resized.shape(resized.output).0, [10, 7, 4]);
        add(&mut graph, layer("layer = \"Flatten\""), &[conv]);
        assert_eq!(graph.sized_node().unwrap().name, "node_6");
    }

    #[test]
    fn layers_of_all_positions_are_whole_and_layers_of_one_size_are_sized() {
        for (toml, whole, sized) in [
            ("layer = \"GroupNormalization\", groups = 1", true, false),
            ("layer = \"LayerNormalization\"", false, false),
            ("layer = \"Softmax\", axis = 1", true, false),
            ("layer = \"Softmax\", axis = 3", false, false),
            ("layer = \"Permute\", dims = [2, 1, 3]", false, true),
            ("layer = \"Permute\", dims = [1, 2, 3]", false, false),
            ("layer = \"PReLU\", shared_axes = [2]", false, true),
            ("layer = \"PReLU\", shared_axes = [2, 1]", false, false),
        ] {
            let mut graph = graph([8, 8, 3]);
            add(&mut graph, layer(toml), &[Value::Input]);
            let found = (graph.whole_node().is_some(), graph.sized_node().is_some());
            assert_eq!(found, (whole, sized), "{toml}");
        }
    }

    #[test]
    fn layers_that_do_not_fit_are_refused_in_a_sentence() {
        for (toml, words) in [
            (
                "layer = \"DepthToSpace\", block_size = 2",
                "makes blocks of 2x2 pixels of 3 channels",
            ),
            ("layer = \"Permute\", dims = [1, 1, 2]", "has dims = [1, 1, 2], but receives 8x8x3"),
            ("layer = \"Permute\", dims = [2, 1]", "has dims = [2, 1], but receives 8x8x3"),
            ("layer = \"GroupNormalization\"", "has 32 groups, but receives 3 channels"),
            ("layer = \"GroupNormalization\", groups = 0", "has 0 groups"),
            (
                "layer = \"Conv2D\", filters = 4, kernel_size = 3, groups = 3",
                "has 3 groups, but receives 3 channels and has 4 filters",
            ),
            (
                "layer = \"Conv2DTranspose\", filters = 4, kernel_size = 3, strides = 2, dilation_rate = 2",
                "has strides and a dilation_rate above 1",
            ),
            (
                "layer = \"Conv2D\", filters = 4, kernel_size = 3, dilation_rate = 4",
                "has a window of 9x9, larger than the 8x8 it receives",
            ),
        ] {
            let mut graph = graph([8, 8, 3]);
            let refused = graph
                .add("x".to_owned(), Part::Encoder, layer(toml), vec![Value::Input])
                .unwrap_err();
            assert!(refused.problem.contains(words), "{toml}: {refused:?}");
        }
        let mut graph = graph([8, 8, 3]);
        let other = add(&mut graph, same(1, 3), &[Value::Input]);
        let refused = graph
            .add("x".to_owned(), Part::Encoder, merge("Sampling"), vec![Value::Input, other])
            .unwrap_err();
        assert!(refused.problem.contains("receives 8x8x3 and 8x8x1, which have to be equal"));
    }

    #[test]
    fn strides_whose_product_is_astronomic_have_the_largest_period_there_is() {
        let mut graph = graph([1, 1, 1]);
        let pool =
            "layer = \"AveragePooling2D\", pool_size = 1, strides = 1024, padding = \"same\"";
        for _ in 0..7 {
            let input = graph.output;
            add(&mut graph, layer(pool), &[input]);
        }
        assert_eq!(graph.period(Axis::Rows), usize::MAX);
    }

    #[test]
    fn the_code_of_a_chain_is_any_of_its_values() {
        let mut graph = graph([6, 8, 1]);
        let code = add(&mut graph, same(2, 3), &[Value::Input]);
        let last = add(&mut graph, same(1, 3), &[code]);
        graph.code = last;
        assert_eq!(graph.chain(), Some(2));
        graph.code = code;
        assert_eq!(graph.chain(), Some(1));
        graph.code = Value::Input;
        assert_eq!(graph.chain(), Some(0));
    }

    #[test]
    fn nodes_that_the_output_does_not_need_belong_to_no_section() {
        let mut graph = graph([6, 8, 1]);
        let code = add(&mut graph, same(2, 3), &[Value::Input]);
        add(&mut graph, same(5, 3), &[code]);
        let output = add(&mut graph, same(1, 3), &[code]);
        (graph.code, graph.output) = (code, output);
        let nodes = |part: Part| -> Vec<usize> {
            graph.section(part).unwrap().nodes().map(|(index, _)| index).collect()
        };
        assert_eq!(
            [Part::Whole, Part::Encoder, Part::Decoder].map(nodes),
            [vec![0, 2], vec![0], vec![2]]
        );
    }

    #[test]
    fn a_connection_past_the_code_is_named_by_its_ends() {
        let mut graph = graph([6, 8, 1]);
        let first = add(&mut graph, same(2, 3), &[Value::Input]);
        let code = add(&mut graph, same(2, 3), &[first]);
        add(&mut graph, merge("Add"), &[first, code]);
        graph.code = code;
        let refused = graph.section(Part::Decoder).unwrap_err();
        assert_eq!(refused.to_string(), "`node_2` reads `node_0` past the code");
        assert!(graph.section(Part::Encoder).is_ok() && graph.section(Part::Whole).is_ok());
    }

    #[test]
    fn another_size_is_followed_through_every_branch() {
        let mut graph = graph([8, 8, 1]);
        let pooled = add(&mut graph, layer("layer = \"MaxPooling2D\""), &[Value::Input]);
        let up = add(&mut graph, layer("layer = \"UpSampling2D\""), &[pooled]);
        add(&mut graph, merge("Add"), &[Value::Input, up]);
        let resized = graph.with_input(Shape(vec![6, 10, 1])).unwrap();
        assert_eq!(resized.shape(resized.output).0, [6, 10, 1]);
        let refused = graph.with_input(Shape(vec![7, 8, 1])).unwrap_err();
        assert!(refused.problem.contains("7x8x1 and 6x8x1"), "{refused:?}");
    }
}
