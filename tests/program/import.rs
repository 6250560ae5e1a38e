//! `convae import`: Keras's own small files, written by scripts/make_keras_files.py, as configs and checkpoints;
//! and what the command refuses. Weight i of a file holds i, i + 1/8, i + 2/8, ...

use std::fs;
use std::path::{Path, PathBuf};

use convae::formats::checkpoint::{Checkpoint, load};
use convae::open_model;

use crate::common::{Convae, Folder, convae, names, root, text};

fn keras(name: &str) -> PathBuf {
    root().join("tests/fixtures/keras").join(name)
}

fn importing(file: &Path, out: &Path) -> Convae {
    convae().arg("import").arg(file).out(out)
}

fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let array = checkpoint.tensor(name).unwrap_or_else(|| panic!("{name} is not there"));
    array.to_values().unwrap()
}

/// start, start + 1/8, ...
fn ramp(start: f32, count: usize) -> Vec<f32> {
    (0..count).map(|i| start + i as f32 / 8.0).collect()
}

/// Keras's `(3, 3, 1, 2)` as PyTorch's `(2, 1, 3, 3)`.
fn first_kernel(start: f32) -> Vec<f32> {
    let keras = ramp(start, 18);
    (0..2).flat_map(|out| (0..9).map(move |at| at * 2 + out)).map(|at| keras[at]).collect()
}

#[test]
fn a_keras_file_becomes_a_config_and_a_checkpoint_with_its_weights() {
    let folder = Folder::new();
    let said = importing(&keras("keras3.keras"), folder.path()).succeeds();
    assert_eq!(names(folder.path()), ["keras3.pt", "keras3.toml"]);
    for words in [
        "Keras: 3.",
        "loss: mean_squared_error",
        "optimizer: Adam, learning rate 0.5",
        "convae apply",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (plan, weights) = open_model(&folder.at("keras3.pt"), None, &[]).unwrap();
    let name = |layer: &str| {
        let node = plan.graph.nodes.iter().find(|node| node.name == layer).unwrap();
        node.path()
    };
    let (first, norm, deep) = (name("first"), name("norm"), name("deep"));
    assert_eq!(values(&weights, &format!("{first}.weight")), first_kernel(0.0));
    assert_eq!(values(&weights, &format!("{first}.bias")), ramp(1.0, 2));
    for (suffix, start) in
        [("weight", 2.0), ("bias", 3.0), ("running_mean", 4.0), ("running_var", 5.0)]
    {
        assert_eq!(values(&weights, &format!("{norm}.{suffix}")), ramp(start, 2), "{suffix}");
    }
    assert_eq!(values(&weights, &format!("{deep}.weight")), ramp(6.0, 2));
    let config = fs::read_to_string(folder.at("keras3.toml")).unwrap();
    assert!(
        config.starts_with("# Made from ") && config.contains("# loss: mean_squared_error"),
        "{config}"
    );
    let file = folder.at("keras3.pt");
    assert!(config.contains(&format!("weights = \"{}\"", file.display())), "{config}");
}

/// The optimizer's variables hold 100 and on: the moments of first's kernel, those of its bias, ...
#[test]
fn the_optimizers_state_stands_in_the_order_of_the_weights() {
    let folder = Folder::new();
    importing(&keras("keras3.keras"), folder.path()).succeeds();
    let checkpoint = load(&folder.at("keras3.pt")).unwrap();
    for (name, start) in [("momentum", 100.0), ("velocity", 101.0)] {
        let parts = [
            first_kernel(start),
            ramp(start + 2.0, 2),
            ramp(start + 4.0, 2),
            ramp(start + 6.0, 2),
            ramp(start + 8.0, 2),
            ramp(start + 10.0, 1),
        ];
        assert_eq!(values(&checkpoint, &format!("optimizer.{name}")), parts.concat(), "{name}");
    }
    let steps = checkpoint.tensor("optimizer.iterations").unwrap();
    assert_eq!(steps.to_values::<i64>().unwrap(), [7]);
}

#[test]
fn every_way_to_keep_the_same_model_gives_the_same_weights() {
    let folder = Folder::new();
    let import = |name: &str, call: Convae| {
        call.arg("--name").arg(name).succeeds();
        let tensors = load(&folder.at(&format!("{name}.pt"))).unwrap().tensors;
        tensors.into_iter().filter(|(name, _)| !name.starts_with("optimizer.")).collect::<Vec<_>>()
    };
    let call = |file: &str| importing(&keras(file), folder.path());
    let first = import("archive", call("keras3.keras"));
    assert_eq!(first.len(), 8);
    assert_eq!(import("packed", call("packed.keras")), first);
    assert_eq!(import("whole", call("keras3.h5")), first);
    let apart = call("keras3.json").arg("--weights").arg(keras("keras3.h5"));
    assert_eq!(import("apart", apart), first);
}

/// The file has first the weights of the layers that are trained, then those of the frozen one.
#[test]
fn the_weights_of_a_frozen_layer_in_an_inner_model_are_found_by_its_name() {
    let folder = Folder::new();
    importing(&keras("frozen.h5"), folder.path()).succeeds();
    let checkpoint = load(&folder.at("frozen.pt")).unwrap();
    let bias = |layer: &str| {
        let name = |(name, _): &&(String, _)| name.ends_with(&format!("{layer}.bias"));
        let (name, _) = checkpoint.tensors.iter().find(name).unwrap();
        values(&checkpoint, name)
    };
    assert_eq!([bias("frozen"), bias("trained")].concat(), [1.0, 3.0]);
}

#[test]
fn weights_of_a_larger_model_are_refused() {
    let folder = Folder::new();
    let layer = "{ layer = \"Conv2D\", name = \"first\", filters = 2, kernel_size = 3 }";
    let config = format!("name = \"net\"\n[model]\ninput_shape = [4, 4, 1]\nlayers = [{layer}]\n");
    importing(&keras("keras2_weights.h5"), folder.path())
        .arg("--config")
        .arg(folder.write("config.toml", config))
        .fails(&["has weights of layers that the model lacks: inner"]);
}

#[test]
fn weights_alone_take_the_model_of_a_config() {
    let folder = Folder::new();
    let config = |names: [&str; 2]| {
        format!(
            "name = \"net\"\n[model]\ninput_shape = [4, 4, 1]\nlayers = [\n\
             {{ layer = \"Conv2D\", name = \"{}\", filters = 2, kernel_size = 3, padding = \"same\" }},\n\
             {{ layer = \"Conv2D\", name = \"{}\", filters = 1, kernel_size = 1 }},\n]\n",
            names[0], names[1]
        )
    };
    for (name, names, said) in
        [("named", ["first", "inner"], false), ("ordered", ["one", "two"], true)]
    {
        let file = folder.write("config.toml", config(names));
        let printed = importing(&keras("keras2_weights.h5"), folder.path())
            .args(["--name", name, "--config"])
            .arg(file)
            .succeeds();
        assert_eq!(printed.contains("matched by their order and shapes"), said, "{printed}");
        let checkpoint = load(&folder.at(&format!("{name}.pt"))).unwrap();
        assert_eq!(values(&checkpoint, &format!("model.{}.weight", names[0])), first_kernel(0.0));
        assert_eq!(values(&checkpoint, &format!("model.{}.bias", names[1])), [3.0]);
    }
    let wide = config(["first", "inner"]).replace("filters = 2", "filters = 3");
    let file = folder.write("wide.toml", wide);
    importing(&keras("keras2_weights.h5"), folder.path()).arg("--config").arg(file).fails(&[
        "the layer first has a kernel of 3x3x1x3",
        "the file's `first/kernel:0` is 3x3x1x2",
    ]);
    importing(&keras("keras2_weights.h5"), folder.path())
        .refused(&["holds weights alone", "--config FILE"]);
}

#[test]
fn files_that_are_there_are_replaced_only_on_request() {
    let folder = Folder::new();
    let call = || importing(&keras("keras3.keras"), folder.path());
    call().succeeds();
    fs::write(folder.at("keras3.toml"), "mine").unwrap();
    call().refused(&["keras3.toml is already there", "--overwrite"]);
    assert_eq!(fs::read_to_string(folder.at("keras3.toml")).unwrap(), "mine");
    call().arg("--overwrite").succeeds();
    assert!(fs::read_to_string(folder.at("keras3.toml")).unwrap().contains("[model]"));
}

#[test]
fn a_model_that_is_refused_leaves_nothing_and_says_all_reasons() {
    let folder = Folder::new();
    let layer = |class: &str, name: &str| {
        format!(
            r#"{{ "class_name": "{class}", "config": {{ "name": "{name}", "code": "4wEA" }} }}"#
        )
    };
    let model = format!(
        r#"{{ "class_name": "Sequential", "config": {{ "name": "net", "build_input_shape": [null, 8, 8, 1],
             "layers": [{}, {}] }} }}"#,
        layer("Lambda", "scale"),
        layer("LSTM", "memory")
    );
    let file = folder.write("model.json", model);
    let out = folder.at("out");
    let failed = importing(&file, &out).assert().code(1).stdout("");
    let complaint = text(&failed.get_output().stderr);
    let lines: Vec<&str> = complaint.lines().collect();
    assert_eq!(lines.len(), 3, "{complaint}");
    assert!(lines[0].ends_with("cannot be opened here, for these reasons:"), "{complaint}");
    assert!(
        lines[1].starts_with("  scale (Lambda) is Python code, which is never run"),
        "{complaint}"
    );
    assert!(
        lines[2].starts_with("  memory (LSTM) is a layer that convae does not have"),
        "{complaint}"
    );
    assert!(!out.exists());
}

#[test]
fn a_layer_that_is_said_to_have_no_weights_has_none_in_the_file() {
    let folder = Folder::new();
    // The file's `inner` holds a kernel and a bias.
    let model = r#"{ "class_name": "Sequential", "keras_version": "2.13.1", "config": { "name": "net", "layers": [
        { "class_name": "Conv2D", "config": { "name": "first", "batch_input_shape": [null, 28, 28, 1], "filters": 2,
          "kernel_size": [3, 3], "padding": "same" } },
        { "class_name": "mine>Block", "config": { "name": "inner" } } ] } }"#;
    let file = folder.write("model.json", model);
    let call = |said: &str| {
        let weights = keras("keras2_weights.h5");
        importing(&file, &folder.at("out")).arg("--weights").arg(weights).args(["--as", said])
    };
    let failed = call("inner=Identity").assert().code(1);
    let complaint = text(&failed.get_output().stderr);
    let words = "inner (Block) has 2 weights in the file, and Identity has none";
    assert!(complaint.contains(words), "{complaint}");
    assert!(!folder.at("out").exists());
    let said = call("Block=Conv2D(filters=1, kernel_size=1)").succeeds();
    assert!(said.contains("inner: is taken for Conv2D, as you say"), "{said}");
    call("Block=Conv2D(filters=1)")
        .arg("--overwrite")
        .refused(&["--as", "`kernel_size` is missing"]);
}

#[test]
fn wrong_arguments_are_refused_in_a_sentence() {
    let folder = Folder::new();
    let call = |file: &Path| importing(file, folder.path());
    call(Path::new("none.keras")).refused(&["none.keras"]);
    call(&keras("keras3.json")).refused(&["holds no weights", "--weights FILE"]);
    call(&keras("keras3.keras")).args(["--code", "frist"]).refused(&["did you mean `first`?"]);
    let config = root().join("denoise.toml");
    call(&keras("keras3.keras")).arg("--config").arg(config).refused(&["leave --config out"]);
    call(&keras("split.h5")).arg("--name").arg("x").refused(&["holds weights alone"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn training_goes_on_from_the_imported_weights() {
    let folder = Folder::new();
    let model = r#"{ "class_name": "Sequential", "keras_version": "2.13.1", "config": { "name": "net", "layers": [
        { "class_name": "Conv2D", "config": { "name": "first", "batch_input_shape": [null, 28, 28, 1], "filters": 2,
          "kernel_size": [3, 3], "padding": "same" } },
        { "class_name": "Conv2D", "config": { "name": "inner", "filters": 1, "kernel_size": [1, 1] } } ] } }"#;
    let file = folder.write("model.json", model);
    let weights = keras("keras2_weights.h5");
    let said = importing(&file, folder.path()).arg("--weights").arg(weights).succeeds();
    assert!(said.contains("set train.loss before training"), "{said}");
    let config = folder.at("model.toml");
    let run = |loss: &str| {
        convae()
            .train(&config)
            .set(loss)
            .set("output.report=false")
            .out(folder.at("run"))
            .arg("--overwrite")
    };
    run("train.epochs=1").refused(&["train.loss"]);
    run("train.loss=mse").succeeds();
}
