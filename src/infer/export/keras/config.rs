//! A model as Keras's JSON: what `model.get_config()` gives, in the form of Keras 3.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::compile;
use crate::config::layers::{DepthToSpace, Layer};
use crate::config::schema::Field;
use crate::infer::export::Exporter;
use crate::plan::{Node, Plan, Shape, Value};

/// The name of the layer that receives the images.
const INPUT: &str = "input";

/// All of an archive's `config.json`.
pub fn model(model: &Exporter) -> Json {
    let functional = Functional::of(model);
    let mut layers = vec![functional.input_layer()];
    let graph = &model.plan.graph;
    for (index, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.shares.is_none()) {
        layers.extend(functional.layers(index, node));
    }
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    json!({
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": model.plan.config.name.chars().map(allowed).collect::<String>(),
            "trainable": true,
            "layers": layers,
            "input_layers": [INPUT, 0, 0],
            "output_layers": functional.history(graph.output),
        },
        "registered_name": "Functional",
        "build_config": { "input_shape": null },
        "compile_config": compile::config(model),
    })
}

/// A model whose connections are being written.
struct Functional<'a> {
    model: &'a Exporter,
    /// Of each node: how many times its layer was there before.
    calls: Vec<usize>,
    open: [bool; 2],
}

impl<'a> Functional<'a> {
    fn of(model: &'a Exporter) -> Self {
        let graph = &model.plan.graph;
        let mut counts: HashMap<usize, usize> = HashMap::new();
        let calls = (0..graph.nodes.len())
            .map(|index| {
                let count = counts.entry(graph.owner(index)).or_default();
                *count += 1;
                *count - 1
            })
            .collect();
        // Keras's Reshape, by which a DepthToSpace is written, is of one size.
        let is_free = model.takes_other_sizes() && !has_depth_to_space(&model.plan);
        Self { model, calls, open: [is_free; 2] }
    }

    fn input_layer(&self) -> Json {
        json!({
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {
                "batch_shape": self.shape(&self.model.plan.graph.input),
                "dtype": self.type_of_values(),
                "sparse": false,
                "name": INPUT,
            },
            "registered_name": null,
            "name": INPUT,
            "inbound_nodes": [],
        })
    }

    /// A layer with all places where it stands: one of Keras's, or several that do the same.
    fn layers(&self, index: usize, node: &Node) -> Vec<Json> {
        let graph = &self.model.plan.graph;
        let places = (graph.nodes.iter().enumerate())
            .filter(|(place, _)| graph.owner(*place) == index)
            .map(|(_, node)| self.inbound(node));
        let places: Vec<Json> = places.collect();
        if let Layer::DepthToSpace(DepthToSpace { block_size }) = node.layer {
            return self.depth_to_space(node, block_size, places);
        }
        if let Layer::Sampling(_) = node.layer {
            return self.mean(node, &places);
        }
        let shapes = self.input_shapes(node);
        vec![self.layer(&node.name, node.layer.name(), options(&node.layer), shapes, places)]
    }

    fn layer(
        &self,
        name: &str,
        class: &str,
        mut config: Json,
        input_shape: Json,
        places: Vec<Json>,
    ) -> Json {
        config["name"] = json!(name);
        // Keras's SpatialDropout takes no such word.
        if !class.starts_with("SpatialDropout") {
            config["trainable"] = json!(true);
        }
        config["dtype"] = self.dtype();
        json!({
            "module": "keras.layers",
            "class_name": class,
            "config": config,
            "registered_name": null,
            "build_config": { "input_shape": input_shape },
            "name": name,
            "inbound_nodes": places,
        })
    }

    /// Rows and columns of the blocks get axes of their own, which go behind those of the image.
    fn depth_to_space(&self, node: &Node, block: usize, places: Vec<Json>) -> Vec<Json> {
        let input = &self.model.plan.graph.input_of(node).0;
        let (height, width, channels) = (input[0], input[1], node.output.channels());
        let apart = Shape(vec![height, width, block, block, channels]);
        let turned = Shape(vec![height, block, width, block, channels]);
        let names = ["blocks", "rows"].map(|step| self.name_beside(node, step));
        let reading = |name: &str, shape: &Shape| -> Vec<Json> {
            let tensor = |place: usize| self.tensor_of(shape, json!([name, place, 0]));
            (0..places.len())
                .map(|place| json!({ "args": [tensor(place)], "kwargs": {} }))
                .collect()
        };
        let [behind_blocks, behind_rows] =
            [reading(&names[0], &apart), reading(&names[1], &turned)];
        let reshape = |shape: &Shape| json!({ "target_shape": shape.0 });
        let (given, apart_shape, turned_shape) =
            (self.input_shapes(node), self.shape(&apart), self.shape(&turned));
        let dims = json!({ "dims": [1, 3, 2, 4, 5] });
        vec![
            self.layer(&names[0], "Reshape", reshape(&apart), given, places),
            self.layer(&names[1], "Permute", dims, apart_shape, behind_blocks),
            self.layer(&node.name, "Reshape", reshape(&node.output), turned_shape, behind_rows),
        ]
    }

    /// A name for a layer that only the file has, which no other layer has.
    fn name_beside(&self, node: &Node, step: &str) -> String {
        let mut name = format!("{}_{step}", node.name);
        while self.model.plan.graph.nodes.iter().any(|other| other.name == name) {
            name.push('_');
        }
        name
    }

    fn inbound(&self, node: &Node) -> Json {
        let tensors: Vec<Json> = node.inputs.iter().map(|&value| self.tensor(value)).collect();
        let arguments = if node.layer.is_merge() { json!([tensors]) } else { json!(tensors) };
        json!({ "args": arguments, "kwargs": {} })
    }

    /// Of a Sampling, which Keras lacks: the mean, plus nothing of the log-variance, so that the layers that give
    /// it stay a part of the model.
    fn mean(&self, node: &Node, places: &[Json]) -> Vec<Json> {
        let shape = self.shape(&node.output);
        let nothing = self.name_beside(node, "nothing");
        let reads = |place: usize, input: usize| places[place]["args"][0][input].clone();
        let all = 0..places.len();
        let log_variances =
            all.clone().map(|place| json!({ "args": [reads(place, 1)], "kwargs": {} })).collect();
        let sums = all.map(|place| {
            let zero = self.tensor_of(&node.output, json!([nothing, place, 0]));
            json!({ "args": [[reads(place, 0), zero]], "kwargs": {} })
        });
        let zero = json!({ "scale": 0.0, "offset": 0.0 });
        let both = json!([shape, shape]);
        vec![
            self.layer(&nothing, "Rescaling", zero, shape, log_variances),
            self.layer(&node.name, "Add", json!({}), both, sums.collect()),
        ]
    }

    fn tensor(&self, value: Value) -> Json {
        self.tensor_of(self.model.plan.graph.shape(value), self.history(value))
    }

    fn tensor_of(&self, shape: &Shape, history: Json) -> Json {
        json!({
            "class_name": "__keras_tensor__",
            "config": {
                "shape": self.shape(shape),
                "dtype": self.type_of_values(),
                "keras_history": history,
            },
        })
    }

    /// The layer, which of its places, and which of its outputs.
    fn history(&self, value: Value) -> Json {
        let graph = &self.model.plan.graph;
        match value {
            Value::Input => json!([INPUT, 0, 0]),
            Value::Node(index) => {
                json!([graph.nodes[graph.owner(index)].name, self.calls[index], 0])
            }
        }
    }

    fn input_shapes(&self, node: &Node) -> Json {
        let graph = &self.model.plan.graph;
        let mut shapes = node.inputs.iter().map(|&value| self.shape(graph.shape(value)));
        if node.layer.is_merge() {
            return shapes.collect();
        }
        shapes.next().unwrap_or(Json::Null)
    }

    /// With the batch; height and width of an image, and the steps of a signal, are null where they are free.
    fn shape(&self, shape: &Shape) -> Json {
        let rank = self.model.plan.graph.input.0.len();
        let side = |(axis, side): (usize, &usize)| {
            let is_open = match shape.0.len() {
                3 => self.open.get(axis) == Some(&true),
                2 => rank == 2 && axis == 0 && self.open[1],
                _ => false,
            };
            if is_open { Json::Null } else { json!(side) }
        };
        std::iter::once(Json::Null).chain(shape.0.iter().enumerate().map(side)).collect()
    }

    /// Of a layer: the policy.
    fn dtype(&self) -> Json {
        json!(self.model.plan.config.train.dtype.name())
    }

    /// Of what is no layer, and has no policy.
    fn type_of_values(&self) -> Json {
        json!(self.model.plan.config.train.dtype.of_weights().name())
    }
}

/// Whether a layer makes pixels of channels, which no layer of Keras's does.
pub(in crate::infer::export) fn has_depth_to_space(plan: &Plan) -> bool {
    plan.graph.nodes.iter().any(|node| matches!(node.layer, Layer::DepthToSpace(_)))
}

/// The layer's table in a config, every default written out: the keys are Keras's.
fn options(layer: &Layer) -> Json {
    let table = layer.write().expect("a layer has a table");
    let mut options = serde_json::to_value(table).expect("a table is JSON");
    let keys = options.as_object_mut().expect("a layer is a table");
    keys.shift_remove(Layer::KIND);
    for (key, value) in keys {
        let module = OBJECTS.iter().find(|(ending, _)| key.ends_with(ending));
        if let (Some((_, module)), Json::Object(options)) = (module, &mut *value) {
            let name = options.shift_remove("name");
            *value = json!({
                "module": module, "class_name": name, "config": options, "registered_name": null,
            });
        }
    }
    options
}

/// Endings of the keys that hold one of Keras's objects, and the module that the object is from.
const OBJECTS: [(&str, &str); 3] = [
    ("_initializer", "keras.initializers"),
    ("_regularizer", "keras.regularizers"),
    ("_constraint", "keras.constraints"),
];
