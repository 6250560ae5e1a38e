//! Whole models of every Keras, as JSON, to a config's words.

use std::path::Path;

use serde_json::{Value, json};

use super::import::words_of;
use super::refusal::KerasError;

/// The config of a model, without and with the weights that its layers have.
fn config(model: &Value, version: &str) -> String {
    words_of(Path::new("model.json"), model, Some(version), None, &[]).expect("the model opens").0
}

fn notes(model: &Value, version: &str) -> Vec<String> {
    words_of(Path::new("model.json"), model, Some(version), None, &[]).expect("the model opens").1
}

fn refused(model: &Value) -> String {
    words_of(Path::new("model.json"), model, None, None, &[])
        .expect_err("the model is refused")
        .to_string()
}

/// The lines of a config's lists of layers.
fn layers(config: &str) -> Vec<&str> {
    config.lines().filter(|line| line.contains("layer = ")).map(str::trim).collect()
}

/// A convolution of Keras 2, `same`.
fn conv(name: &str, filters: usize, reads: &Value) -> Value {
    json!({ "class_name": "Conv2D", "name": name, "inbound_nodes": reads, "config": {
        "name": name, "trainable": true, "dtype": "float32", "filters": filters, "kernel_size": [3, 3],
        "strides": [1, 1], "padding": "same", "data_format": "channels_last", "dilation_rate": [1, 1],
        "groups": 1, "activation": "relu", "use_bias": true,
        "kernel_initializer": { "class_name": "GlorotUniform", "config": { "seed": null } },
        "bias_initializer": { "class_name": "Zeros", "config": {} }, "kernel_regularizer": null,
        "bias_regularizer": null, "activity_regularizer": null, "kernel_constraint": null,
        "bias_constraint": null,
    } })
}

fn plain(class: &str, name: &str, config: &Value, reads: &Value) -> Value {
    let mut config = config.clone();
    config["name"] = json!(name);
    json!({ "class_name": class, "name": name, "config": config, "inbound_nodes": reads })
}

fn input(name: &str, shape: &Value) -> Value {
    json!({ "class_name": "InputLayer", "name": name, "inbound_nodes": [],
            "config": { "batch_input_shape": shape, "dtype": "float32", "sparse": false, "name": name } })
}

fn model(layers: &Value, inputs: &Value, outputs: &Value) -> Value {
    json!({ "class_name": "Functional", "config": {
        "name": "net", "layers": layers, "input_layers": inputs, "output_layers": outputs,
    } })
}

#[test]
fn a_model_of_keras_1_opens_in_todays_words() {
    let old = |name: &str, filters: usize, reads: &str| {
        json!({
        "class_name": "Convolution2D", "name": name, "inbound_nodes": [[[reads, 0, 0]]], "config": {
            "name": name, "trainable": true, "nb_filter": filters, "nb_row": 3, "nb_col": 3,
            "subsample": [1, 1], "border_mode": "same", "dim_ordering": "tf", "activation": "relu",
            "bias": true, "init": "glorot_uniform", "W_regularizer": null, "b_regularizer": null,
            "activity_regularizer": null, "W_constraint": null, "b_constraint": null,
        } })
    };
    let json = json!({ "class_name": "Model", "keras_version": "1.2.2", "config": {
        "name": "model_1",
        "layers": [
            { "class_name": "InputLayer", "name": "input_1", "inbound_nodes": [], "config": {
                "batch_input_shape": [null, 32, 32, 1], "input_dtype": "float32", "sparse": false,
                "name": "input_1" } },
            old("convolution2d_1", 8, "input_1"),
            { "class_name": "MaxPooling2D", "name": "maxpooling2d_1", "config": {
                "name": "maxpooling2d_1", "trainable": true, "pool_size": [2, 2], "strides": [2, 2],
                "border_mode": "same", "dim_ordering": "tf" },
              "inbound_nodes": [[["convolution2d_1", 0, 0]]] },
            old("convolution2d_2", 2, "maxpooling2d_1"),
            { "class_name": "UpSampling2D", "name": "up", "config": { "name": "up", "size": [2, 2],
              "dim_ordering": "tf" }, "inbound_nodes": [[["convolution2d_2", 0, 0]]] },
            old("convolution2d_3", 8, "up"),
            { "class_name": "Merge", "name": "merge_1", "config": { "name": "merge_1", "mode": "sum",
              "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "output_shape": null },
              "inbound_nodes": [[["convolution2d_3", 0, 0], ["convolution2d_1", 0, 0]]] },
            old("convolution2d_4", 1, "merge_1"),
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["convolution2d_4", 0, 0]],
    } });
    let config = words_of(Path::new("m"), &json, None, None, &[]).unwrap().0;
    let lines = layers(&config);
    assert_eq!(lines.len(), 7);
    assert!(lines[0].contains("\"Conv2D\"") && lines[0].contains("filters = 8"), "{}", lines[0]);
    assert!(lines[0].contains("kernel_size = [3, 3]") && lines[0].contains("padding = \"same\""));
    assert!(
        lines[5].contains("\"Add\"")
            && lines[5].contains("[\"convolution2d_3\", \"convolution2d_1\"]")
    );
    assert!(
        config.contains("encoder = [") && config.contains("input_shape = [32, 32, 1]"),
        "{config}"
    );
}

#[test]
fn a_sequential_of_keras_1_is_a_list() {
    let json = json!({ "class_name": "Sequential", "keras_version": "1.1.0", "config": [
        { "class_name": "Convolution2D", "config": { "name": "c", "batch_input_shape": [null, null, null, 1],
          "nb_filter": 4, "nb_row": 5, "nb_col": 3, "subsample": [1, 1], "border_mode": "valid",
          "dim_ordering": "tf", "activation": "linear", "bias": false, "init": "he_normal" } },
        { "class_name": "LeakyReLU", "config": { "name": "leaky", "alpha": 0.1 } },
        { "class_name": "Activation", "config": { "name": "act", "activation": "tanh" } },
    ] });
    let config = config(&json, "1.1.0");
    assert!(config.contains("input_shape = [-1, -1, 1]"), "{config}");
    let lines = layers(&config);
    assert!(lines[0].contains("kernel_size = [5, 3]") && lines[0].contains("use_bias = false"));
    assert!(lines[0].contains("kernel_initializer = \"he_normal\""));
    assert!(lines[1].contains("negative_slope = 0.1"), "{lines:?}");
    assert!(lines[2].contains("activation = \"tanh\""), "{lines:?}");
}

#[test]
fn the_flat_connections_of_early_tf_keras_are_read() {
    let json = model(
        &json!([
            input("in", &json!([null, 8, 8, 1])),
            conv("a", 2, &json!([["in", 0, 0, {}]])),
            conv("b", 2, &json!([["a", 0, 0, {}]])),
            plain("Add", "add", &json!({}), &json!([[["a", 0, 0, {}], ["b", 0, 0, {}]]])),
            conv("c", 1, &json!([["add", 0, 0, {}]])),
        ]),
        &json!([["in", 0, 0]]),
        &json!([["c", 0, 0]]),
    );
    let config = config(&json, "2.2.4-tf");
    assert!(layers(&config)[2].contains("inputs = [\"a\", \"b\"]"), "{config}");
}

#[test]
fn inner_models_are_unpacked_whatever_their_first_call_is_called() {
    let encoder = json!({ "class_name": "Functional", "name": "encoder", "inbound_nodes": [[["in", 0, 0, {}]]],
        "config": { "name": "encoder", "input_layers": [["x", 0, 0]], "output_layers": [["conv", 0, 0]],
            "layers": [input("x", &json!([null, 8, 8, 1])), conv("conv", 2, &json!([[["x", 0, 0, {}]]]))] } });
    let decoder = json!({ "class_name": "Sequential", "name": "decoder",
        "inbound_nodes": [[["encoder", 1, 0, {}]]],
        "config": { "name": "decoder", "layers": [
            input("y", &json!([null, 8, 8, 2])),
            conv("conv", 1, &json!(null)),
            plain("TFOpLambda", "not_here", &json!({ "function": "math.sigmoid" }), &json!(null)),
        ] } });
    let json = model(
        &json!([input("in", &json!([null, 8, 8, 1])), encoder, decoder]),
        &json!([["in", 0, 0]]),
        &json!([["decoder", 1, 0]]),
    );
    let config = config(&json, "2.13.1");
    let lines = layers(&config);
    assert!(
        lines[0].contains("name = \"conv\"") && lines[1].contains("name = \"decoder_conv\""),
        "{lines:?}"
    );
    assert!(lines[2].contains("activation = \"sigmoid\""), "{lines:?}");
    assert!(notes(&json, "2.13.1").iter().any(|note| note.contains("conv is decoder_conv")));
}

#[test]
fn a_layer_or_a_model_that_is_used_twice_shares_its_weights() {
    let twice = json!({ "class_name": "Functional", "name": "inner",
        "inbound_nodes": [[["in", 0, 0, {}]], [["inner", 0, 0, {}]]],
        "config": { "name": "inner", "input_layers": [["x", 0, 0]], "output_layers": [["relu", 0, 0]],
            "layers": [input("x", &json!([null, 8, 8, 1])), conv("conv", 1, &json!([[["x", 0, 0, {}]]])),
                       plain("ReLU", "relu", &json!({}), &json!([[["conv", 0, 0, {}]]]))] } });
    let json = model(
        &json!([input("in", &json!([null, 8, 8, 1])), twice]),
        &json!([["in", 0, 0]]),
        &json!([["inner", 1, 0]]),
    );
    let config = config(&json, "2.13.1");
    let lines = layers(&config);
    assert!(
        lines[2].contains("layer = \"Shared\"") && lines[2].contains("of = \"conv\""),
        "{lines:?}"
    );
    assert!(lines[3].contains("layer = \"ReLU\""), "{lines:?}");
}

/// A tensor of Keras 3.
fn tensor(name: &str) -> Value {
    json!({ "class_name": "__keras_tensor__",
            "config": { "shape": [null, 8, 8, 3], "dtype": "float32", "keras_history": [name, 0, 0] } })
}

fn modern(module: &str, class: &str, name: &str, config: &Value, args: &Value) -> Value {
    let mut config = config.clone();
    config["name"] = json!(name);
    json!({ "module": module, "class_name": class, "config": config, "registered_name": null, "name": name,
            "inbound_nodes": [{ "args": args, "kwargs": {} }] })
}

fn modern_conv(name: &str, activation: &Value, reads: &str) -> Value {
    let config = json!({ "trainable": true, "filters": 3, "kernel_size": [3, 3], "padding": "same",
        "dtype": { "module": "keras", "class_name": "DTypePolicy", "config": { "name": "float32" } },
        "activation": activation, "groups": 1 });
    modern("keras.layers", "Conv2D", name, &config, &json!([tensor(reads)]))
}

fn modern_model(layers: Vec<Value>, output: &str) -> Value {
    let first = json!({ "module": "keras.layers", "class_name": "InputLayer", "name": "in", "inbound_nodes": [],
        "config": { "batch_shape": [null, 8, 8, 3], "dtype": "float32", "name": "in" } });
    let layers: Vec<Value> = std::iter::once(first).chain(layers).collect();
    json!({ "module": "keras.src.models.functional", "class_name": "Functional", "registered_name": null,
        "config": { "name": "net", "layers": layers, "input_layers": ["in", 0, 0],
                    "output_layers": [[output, 0, 0]] } })
}

#[test]
fn operations_of_keras_3_become_the_layers_that_they_are() {
    let leaky = json!({ "module": "keras.layers", "class_name": "LeakyReLU", "registered_name": null,
        "config": { "negative_slope": 0.1 } });
    let ops = "keras.src.ops.numpy";
    let json = modern_model(
        vec![
            modern_conv("conv", &leaky, "in"),
            modern(ops, "Add", "add", &json!({}), &json!([tensor("in"), tensor("conv")])),
            modern(ops, "Maximum", "most", &json!({}), &json!([tensor("add"), tensor("conv")])),
            modern(
                ops,
                "Concatenate",
                "both",
                &json!({ "axis": -1 }),
                &json!([[tensor("most"), tensor("in")]]),
            ),
            modern("keras.src.ops.nn", "Sigmoid", "sig", &json!({}), &json!([tensor("both")])),
            modern_conv("out", &json!("sigmoid"), "sig"),
        ],
        "out",
    );
    // An .h5 file says no modules.
    let mut bare = json.clone();
    for layer in bare["config"]["layers"].as_array_mut().unwrap() {
        layer.as_object_mut().unwrap().remove("module");
    }
    for json in [json, bare] {
        let config = config(&json, "3.8.0");
        let lines = layers(&config);
        assert!(
            lines[1].contains("LeakyReLU") && lines[1].contains("conv_activation"),
            "{lines:?}"
        );
        assert!(lines[2].contains("inputs = [\"input\", \"conv_activation\"]"), "{lines:?}");
        assert!(lines[3].contains("\"Maximum\"") && lines[4].contains("axis = -1"), "{lines:?}");
        assert!(lines[5].contains("activation = \"sigmoid\""), "{lines:?}");
    }
}

#[test]
fn everything_that_convae_lacks_is_said_at_once_by_the_users_names() {
    let json = modern_model(
        vec![
            modern(
                "keras.layers",
                "Lambda",
                "scale",
                &json!({ "function": { "class_name": "__lambda__",
                "config": { "code": "4wEAAAAAAAA" } } }),
                &json!([tensor("in")]),
            ),
            modern(
                "keras.layers",
                "LSTM",
                "memory",
                &json!({ "units": 3 }),
                &json!([tensor("scale")]),
            ),
            modern("__main__", "Sampling", "draw", &json!({}), &json!([tensor("memory")])),
            modern("keras.src.ops.numpy", "Add", "plus", &json!({}), &json!([tensor("draw"), 1.0])),
            modern(
                "keras.layers",
                "Conv2D",
                "wide",
                &json!({ "filters": 1, "kernel_size": [3, 3],
                "dilation_rate": [2, 2], "data_format": "channels_first" }),
                &json!([tensor("plus")]),
            ),
            modern(
                "keras.layers",
                "Dropout",
                "drop",
                &json!({ "rate": 0.5 }),
                &json!([tensor("wide")]),
            ),
            modern_conv(
                "out",
                &json!({ "class_name": "function", "module": "builtins", "config": "mine",
                "registered_name": "function" }),
                "drop",
            ),
        ],
        "out",
    );
    let text = refused(&json);
    for words in [
        "scale (Lambda) is Python code, which is never run; ",
        "memory (LSTM) is a layer that convae does not have; ",
        "draw (Sampling) is a layer by a class of its own",
        "plus (Add) computes keras.ops' Add here with a constant",
        "wide (Conv2D) has its channels first; ",
        "--as scale='LAYER(key=value)'",
        "out (Conv2D) has activation = \"mine\"",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("4wEAA"), "{text}");
}

#[test]
fn regularizers_of_every_keras_are_taken_over() {
    let of_keras_1 = json!({ "name": "WeightRegularizer", "l1": 0.0, "l2": 0.5 });
    let of_keras_2 =
        json!({ "class_name": "L1L2", "config": { "l1": 0.0, "l2": 0.009_999_999_776_482_582 } });
    let of_keras_3 = json!({ "module": "keras.regularizers", "class_name": "L1", "config": { "l1": 0.25 },
        "registered_name": null });
    let nothing = json!({ "class_name": "L1L2", "config": { "l1": 0.0, "l2": 0.0 } });
    for (given, wanted) in [
        (of_keras_1, "kernel_regularizer = { name = \"L1L2\", l1 = 0.0, l2 = 0.5 }"),
        (
            of_keras_2,
            "kernel_regularizer = { name = \"L1L2\", l1 = 0.0, l2 = 0.009999999776482582 }",
        ),
        (of_keras_3, "kernel_regularizer = { name = \"L1\", l1 = 0.25 }"),
        (json!("l2"), "kernel_regularizer = \"l2\""),
        (nothing, "kernel_initializer = \"glorot_uniform\", bias_initializer = \"zeros\" }"),
    ] {
        let mut one = conv("c", 1, &json!([[["in", 0, 0, {}]]]));
        one["config"]["kernel_regularizer"] = given.clone();
        let ends = |name: &str| json!([[name, 0, 0]]);
        let json =
            model(&json!([input("in", &json!([null, 8, 8, 1])), one]), &ends("in"), &ends("c"));
        let config = config(&json, "2.13.1");
        assert!(layers(&config)[0].contains(wanted), "{given}: {config}");
        assert!(!notes(&json, "2.13.1").join(" ").contains("left behind"), "{given}");
    }
}

#[test]
fn initializers_of_every_keras_are_taken_over() {
    let object = |class: &str, config: &Value| json!({ "class_name": class, "config": config });
    let of_keras_3 = json!({ "module": "keras.initializers", "class_name": "RandomNormal",
        "config": { "seed": 7, "mean": 0.0, "stddev": 0.25 }, "registered_name": null });
    let of_keras_2 = object("Constant", &json!({ "value": 1 }));
    let scaling =
        json!({ "scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": null });
    let wider = json!({ "scale": 3.0, "mode": "fan_out", "distribution": "normal", "seed": null,
        "input_axes": null, "output_axes": null });
    let generator = json!({ "class_name": "SeedGenerator", "config": { "seed": 1 } });
    let orthogonal = object("OrthogonalInitializer", &json!({ "gain": 2.0, "seed": generator }));
    for (given, wanted) in [
        (of_keras_3, "{ name = \"RandomNormal\", mean = 0.0, stddev = 0.25 }"),
        (of_keras_2, "{ name = \"Constant\", value = 1.0 }"),
        (object("VarianceScaling", &scaling), "\"glorot_uniform\""),
        (
            object("VarianceScaling", &wider),
            "{ name = \"VarianceScaling\", scale = 3.0, mode = \"fan_out\", distribution = \"normal\" }",
        ),
        (orthogonal, "{ name = \"Orthogonal\", gain = 2.0 }"),
        (object("HeNormal", &json!({ "seed": null })), "\"he_normal\""),
        (json!("uniform"), "\"random_uniform\""),
        (json!("TruncatedNormal"), "\"truncated_normal\""),
    ] {
        let mut one = conv("c", 1, &json!([[["in", 0, 0, {}]]]));
        one["config"]["kernel_initializer"] = given.clone();
        one["config"]["bias_initializer"] = json!("one");
        let ends = |name: &str| json!([[name, 0, 0]]);
        let json =
            model(&json!([input("in", &json!([null, 8, 8, 1])), one]), &ends("in"), &ends("c"));
        let config = config(&json, "2.13.1");
        let line = &layers(&config)[0];
        let wanted = format!("kernel_initializer = {wanted}");
        assert!(line.contains(&wanted), "{given}: {line}, not {wanted}");
        assert!(line.contains("bias_initializer = \"ones\""), "{line}");
        assert!(!notes(&json, "2.13.1").join(" ").contains("left behind"), "{given}");
    }
}

#[test]
fn what_changes_training_alone_is_left_behind_and_said() {
    let mut frozen = conv("frozen", 4, &json!([[["in", 0, 0, {}]]]));
    frozen["config"]["trainable"] = json!(false);
    frozen["config"]["kernel_regularizer"] =
        json!({ "class_name": "mine>Tight", "config": { "l2": 0.01 } });
    frozen["config"]["kernel_initializer"] = json!({ "class_name": "STFT", "config": {} });
    frozen["config"]["bias_initializer"] = json!({ "class_name": "mine>Zeros", "config": {} });
    let json = model(
        &json!([
            input("in", &json!([null, 8, 8, 1])),
            frozen,
            conv("c", 1, &json!([[["frozen", 0, 0, {}]]]))
        ]),
        &json!([["in", 0, 0]]),
        &json!([["c", 0, 0]]),
    );
    let said = notes(&json, "2.13.1").join("\n");
    for words in [
        "frozen: kernel_regularizer = Tight is left behind",
        "frozen: kernel_initializer = STFT is left behind: new weights would begin with glorot_uniform",
        "frozen: bias_initializer = Zeros is left behind",
        "frozen: is frozen in the file",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(config(&json, "2.13.1").contains("loss = \"unknown\""));
}

#[test]
fn the_code_is_the_bottleneck_also_where_connections_lead_past_it() {
    let pool = |name: &str, reads: &str| {
        plain("MaxPooling2D", name, &json!({ "pool_size": [2, 2] }), &json!([[[reads, 0, 0, {}]]]))
    };
    let up = |name: &str, reads: &str| {
        plain("UpSampling2D", name, &json!({ "size": [2, 2] }), &json!([[[reads, 0, 0, {}]]]))
    };
    let json = model(
        &json!([
            input("in", &json!([null, null, null, 3])),
            conv("a", 8, &json!([[["in", 0, 0, {}]]])),
            pool("p", "a"),
            conv("b", 4, &json!([[["p", 0, 0, {}]]])),
            plain("Dropout", "drop", &json!({ "rate": 0.5 }), &json!([[["b", 0, 0, {}]]])),
            up("u", "drop"),
            plain(
                "Concatenate",
                "both",
                &json!({ "axis": 3 }),
                &json!([[["u", 0, 0, {}], ["a", 0, 0, {}]]])
            ),
            conv("thin", 1, &json!([[["both", 0, 0, {}]]])),
            conv("out", 3, &json!([[["thin", 0, 0, {}]]])),
        ]),
        &json!([["in", 0, 0]]),
        &json!([["out", 0, 0]]),
    );
    let (config, notes) =
        words_of(Path::new("m"), &json, Some("2.13.1"), Some("drop"), &[]).unwrap();
    let (encoder, decoder) = config.split_once("decoder = [").unwrap();
    assert_eq!((layers(encoder).len(), layers(decoder).len()), (4, 4), "{config}");
    assert!(notes.iter().any(|note| note.contains("`both` reads `a` past the code")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("the code is what drop gives")), "{notes:?}");
    let wrong = words_of(Path::new("m"), &json, None, Some("dropp"), &[]).unwrap_err();
    assert!(wrong.to_string().contains("did you mean `drop`?"), "{wrong}");
}

#[test]
fn several_inputs_or_outputs_are_named_and_one_that_is_idle_is_left_out() {
    let two = |output: &Value| {
        model(
            &json!([
                input("left", &json!([null, 8, 8, 1])),
                input("right", &json!([null, 8, 8, 1])),
                plain(
                    "Add",
                    "add",
                    &json!({}),
                    &json!([[["left", 0, 0, {}], ["right", 0, 0, {}]]])
                ),
                conv("a", 1, &json!([[["add", 0, 0, {}]]])),
                conv("b", 1, &json!([[["left", 0, 0, {}]]]))
            ]),
            &json!([["left", 0, 0], ["right", 0, 0]]),
            output,
        )
    };
    let text = refused(&two(&json!([["a", 0, 0], ["b", 0, 0]])));
    assert!(text.contains("takes 2 inputs (left, right)"), "{text}");
    assert!(text.contains("gives 2 outputs (a, b)"), "{text}");
    let notes = notes(&two(&json!([["b", 0, 0]])), "2.13.1");
    assert!(notes[0].contains("right: is an input that no layer reads"), "{notes:?}");
}

#[test]
fn a_depth_to_space_comes_back_from_the_three_layers_that_keras_has_for_it() {
    let reshape = |name: &str, from: &str, shape: Value| {
        json!({ "class_name": "Reshape", "name": name, "inbound_nodes": [[[from, 0, 0, {}]]],
                "config": { "name": name, "target_shape": shape } })
    };
    let of = |dims: Value, whole: Value| {
        let permute = json!({ "class_name": "Permute", "name": "s_rows", "config": { "name": "s_rows", "dims": dims },
                              "inbound_nodes": [[["s_blocks", 0, 0, {}]]] });
        let layers = json!([
            input("in", &json!([null, 3, 5, 1])),
            conv("c", 8, &json!([[["in", 0, 0, {}]]])),
            reshape("s_blocks", "c", json!([3, 5, 2, 2, 2])),
            permute,
            reshape("s", "s_rows", whole),
        ]);
        model(&layers, &json!([["in", 0, 0]]), &json!([["s", 0, 0]]))
    };
    let config = config(&of(json!([1, 3, 2, 4, 5]), json!([6, 10, 2])), "2.13.1");
    assert!(config.contains("layer = \"DepthToSpace\", name = \"s\", block_size = 2"), "{config}");
    assert!(!config.contains("Reshape") && !config.contains("Permute"), "{config}");
    for (dims, whole) in [([1, 2, 3, 4, 5], [6, 10, 2]), ([1, 3, 2, 4, 5], [10, 6, 2])] {
        assert!(refused(&of(json!(dims), json!(whole))).contains("s_blocks"));
    }
}

#[test]
fn signals_of_any_length_are_opened_as_such() {
    let layers = json!([input("in", &json!([null, null, 3])), {
        "class_name": "Conv1D", "name": "c", "inbound_nodes": [[["in", 0, 0, {}]]],
        "config": { "name": "c", "filters": 3, "kernel_size": [3], "padding": "causal" },
    }]);
    let json = model(&layers, &json!([["in", 0, 0]]), &json!([["c", 0, 0]]));
    let config = config(&json, "2.13.1");
    assert!(config.contains("input_shape = [-1, 3]"), "{config}");
    assert!(config.contains("padding = \"causal\""), "{config}");
}

#[test]
fn inputs_of_other_shapes_are_refused_with_the_way_out() {
    let of = |shape: Value| {
        refused(&model(
            &json!([input("in", &shape), conv("c", 1, &json!([[["in", 0, 0, {}]]]))]),
            &json!([["in", 0, 0]]),
            &json!([["c", 0, 0]]),
        ))
    };
    assert!(of(json!([null, 8, null])).contains("takes inputs of shape [null,8,null]"));
    assert!(of(json!([null, null])).contains("takes inputs of shape [null,null]"));
    assert!(of(json!([null, 4, 28, 28, 1])).contains("takes inputs of shape [null,4,28,28,1]"));
    assert!(of(json!([null, 8, 8, null])).contains("images, with their channels"));
    let subclass = json!({ "class_name": "VAE", "config": { "name": "vae" } });
    assert!(refused(&subclass).contains("vae (VAE) is a model by a class of its own"));
}

#[test]
fn models_that_contradict_themselves_are_refused_in_a_sentence() {
    let circle = model(
        &json!([
            input("in", &json!([null, 8, 8, 1])),
            conv("a", 1, &json!([[["b", 0, 0, {}]]])),
            conv("b", 1, &json!([[["a", 0, 0, {}]]]))
        ]),
        &json!([["in", 0, 0]]),
        &json!([["b", 0, 0]]),
    );
    assert!(refused(&circle).contains("in a circle"));
    let nowhere = model(
        &json!([
            input("in", &json!([null, 8, 8, 1])),
            conv("a", 1, &json!([[["gone", 0, 0, {}]]]))
        ]),
        &json!([["in", 0, 0]]),
        &json!([["a", 0, 0]]),
    );
    assert!(refused(&nowhere).contains("reads a layer `gone` that it does not have"));
    for odd in [
        json!({}),
        json!([]),
        json!({ "class_name": "Functional", "config": null }),
        json!({ "class_name": "Sequential", "config": { "layers": [] } }),
        json!({ "class_name": "Sequential", "config": { "layers": [7, null] } }),
    ] {
        let error = words_of(Path::new("m"), &odd, None, None, &[]).unwrap_err();
        assert!(
            matches!(error, KerasError::Broken { .. } | KerasError::Refused { .. }),
            "{odd}: {error}"
        );
    }
}

#[test]
fn models_within_models_without_end_are_refused_before_they_take_time() {
    let mut inner = json!({ "class_name": "Sequential", "config": { "name": "s0", "layers": [
        conv("c", 1, &json!(null)) ] } });
    for level in 0..12 {
        let copies: Vec<Value> = (0..8).map(|_| inner.clone()).collect();
        if level < 3 {
            inner =
                json!({ "class_name": "Sequential", "config": { "name": "s", "layers": copies } });
        } else {
            // One layer, called many times.
            let nodes: Vec<Value> = (0..8)
                .map(|call| {
                    if call == 0 {
                        json!([["in", 0, 0, {}]])
                    } else {
                        json!([["m", call - 1, 0, {}]])
                    }
                })
                .collect();
            let mut layer = inner.clone();
            layer["name"] = json!("m");
            layer["inbound_nodes"] = json!(nodes);
            inner = model(
                &json!([input("in", &json!([null, 8, 8, 1])), layer]),
                &json!([["in", 0, 0]]),
                &json!([["m", 7, 0]]),
            );
        }
    }
    assert!(refused(&inner).contains("larger than any that convae opens"));
}

#[test]
fn what_only_the_plan_refuses_is_said_by_the_layers_name() {
    let of = |layer: &Value| {
        refused(&model(
            &json!([
                input("in", &json!([null, 8, 8, 1])),
                conv("c", 2, &json!([[["in", 0, 0, {}]]])),
                layer
            ]),
            &json!([["in", 0, 0]]),
            &json!([[layer["name"], 0, 0]]),
        ))
    };
    let flat = plain(
        "Reshape",
        "flat",
        &json!({ "target_shape": [4, 4, 4, 2] }),
        &json!([[["c", 0, 0, {}]]]),
    );
    let text = of(&flat);
    assert!(
        text.contains("the layer flat (Reshape): `target_shape` is [4, 4, 4, 2]; give "),
        "{text}"
    );
    assert!(!of(&flat).contains("model.layers"), "{text}");
}

#[test]
fn what_is_called_with_training_always_is_refused_in_every_spelling() {
    for (class, asks, refuses) in [
        ("Dropout", json!(true), true),
        ("Dropout", json!(1), true),
        ("BatchNormalizationV1", json!(true), true),
        ("Dropout", json!(0), false),
        ("Dropout", json!(null), false),
    ] {
        let config = if class == "Dropout" { json!({ "rate": 0.5 }) } else { json!({ "axis": 3 }) };
        let called = json!([[["c", 0, 0, { "training": asks }]]]);
        let layers = json!([
            input("in", &json!([null, 8, 8, 1])),
            conv("c", 1, &json!([[["in", 0, 0, {}]]])),
            plain(class, "d", &config, &called),
        ]);
        let model = model(&layers, &json!([["in", 0, 0]]), &json!([["d", 0, 0]]));
        let words = words_of(Path::new("m"), &model, None, None, &[]);
        assert_eq!(words.is_err(), refuses, "{class} {asks}");
    }
}

#[test]
fn the_options_of_a_function_of_tensorflow_count() {
    let of = |layer: Value| {
        let layers = json!([
            input("in", &json!([null, 8, 8, 1])),
            conv("c", 1, &json!([[["in", 0, 0, {}]]])),
            layer,
        ]);
        let model = model(&layers, &json!([["in", 0, 0]]), &json!([["f", 0, 0]]));
        words_of(Path::new("m"), &model, None, None, &[])
    };
    let node = json!({ "node_def": { "op": "LeakyRelu", "attr": { "alpha": { "f": 0.1 } } }, "constants": {} });
    let (config, _) =
        of(plain("TensorFlowOpLayer", "f", &node, &json!([[["c", 0, 0, {}]]]))).unwrap();
    assert!(layers(&config)[1].contains("negative_slope = 0.1"), "{config}");
    let silu = |options: Value| {
        of(plain(
            "TFOpLambda",
            "f",
            &json!({ "function": "nn.silu" }),
            &json!([["c", 0, 0, options]]),
        ))
    };
    assert!(silu(json!({})).unwrap().0.contains("silu"));
    assert!(silu(json!({ "beta": 2.0 })).is_err());
}

#[test]
fn a_layer_that_an_inner_model_and_the_outer_one_use_is_one() {
    let conv = |reads: &str| modern_conv("conv", &json!("relu"), reads);
    let mut again = conv("inner");
    again["shared_object_id"] = json!(140_252_915_627_728_u64);
    let mut inner = modern_model(vec![conv("in")], "conv");
    inner["name"] = json!("inner");
    inner["inbound_nodes"] = json!([{ "args": [tensor("in")], "kwargs": {} }]);
    let (config, _) =
        words_of(Path::new("m"), &modern_model(vec![inner, again], "conv"), None, None, &[])
            .unwrap();
    assert!(config.contains("layer = \"Shared\""), "{config}");
}

/// A layer by a class of somebody's own, between two convolutions.
fn with_own(class: &str, config: &Value, gives: &Value) -> Value {
    let own = modern("mine", class, "own", config, &json!([tensor("conv")]));
    let mut out = modern_conv("out", &json!("linear"), "own");
    out["inbound_nodes"][0]["args"][0]["config"]["shape"] = gives.clone();
    let mut conv = modern_conv("conv", &json!("linear"), "in");
    conv["config"]["filters"] = json!(12);
    modern_model(vec![conv, own, out], "out")
}

/// The config's line for a layer between two convolutions, and what is said of it.
fn own_line(json: &Value, said: &[&str]) -> Result<(String, String), String> {
    let said: Vec<String> = said.iter().map(ToString::to_string).collect();
    let opened = words_of(Path::new("m"), json, Some("3.8.0"), None, &said);
    let (config, notes) = opened.map_err(|error| error.to_string())?;
    Ok((layers(&config)[1].to_owned(), notes.join("\n")))
}

const TWICE: [Option<u8>; 4] = [None, Some(16), Some(16), Some(3)];

#[test]
fn a_layer_whose_code_is_in_no_file_is_what_the_user_says_by_its_name_or_its_class() {
    let json = with_own("Shuffle", &json!({}), &json!(TWICE));
    for said in ["own=DepthToSpace(block_size=2)", "Shuffle=DepthToSpace(block_size=2)"] {
        let (line, notes) = own_line(&json, &[said]).unwrap();
        assert!(line.contains("\"DepthToSpace\"") && line.contains("block_size = 2"), "{line}");
        assert!(notes.contains("own: is taken for DepthToSpace, as you say"), "{notes}");
    }
    // The layer's own name goes before its class.
    let both = ["Shuffle=UpSampling2D(size=3)", "own=DepthToSpace(block_size=2)"];
    assert!(own_line(&json, &both).unwrap().0.contains("DepthToSpace"));
}

#[test]
fn what_is_said_of_a_layer_has_to_fit_the_file() {
    let json = with_own("Shuffle", &json!({}), &json!(TWICE));
    for (said, words) in [
        (
            vec![],
            "own (Shuffle) is a layer by a class of its own, whose code is in no file; say what it is with --as own=",
        ),
        (vec!["own=Identity"], "own (Shuffle) gives [16,16,3] in the file, and 8x8x12 as Identity"),
        (
            vec!["onw=Identity"],
            "--as onw: no layer and no class of the file is called so; known here: Shuffle, own",
        ),
        (vec!["own=Identity", "conv=Identity"], "conv (Conv2D) is a layer that convae has"),
        (
            vec!["own=Identiy"],
            "--as own=Identiy: \"Identiy\" is no layer; did you mean `Identity`?",
        ),
    ] {
        let refused = own_line(&json, &said).unwrap_err();
        assert!(refused.contains(words), "{said:?}: {refused}");
    }
}

#[test]
fn well_known_classes_of_peoples_own_are_taken_for_what_they_are_and_said() {
    for (class, config) in [
        ("DepthToSpace", json!({ "r": 2 })),
        ("PixelShuffler", json!({ "size": [2, 2], "data_format": "channels_last" })),
        ("SubpixelConv2D", json!({ "scale": 2 })),
    ] {
        let (line, notes) = own_line(&with_own(class, &config, &json!(TWICE)), &[]).unwrap();
        assert!(line.contains("\"DepthToSpace\"") && line.contains("block_size = 2"), "{line}");
        assert!(notes.contains("is taken for DepthToSpace(block_size=2) by its class"), "{notes}");
    }
    for (class, config) in [
        ("DepthToSpace", json!({})),
        ("DepthToSpace", json!({ "size": [2, 3] })),
        ("PixelShuffler", json!({ "size": 2, "scale": 3 })),
        ("pixelshuffler", json!({ "size": 2 })),
    ] {
        let refused = own_line(&with_own(class, &config, &json!(TWICE)), &[]).unwrap_err();
        assert!(refused.contains("is a layer by a class of its own"), "{config}: {refused}");
    }
}

#[test]
fn a_models_encoder_and_decoder_are_its_chain_and_the_last_output_goes_on() {
    let draw =
        modern("mine", "Sampling", "z", &json!({}), &json!([[tensor("mean"), tensor("spread")]]));
    let mut encoder = modern_model(
        vec![
            modern_conv("mean", &json!("linear"), "in"),
            modern_conv("spread", &json!("linear"), "in"),
            draw,
        ],
        "z",
    );
    encoder["config"]["name"] = json!("enc");
    encoder["config"]["output_layers"] = json!([["mean", 0, 0], ["spread", 0, 0], ["z", 0, 0]]);
    let decoder = modern_model(vec![modern_conv("out", &json!("sigmoid"), "in")], "out");
    let vae = json!({ "module": "mine", "class_name": "VAE", "registered_name": "mine>VAE",
        "config": { "encoder": encoder, "decoder": decoder } });
    let (text, said) = (config(&vae, "3.8.0"), notes(&vae, "3.8.0").join("\n"));
    let lines = layers(&text);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].contains("\"Sampling\"") && lines[2].contains("[\"mean\", \"spread\"]"));
    for words in [
        "enc: gives 3 outputs, of which the decoder gets the last",
        "VAE: is a model by a class of its own, whose code is in no file; it opens as its decoder",
        "z: is taken for Sampling by its class",
        "(KL) to the loss once you set kl_weight on it",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let mut half = vae.clone();
    half["config"].as_object_mut().unwrap().remove("decoder");
    assert!(refused(&half).contains("is a model by a class of its own"));
}

#[test]
fn tensorflows_depth_to_space_is_ours() {
    let op = |function: &str, options: Value| {
        let mut conv = conv("c", 4, &json!([[["in", 0, 0, {}]]]));
        conv["config"]["filters"] = json!(4);
        let options = json!([["c", 0, 0, options]]);
        let shuffle = json!({ "class_name": "TFOpLambda", "name": "shuffle", "inbound_nodes": options,
            "config": { "name": "shuffle", "function": function } });
        let layers = json!([input("in", &json!([null, 8, 8, 1])), conv, shuffle]);
        model(&layers, &json!([["in", 0, 0]]), &json!([["shuffle", 0, 0]]))
    };
    let text = config(&op("nn.depth_to_space", json!({ "block_size": 2 })), "2.11.0");
    assert!(layers(&text)[1].contains("block_size = 2"), "{text}");
    let first = op("nn.depth_to_space", json!({ "block_size": 2, "data_format": "NCHW" }));
    assert!(refused(&first).contains("computes nn.depth_to_space here"));
}
