//! The program from outside, on real digits: what it prints, which files it leaves, and that they
//! are what they promise to be. What it refuses is in `wrong_input.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::OnceLock;

use convae::config::layers::Layer;
use convae::config::losses::LossTable;
use convae::config::sections::Optimizer;
use convae::formats::checkpoint::{Array, Checkpoint, load, save};
use convae::formats::npy::Header;
use flate2::read::GzDecoder;
use image::{ColorType, DynamicImage};
use serde_json::Value;

use crate::common::{
    Convae, Folder, at_line, convae, convae_in, copy_bare_weights, digits, files_of, is_sentence,
    names, on_terminal, root, send, text, tiny, train, wait_until,
};

/// Parameters of the tutorial's model, as Keras counts them.
const PARAMETERS: &str = "Total params: 12,201";

// ---- what the tests read ----

fn history(run: &Path) -> Value {
    let text = fs::read_to_string(run.join("history.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// One figure of every epoch.
fn figures(run: &Path, what: &str) -> Vec<f64> {
    let history = history(run);
    let epochs = history["epochs"].as_array().unwrap().iter();
    epochs.map(|epoch| epoch[what].as_f64().unwrap()).collect()
}

fn resolved(run: &Path) -> toml::Table {
    fs::read_to_string(run.join("config.toml")).unwrap().parse().unwrap()
}

/// Tensors by name, whatever the format.
fn weights(file: &Path) -> Vec<(String, Array)> {
    let mut tensors = load(file).unwrap().tensors;
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(!tensors.is_empty());
    tensors
}

/// Everything of a run that must not depend on the clock.
#[derive(Debug, PartialEq)]
struct Outcome {
    weights: Vec<(String, Array)>,
    losses: [Vec<f64>; 2],
    curve: Value,
}

fn outcome(run: &Path, name: &str) -> Outcome {
    Outcome {
        weights: weights(&run.join(format!("{name}.pt"))),
        losses: ["loss", "val_loss"].map(|what| figures(run, what)),
        curve: history(run)["curve"].clone(),
    }
}

/// The grey values of an 8-bit PNG of one digit.
fn grey(path: &Path) -> Vec<u8> {
    let picture = image::open(path).unwrap();
    assert_eq!(picture.color(), ColorType::L8, "{}", path.display());
    assert_eq!((picture.width(), picture.height()), (28, 28), "{}", path.display());
    picture.into_luma8().into_raw()
}

fn test_digits() -> Vec<u8> {
    let packed = fs::read(digits().join("t10k-images-idx3-ubyte.gz")).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn first_test_digit() -> Vec<u8> {
    /// Magic number, count, height and width.
    const HEADER: usize = 16;
    test_digits()[HEADER..][..28 * 28].to_vec()
}

// ---- runs that many tests only read ----

/// plain.toml, trained for three epochs on all 640 digits, with both kinds of weights.
fn plain() -> &'static Path {
    static RUN: OnceLock<Folder> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let folder = Folder::lasting();
        let call = train("plain.toml").samples(640, 200).set("output.safetensors=true");
        let printed = call.set("train.epochs=3").out(folder.path()).succeeds();
        fs::write(folder.at("printed"), printed).unwrap();
        folder
    });
    run.path()
}

/// denoise.toml on few digits, in two threads, since that is how rounding could come to differ.
fn denoise(out: &Path) -> Convae {
    train("denoise.toml").threads(2).out(out)
}

fn noise() -> &'static Path {
    static RUN: OnceLock<Folder> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let folder = Folder::lasting();
        denoise(folder.path()).succeeds();
        folder
    });
    run.path()
}

// ---- asking for help ----

#[test]
fn without_arguments_it_says_what_to_try() {
    let printed = convae().succeeds();
    for hint in ["--config plain.toml", "summary", "evaluate", "apply", "reference", "--help"] {
        assert!(printed.contains(hint), "{hint} is not in {printed}");
    }
}

#[test]
fn the_first_steps_that_it_names_are_ones_that_it_takes() {
    let printed = convae().succeeds();
    let calls = printed.lines().filter_map(|line| line.trim().strip_prefix("convae summary "));
    let calls: Vec<&str> = calls.map(|call| call.split("  ").next().unwrap()).collect();
    assert!(!calls.is_empty(), "{printed}");
    for call in calls {
        convae().arg("summary").args(call.split(' ')).succeeds();
    }
}

#[test]
fn help_names_every_option_and_command() {
    let printed = convae().arg("--help").succeeds();
    let words =
        ["--config", "--set", "--out", "--overwrite", "apply", "corrupt", "evaluate", "summary"];
    for word in words {
        assert!(printed.contains(word), "{word} is not in {printed}");
    }
    for command in ["apply", "corrupt", "evaluate", "summary", "reference"] {
        assert!(convae().arg(command).arg("--help").succeeds().contains("Usage: convae"));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = concat!("convae ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(convae().arg("--version").succeeds(), version);
}

#[test]
fn the_reference_of_all_keys_is_up_to_date() {
    let printed = convae().arg("reference").succeeds();
    let shipped = fs::read_to_string(root().join("configs/REFERENCE.md")).unwrap_or_default();
    assert!(
        shipped == printed,
        "configs/REFERENCE.md is out of date; write it again with\n  \
         cargo run -- reference > configs/REFERENCE.md"
    );
}

// ---- configs and summaries ----

#[test]
fn a_config_is_found_where_it_was_named_before_it_is_looked_for_under_configs() {
    let folder = Folder::new();
    folder.write("configs/one.toml", tiny().replace("tiny", "shipped"));
    let summary = || convae().within(folder.path()).args(["summary", "--config", "one.toml"]);
    assert!(summary().succeeds().starts_with("Model: \"shipped\""));
    folder.write("one.toml", tiny().replace("tiny", "own"));
    assert!(summary().succeeds().starts_with("Model: \"own\""));
}

#[test]
fn every_shipped_config_has_a_summary() {
    let folders = ["configs", "models"].map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let configs = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    let configs = configs.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let summaries: Vec<String> =
        configs.map(|path| convae().args(["summary", "--config"]).arg(path).succeeds()).collect();
    assert!(summaries.len() >= 4);
    assert!(summaries.iter().all(|summary| summary.contains("\nTotal params: ")));
}

#[test]
fn the_summary_shows_layers_shapes_parameters_and_the_code() {
    let summary = convae().args(["summary", "--config", "plain.toml"]).succeeds();
    for sign in [
        "Model: \"normal\"",
        "conv2d_5 (Conv2D)",
        "up_sampling2d_1 (UpSampling2D)",
        "(None, 14, 14, 16)",
        " 4,640 ",
        PARAMETERS,
        "Code: 7x7x8 = 392 values for 784",
        "Engine on the CPU: native",
    ] {
        assert!(summary.contains(sign), "{sign} is not in {summary}");
    }
}

#[test]
fn the_summary_names_the_layer_that_keeps_the_native_engine_out() {
    let folder = Folder::new();
    let code = r#"{ layer = "Flatten" }, { layer = "Dense", units = 4, activity_regularizer = "orthogonal_regularizer" }"#;
    let image =
        r#"{ layer = "Dense", units = 784 }, { layer = "Reshape", target_shape = [28, 28, 1] }"#;
    let model = format!("name = \"code\"\n[model]\nencoder = [{code}]\ndecoder = [{image}]\n");
    let summary = || convae().args(["summary", "--config"]).arg(folder.write("code.toml", &model));
    let engine = "Engine on the CPU: libtorch";
    let reason =
        ", not native: it has no stage for dense (Dense, OrthogonalRegularizer of its outputs)";
    let text = summary().succeeds();
    assert!(text.contains(&format!("{engine}{reason}\n")), "{text}");
    let text = summary().set("train.engine=libtorch").succeeds();
    assert!(text.contains(&format!("{engine}\n")), "{text}");
}

#[test]
fn the_convolutional_autoencoder_of_the_blog_has_a_code_of_4x4x8() {
    let summary = convae().args(["summary", "--config", "blog-conv.toml"]).succeeds();
    assert!(summary.contains("Code: 4x4x8 = 128 values for 784"), "{summary}");
}

#[test]
fn a_checkpoint_has_the_summary_of_its_config() {
    let of_config = convae().args(["summary", "--config", "plain.toml"]).succeeds();
    for file in ["normal.pt", "normal.safetensors"] {
        let checkpoint = plain().join(file);
        let of_file = convae().args(["summary", "--checkpoint"]).arg(checkpoint).succeeds();
        assert_eq!(of_file, of_config, "{file}");
    }
}

// ---- what training leaves ----

#[test]
fn a_plain_run_leaves_the_promised_files_and_no_others() {
    let mut promised = files_of("normal");
    promised.extend(["normal.safetensors".to_owned(), "printed".to_owned()]);
    promised.sort();
    assert_eq!(names(plain()), promised);
}

#[test]
fn a_denoising_run_leaves_the_promised_files_and_no_others() {
    assert_eq!(names(noise()), files_of("noise"));
}

#[test]
fn without_out_a_run_goes_to_a_folder_of_its_name_under_runs() {
    let folder = Folder::new();
    let config = folder.write("some.toml", tiny());
    let printed = train(&config).within(folder.path()).succeeds();
    assert_eq!(names(&folder.at("runs/tiny")), files_of("tiny"));
    assert!(printed.contains("Saved in runs/tiny"), "{printed}");
}

#[test]
fn the_input_of_a_plain_run_is_the_first_test_digit() {
    assert_eq!(grey(&plain().join("input_normal.png")), first_test_digit());
}

#[test]
fn the_output_is_a_image_of_the_inputs_size() {
    let (plain, noise) = (plain().join("output_normal.png"), noise().join("output_noise.png"));
    assert_ne!(grey(&plain), first_test_digit());
    grey(&noise);
}

#[test]
fn the_input_of_a_denoising_run_is_the_first_test_digit_with_noise_all_over() {
    let noisy = grey(&noise().join("input_noise.png"));
    let clean = first_test_digit();
    let changed = noisy.iter().zip(&clean).filter(|(noisy, clean)| noisy != clean).count();
    // Of black and white pixels, clipping takes half the noise away again.
    assert!(changed > 300, "{changed} of 784 pixels differ");
}

#[test]
fn grid_and_loss_curve_are_images_larger_than_a_digit() {
    for (run, name) in [(plain(), "normal"), (noise(), "noise")] {
        for what in ["grid", "loss"] {
            let picture: DynamicImage =
                image::open(run.join(format!("{what}_{name}.png"))).unwrap();
            assert!(picture.width() > 280 && picture.height() > 56, "{what}_{name}.png");
        }
    }
}

#[test]
fn the_history_holds_the_documented_figures() {
    let history = history(plain());
    assert_eq!(history["seed"], 42);
    assert_eq!(history["device"], "cpu");
    assert_eq!(history["dtype"], "float32");
    assert_eq!(history["parameters"], 12_201);
    assert_eq!(history["interrupted"], false);
    assert_eq!(history["skipped_files"], 0);
    assert_eq!(history["versions"]["convae"], env!("CARGO_PKG_VERSION"));
    assert!(history["versions"]["libtorch"].is_string());
    let epochs = history["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 3);
    for (number, epoch) in (1..).zip(epochs) {
        let keys: Vec<&String> = epoch.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["epoch", "loss", "val_loss", "learning_rate"]);
        assert_eq!(epoch["epoch"], number);
        let positive = |key: &String| epoch[key].as_f64().is_some_and(|figure| figure > 0.0);
        assert!(keys.into_iter().all(positive), "{epoch}");
    }
}

#[test]
fn the_loss_falls_over_three_epochs() {
    for what in ["loss", "val_loss"] {
        let losses = figures(plain(), what);
        assert!(losses.is_sorted_by(|before, after| before > after), "{what} {losses:?}");
    }
    // A network that only learned the mean digit stays above 0.25 on these.
    let last = figures(plain(), "val_loss")[2];
    assert!(last < 0.2, "val_loss {last}");
}

#[test]
fn a_pipe_gets_plain_lines() {
    let printed = fs::read_to_string(plain().join("printed")).unwrap();
    assert!(!printed.contains(|c: char| c.is_control() && c != '\n'), "{printed:?}");
    assert!(printed.contains(PARAMETERS));
    for epoch in 1..=3 {
        let sign = format!("epoch {epoch}/3  loss ");
        let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with(&sign)).collect();
        assert_eq!(lines.len(), 1, "{printed}");
        assert!(lines[0].contains("val_loss") && lines[0].contains("images/s"), "{printed}");
    }
    assert!(printed.lines().last().unwrap().starts_with("Saved in "), "{printed}");
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_nothing_is_left_of_the_bars() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let call = train(&config).out(folder.at("run")).set("train.epochs=3");
    let (code, seen) = on_terminal(call.command());
    assert_eq!(code, Some(0), "{seen:#?}");
    let bars = |seen: &[String]| seen.iter().any(|line| line.contains(['\u{2591}', '\u{2588}']));
    assert!(!bars(&seen), "{seen:#?}");
    let epochs: Vec<&String> = seen.iter().filter(|line| line.starts_with("epoch ")).collect();
    let told = |(number, line): (usize, &&String)| {
        line.starts_with(&format!("epoch {number}/3  loss ")) && line.contains("  val_loss ")
    };
    assert!(epochs.len() == 3 && (1..).zip(&epochs).all(told), "{seen:#?}");

    let sweep = convae().arg("sweep").arg("--config").arg(&config).out(folder.at("sweep"));
    let sweep = sweep.set(&format!("data.dir={}", digits().display())).samples(64, 20);
    let (code, seen) = on_terminal(sweep.args(["--grid", "seed=1,2"]).command());
    assert_eq!(code, Some(0), "{seen:#?}");
    assert!(!bars(&seen), "{seen:#?}");

    let apply = convae().args(["apply", "--checkpoint"]).arg(folder.at("run/tiny.pt"));
    let apply = apply.out(folder.at("out")).arg(folder.at("run/input_tiny.png"));
    let (code, seen) = on_terminal(apply.command());
    assert_eq!((code, seen.len()), (Some(0), 1), "{seen:#?}");
    assert!(seen[0].starts_with("1 image in "), "{seen:#?}");
}

/// Names of files and folders, and what is typed, steer no terminal.
#[test]
fn what_is_printed_has_no_letters_that_steer_a_terminal() {
    const HOSTILE: &str = "a\u{1b}[31m\u{9b}2J\nb\u{202e}";
    let shown = r"a\u{1b}[31m\u{9b}2J\nb\u{202e}";
    let folder = Folder::new();
    let place = folder.at(HOSTILE);
    fs::create_dir(&place).unwrap();
    let config = place.join("tiny.toml");
    fs::write(&config, tiny().replace("[model]", "[output]\nsafetensors = true\n[model]")).unwrap();
    let image = place.join(format!("{HOSTILE}.png"));
    image::GrayImage::new(28, 28).save(&image).unwrap();
    fs::write(place.join("broken.png"), "no image").unwrap();
    let run = place.join("run");
    let weights = run.join("tiny.pt");
    let images = format!("data.test=\"{}\"", place.display().to_string().escape_default());
    let checkpoint = |command: &str| convae().arg(command).arg("--checkpoint").arg(&weights);
    let calls = [
        train(&config).out(&run),
        train(&config).out(&run), // it is there
        train(&config).out(&run).arg("--resume"),
        train(place.join("none.toml")).out(&run),
        convae().args(["summary", "--checkpoint"]).arg(&weights),
        convae().args(["report"]).arg(&run),
        convae().within(folder.path()).args(["compare"]).arg(&run),
        convae().args(["compare", "--json"]).arg(&run),
        checkpoint("apply").out(place.join("out")).arg(&place),
        checkpoint("apply").out(place.join("out")).arg(&place), // kept
        checkpoint("encode").out(place.join("codes.npz")).arg(&image),
        checkpoint("encode").out(place.join("more.npz")).arg(&place),
        checkpoint("decode").arg("--codes").arg(place.join("codes.npz")).out(place.join("drawn")),
        checkpoint("neighbours").out(place.join("n.png")).arg("--among").arg(&place).arg(&image),
        checkpoint("evaluate")
            .args(["--json", "--per-file"])
            .set("data.source=images")
            .set(&images),
        checkpoint("evaluate").arg("--per-file").set("data.source=images").set(&images),
        convae().arg("corrupt").arg("--config").arg(&config).out(place.join("looks")),
        convae().arg("export").arg(&weights).out(place.join("x.onnx")),
        convae().arg("export").arg(&weights).out(place.join(HOSTILE)),
        convae()
            .arg("sweep")
            .arg("--config")
            .arg(&config)
            .out(place.join("s"))
            .samples(64, 20)
            .args(["--grid", "seed=1,2"]),
        convae().arg(HOSTILE),
        convae().arg("apply").arg(format!("--{HOSTILE}")),
        convae().args(["apply", "--tile", HOSTILE]),
        train(&config).set(&format!("name={HOSTILE}")),
    ];
    let mut names = 0;
    for call in calls {
        let mut command = call.command();
        let output = command.output().unwrap();
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(!printed.is_empty(), "{command:?}");
        let steers = |letter: char| letter != '\n' && convae::system::plain_text::steers(letter);
        assert!(!printed.contains(steers), "{command:?}: {printed:?}");
        // Nor did a name's line feed begin a line.
        assert!(!printed.lines().any(|line| line.starts_with('b')), "{command:?}: {printed:?}");
        names += usize::from(printed.contains(shown));
    }
    assert!(names > 15, "{names} outputs show the name");
}

#[test]
fn the_safetensors_hold_the_same_weights() {
    let weights = ["normal.pt", "normal.safetensors"].map(|file| weights(&plain().join(file)));
    assert_eq!(weights[0], weights[1]);
}

// ---- the same again ----

#[test]
fn equal_seeds_give_equal_weights_and_losses() {
    let folder = Folder::new();
    denoise(folder.path()).succeeds();
    assert_eq!(outcome(folder.path(), "noise"), outcome(noise(), "noise"));
    for picture in ["input_noise.png", "output_noise.png", "grid_noise.png"] {
        let read = |run: &Path| fs::read(run.join(picture)).unwrap();
        assert_eq!(read(folder.path()), read(noise()), "{picture}");
    }
}

#[test]
fn another_seed_gives_other_weights_and_other_noise() {
    let folder = Folder::new();
    denoise(folder.path()).set("seed=43").succeeds();
    let weights = [folder.path(), noise()].map(|run| weights(&run.join("noise.pt")));
    assert_ne!(weights[0], weights[1]);
    let noise = [folder.path(), noise()].map(|run| grey(&run.join("input_noise.png")));
    assert_ne!(noise[0], noise[1]);
}

#[test]
fn the_noise_does_not_depend_on_the_batch_size() {
    let folder = Folder::new();
    denoise(folder.path()).set("train.batch_size=48").succeeds();
    let noisy = |run: &Path| fs::read(run.join("input_noise.png")).unwrap();
    assert_eq!(noisy(folder.path()), noisy(noise()));
}

#[test]
fn the_resolved_config_trains_to_the_same_result() {
    let folder = Folder::new();
    let config = noise().join("config.toml");
    convae().arg("--config").arg(&config).threads(2).out(folder.path()).succeeds();
    assert_eq!(outcome(folder.path(), "noise"), outcome(noise(), "noise"));
    assert_eq!(
        fs::read_to_string(folder.at("config.toml")).unwrap(),
        fs::read_to_string(config).unwrap()
    );
}

#[test]
fn what_is_set_on_the_command_line_reaches_the_resolved_config() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let out = folder.at("out");
    let call = train(&config).out(&out).set("seed=7").set("name=other");
    let call = call.set("model.encoder[0].filters=3").set("train.optimizer.name=SGD");
    call.set("train.optimizer.momentum = 0.5").set("corruption.kind=gaussian").succeeds();
    let resolved = resolved(&out);
    assert_eq!(resolved["name"].as_str(), Some("other"));
    assert_eq!(resolved["seed"].as_integer(), Some(7));
    assert_eq!(resolved["model"]["encoder"][0]["filters"].as_integer(), Some(3));
    assert_eq!(resolved["train"]["optimizer"]["name"].as_str(), Some("SGD"));
    assert_eq!(resolved["train"]["optimizer"]["momentum"].as_float(), Some(0.5));
    assert_eq!(resolved["corruption"]["kind"].as_str(), Some("gaussian"));
    assert_eq!(resolved["data"]["train_samples"].as_integer(), Some(64));
    assert_eq!(names(&out), files_of("other"));
}

#[test]
fn overwrite_replaces_a_run_whole_and_leaves_other_files_alone() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let out = folder.at("out");
    folder.write("out/notes.txt", "mine");
    train(&config).out(&out).set("output.safetensors=true").succeeds();
    let before = weights(&out.join("tiny.pt"));
    train(&config).out(&out).set("seed=7").arg("--overwrite").succeeds();
    assert_ne!(weights(&out.join("tiny.pt")), before);
    assert_eq!(history(&out)["seed"], 7);
    let mut expected = files_of("tiny");
    expected.push("notes.txt".to_owned());
    expected.sort();
    assert_eq!(names(&out), expected); // the old .safetensors is gone
}

#[test]
fn digits_that_are_not_packed_give_the_same_run() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    for name in ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"] {
        let packed = fs::read(digits().join(format!("{name}.gz"))).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
        folder.write(&format!("raw/{name}"), bytes);
    }
    let raw = format!("data.dir={}", folder.at("raw").display());
    train(&config).out(folder.at("packed-run")).succeeds();
    train(&config).out(folder.at("raw-run")).set(&raw).succeeds();
    let outcomes = ["packed-run", "raw-run"].map(|run| outcome(&folder.at(run), "tiny"));
    assert_eq!(outcomes[0], outcomes[1]);
}

// ---- evaluate and apply ----

fn evaluate(checkpoint: &Path) -> Convae {
    convae().args(["evaluate", "--checkpoint"]).arg(checkpoint)
}

fn apply(checkpoint: &Path, out: &Path) -> Convae {
    convae().args(["apply", "--checkpoint"]).arg(checkpoint).out(out)
}

#[test]
fn evaluate_prints_the_validation_loss_of_the_history_and_the_images_quality() {
    let loss = figures(plain(), "val_loss")[2];
    for file in ["normal.pt", "normal.safetensors"] {
        let printed = evaluate(&plain().join(file)).succeeds();
        assert!(printed.contains("200 test images"), "{printed}");
        assert!(printed.contains(&format!("loss (binary_crossentropy)  {loss:.6}")), "{printed}");
        assert!(printed.contains("output: PSNR ") && printed.contains("SSIM 0."), "{printed}");
        assert!(!printed.contains("input:"), "{printed}");
    }
}

#[test]
fn evaluate_compares_a_denoisers_output_with_its_input() {
    let loss = figures(noise(), "val_loss")[0];
    let printed = evaluate(&noise().join("noise.pt")).threads(2).succeeds();
    assert!(printed.contains(&format!("loss (binary_crossentropy)  {loss:.6}")), "{printed}");
    assert!(printed.contains("\noutput: PSNR ") && printed.contains("\ninput:  PSNR "));
}

#[test]
fn evaluate_takes_weights_without_a_config_when_one_is_named() {
    let folder = Folder::new();
    let bare = folder.at("bare.pt");
    copy_bare_weights(&plain().join("normal.pt"), &bare);
    let data = format!("data.dir={}", digits().display());
    let printed = evaluate(&bare).args(["--config", "plain.toml"]).set(&data).succeeds();
    assert_eq!(printed, evaluate(&plain().join("normal.pt")).succeeds());
}

#[test]
fn wrappers_of_pytorch_are_taken_out_of_the_names_and_said() {
    let folder = Folder::new();
    let expected = evaluate(&plain().join("normal.pt")).succeeds();
    for (prefix, who) in [
        ("module.", "`module.` (DataParallel"),
        ("_orig_mod.", "`_orig_mod.` (torch.compile)"),
        ("module._orig_mod.", "and `_orig_mod.` (torch.compile)"),
    ] {
        let mut tensors = load(&plain().join("normal.pt")).unwrap().tensors;
        for (name, _) in &mut tensors {
            name.insert_str(0, prefix);
        }
        if prefix == "module." {
            // What AveragedModel counts.
            let count = Array::from_values(&[], &[7_i64]).unwrap();
            tensors.insert(0, ("n_averaged".to_owned(), count));
        }
        for file in ["wrapped.pt", "wrapped.safetensors"] {
            let wrapped = folder.at(file);
            let records = BTreeMap::new();
            save(&wrapped, &Checkpoint { tensors: tensors.clone(), records }).unwrap();
            let data = format!("data.dir={}", digits().display());
            let call = evaluate(&wrapped).args(["--config", "plain.toml"]).set(&data);
            let run = call.assert().success();
            let said = text(&run.get_output().stderr);
            assert!(is_sentence(&said) && said.contains(file) && said.contains(who), "{said}");
            assert_eq!(text(&run.get_output().stdout), expected);
        }
    }
}

#[test]
fn apply_gives_the_output_that_the_run_gave() {
    let folder = Folder::new();
    for file in ["normal.pt", "normal.safetensors"] {
        let out = folder.at(file);
        let input = plain().join("input_normal.png");
        let printed = apply(&plain().join(file), &out).arg(&input).succeeds();
        let result = out.join("input_normal.png");
        let line = format!("{} -> {}\n1 image in ", input.display(), result.display());
        assert!(printed.starts_with(&line), "{printed}");
        let (ours, runs) = (grey(&result), grey(&plain().join("output_normal.png")));
        // A batch of another size may round differently.
        let near = |(&a, &b): (&u8, &u8)| a.abs_diff(b) <= 1;
        assert!(ours.iter().zip(&runs).all(near), "{file}");
    }
}

#[test]
fn apply_keeps_the_names_and_reads_the_kinds_of_images_that_it_names() {
    let folder = Folder::new();
    let digit = image::open(plain().join("input_normal.png")).unwrap();
    let images = ["a.bmp", "b.tiff", "c.pgm", "d.webp"].map(|name| folder.at(name));
    for path in &images {
        digit.save(path).unwrap();
    }
    digit.to_rgb8().save(folder.at("e.png")).unwrap(); // grey, stored as RGB
    let out = folder.at("out");
    let call = apply(&plain().join("normal.pt"), &out).args(&images).arg(folder.at("e.png"));
    assert_eq!(call.succeeds().lines().count(), 6); // one for each, and one for all
    assert_eq!(names(&out), ["a.png", "b.tiff", "c.png", "d.png", "e.png"]);
    assert_eq!(grey(&out.join("a.png")), grey(&out.join("e.png")));
}

#[test]
fn one_image_that_cannot_be_read_does_not_stop_the_others() {
    let folder = Folder::new();
    let bad = folder.write("bad.png", "this is text");
    let digit = image::open(plain().join("input_normal.png")).unwrap();
    let (first, last) = (folder.at("first.png"), folder.at("last.png"));
    digit.save(&first).unwrap();
    digit.save(&last).unwrap();
    let out = folder.at("out");
    let call = apply(&plain().join("normal.pt"), &out).args([&first, &bad, &last]);
    let output = call.assert().code(1).get_output().clone();
    assert_eq!(names(&out), ["first.png", "last.png"]);
    assert_eq!(text(&output.stdout).lines().count(), 3);
    let stderr = text(&output.stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines[0].contains("bad.png: it is not an image"), "{stderr}");
    assert_eq!(lines[1], "convae: 1 of 3 images failed");
}

#[test]
fn apply_replaces_results_only_when_told_to() {
    let folder = Folder::new();
    let (input, out) = (plain().join("input_normal.png"), folder.at("out"));
    let result = folder.write("out/input_normal.png", "old");
    apply(&plain().join("normal.pt"), &out).arg("--overwrite").arg(input).succeeds();
    grey(&result);
}

// ---- everything that a config can ask for ----

/// Trains a small model; every loss is a number.
fn trains(config: &str, changes: &[&str]) {
    let folder = Folder::new();
    let config = folder.write("some.toml", config);
    let call = train(&config).out(folder.at("out")).set("train.epochs=2");
    changes.iter().fold(call, |call, change| call.set(change)).succeeds();
    for what in ["loss", "val_loss"] {
        let losses = figures(&folder.at("out"), what);
        assert!(losses.len() == 2 && losses.iter().all(|loss| loss.is_finite()), "{changes:?}");
    }
}

#[test]
fn every_optimizer_trains() {
    for name in Optimizer::NAMES {
        trains(&tiny(), &[&format!("train.optimizer.name={name}")]);
    }
}

#[test]
fn every_clipping_and_option_of_an_optimizer_trains() {
    for options in [
        r#"{ name = "Adam", amsgrad = true, clipnorm = 1.0 }"#,
        r#"{ name = "SGD", momentum = 0.9, nesterov = true, clipvalue = 0.5 }"#,
        r#"{ name = "RMSprop", momentum = 0.5, centered = true, global_clipnorm = 1.0 }"#,
        r#"{ name = "Adadelta", weight_decay = 0.01 }"#,
    ] {
        trains(&tiny(), &[&format!("train.optimizer={options}")]);
    }
}

#[test]
fn every_loss_trains() {
    // Refused: a model that came with a loss of its own, targets that are numbers of classes, small images, and a
    // missing key.
    let refused = ["unknown", "sparse_categorical_crossentropy", "ms_ssim", "clipped_gaussian"];
    for name in LossTable::NAMES.iter().filter(|name| !refused.contains(name)) {
        trains(&tiny(), &[&format!("train.loss={name}")]);
    }
}

#[test]
fn float64_trains_and_is_saved_as_such() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    train(&config).out(folder.at("out")).set("train.dtype=float64").succeeds();
    let checkpoint = folder.at("out/tiny.pt");
    let wide = |(_, array): &(String, Array)| array.bytes().len() == 8 * array.element_count();
    assert!(weights(&checkpoint).iter().all(wide));
    assert_eq!(history(&folder.at("out"))["dtype"], "float64");
    evaluate(&checkpoint).succeeds();
}

#[test]
fn signals_of_open_length_are_trained_at_the_length_of_their_data() {
    let folder = Folder::new();
    let values: Vec<u8> =
        (0..20 * 12 * 2).flat_map(|i| ((i % 7) as f32 / 7.0).to_le_bytes()).collect();
    folder.write("signals.npy", [Header::bytes("<f4", &[20, 12, 2]), values].concat());
    folder.write(
        "table.csv",
        format!("{}\n{}", ["x"; 9].join(","), "0,1,0,1,0,1,0,1,0\n".repeat(20)),
    );
    for (file, channels) in [("signals.npy", 2), ("table.csv", 1)] {
        let text = format!(
            "name = \"open\"\n[data]\nkind = \"npz\"\nfile = {:?}\n[model]\ninput_shape = [-1, {channels}]\n\
             layers = [{{ layer = \"Conv1D\", filters = {channels}, kernel_size = 3, padding = \"causal\" }}]\n\
             [train]\nepochs = 1\nloss = \"mse\"\n",
            folder.at(file)
        );
        let config = folder.write("open.toml", text);
        convae().arg("--config").arg(config).out(folder.at(file).with_extension("run")).succeeds();
        let saved = folder.at(file).with_extension("run").join("config.toml");
        let saved = fs::read_to_string(saved).unwrap();
        assert!(saved.contains(&format!("input_shape = [-1, {channels}]")), "{saved}");
    }
}

/// A model that closes and has every layer of the language.
fn with_every_layer() -> String {
    let model = r#"
name = "all"
[model]
encoder = [
  { layer = "GaussianNoise", stddev = 0.1 },
  { layer = "ZeroPadding2D", padding = 1 },
  { layer = "DepthwiseConv2D", kernel_size = 2, padding = "same" },
  { layer = "SeparableConv2D", filters = 2, kernel_size = 2, padding = "same" },
  { layer = "PReLU" },
  { layer = "Rescaling", scale = 2.0, offset = -0.5 },
  { layer = "Identity" },
  { layer = "ELU", alpha = 0.5 },
  { layer = "LayerNormalization" },
  { layer = "GaussianDropout", rate = 0.1 },
  { layer = "GroupNormalization", groups = 2 },
  { layer = "AlphaDropout", rate = 0.1 },
  { layer = "Permute", dims = [2, 1, 3] },
  { layer = "SpatialDropout2D", rate = 0.1 },
  { layer = "UnitNormalization" },
  { layer = "Softmax", axis = 1 },
  { layer = "Conv2D", filters = 3, kernel_size = 3 },
  { layer = "BatchNormalization" },
  { layer = "ReLU" },
  { layer = "MaxPooling2D" },
  { layer = "AveragePooling2D" },
  { layer = "Cropping2D", cropping = [[1, 0], [1, 0]] },
  { layer = "Flatten" },
  { layer = "Dropout", rate = 0.2 },
  { layer = "Dense", units = 10 },
]
decoder = [
  { layer = "Dense", units = 32 },
  { layer = "Reshape", target_shape = [16, 2] },
  { layer = "Conv1D", filters = 2, kernel_size = 3, padding = "same" },
  { layer = "SeparableConv1D", filters = 2, kernel_size = 3, padding = "same" },
  { layer = "MaxPooling1D" },
  { layer = "AveragePooling1D", pool_size = 2, strides = 1, padding = "same" },
  { layer = "UpSampling1D" },
  { layer = "ZeroPadding1D" },
  { layer = "Cropping1D" },
  { layer = "Conv1DTranspose", filters = 2, kernel_size = 3, padding = "same" },
  { layer = "SpatialDropout1D", rate = 0.1 },
  { layer = "GlobalAveragePooling1D", keepdims = true },
  { layer = "GlobalMaxPooling1D" },
  { layer = "RepeatVector", n = 16 },
  { layer = "Flatten" },
  { layer = "Reshape", target_shape = [2, 2, 8] },
  { layer = "DepthToSpace", block_size = 2 },
  { layer = "GlobalAveragePooling2D", keepdims = true },
  { layer = "GlobalMaxPooling2D" },
  { layer = "Dense", units = 98, activation = "relu" },
  { layer = "Reshape", target_shape = [7, -1, 2] },
  { layer = "Conv2DTranspose", filters = 2, kernel_size = 3, strides = 2, padding = "same" },
  { layer = "LeakyReLU" },
  { layer = "ActivityRegularization", l1 = 0.001 },
  { layer = "UpSampling2D", interpolation = "bilinear" },
  { layer = "Conv2D", filters = 1, kernel_size = [1, 3], padding = "same" },
  { layer = "Activation", activation = "sigmoid" },
]
"#;
    let merges =
        ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Sampling", "Concatenate"];
    for name in Layer::NAMES.iter().filter(|name| !merges.contains(name)) {
        assert!(model.contains(&format!("\"{name}\"")), "this test lacks the layer {name}");
    }
    model.to_owned()
}

#[test]
fn every_layer_trains_and_is_restored_from_its_checkpoint() {
    let folder = Folder::new();
    let config = folder.write("all.toml", with_every_layer());
    train(&config).out(folder.at("out")).succeeds();
    let loss = figures(&folder.at("out"), "val_loss")[0];
    // Moving statistics are restored too, and dropout and noise rest.
    assert!(evaluate(&folder.at("out/all.pt")).succeeds().contains(&format!("  {loss:.6}\n")));
}

#[test]
fn layers_that_draw_at_random_draw_the_same_for_equal_seeds() {
    let folder = Folder::new();
    let config = folder.write("all.toml", with_every_layer());
    for (run, seed) in [("a", "seed=1"), ("b", "seed=1"), ("c", "seed=2")] {
        train(&config).out(folder.at(run)).set(seed).set("train.epochs=2").succeeds();
    }
    let outcomes = ["a", "b", "c"].map(|run| outcome(&folder.at(run), "all"));
    assert_eq!(outcomes[0], outcomes[1]);
    assert_ne!(outcomes[0], outcomes[2]);
}

#[test]
fn every_activation_and_initializer_trains() {
    let activations = [
        "linear",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "gelu",
        "silu",
        "mish",
        "tanh",
        "hard_sigmoid",
        "softplus",
        "softsign",
        "softmax",
        "exponential",
        "sigmoid",
    ];
    let initializers = [
        "glorot_uniform",
        "glorot_normal",
        "he_uniform",
        "he_normal",
        "lecun_uniform",
        "lecun_normal",
        "zeros",
        "ones",
    ];
    let layer = |(i, activation): (usize, &&str)| {
        let initializer = initializers[i % initializers.len()];
        format!(
            r#"{{ layer = "Conv2D", filters = 1, kernel_size = 1, activation = "{activation}", kernel_initializer = "{initializer}" }},"#
        )
    };
    let layers: Vec<String> = activations.iter().enumerate().map(layer).collect();
    let config =
        format!("name = \"wide\"\n[model]\nencoder = []\ndecoder = [{}]\n", layers.join(""));
    trains(&config, &[]);
}

#[test]
fn images_with_colours_train_and_come_back_in_colour() {
    /// Magic number of images with channels, then two of 4x4 pixels.
    const HEADER: [u8; 20] = [0, 0, 8, 4, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 3];
    let folder = Folder::new();
    let pixels = (0..2 * 4 * 4 * 3).map(|i| (i * 7 % 256) as u8);
    let file: Vec<u8> = HEADER.into_iter().chain(pixels).collect();
    folder.write("data/train-images-idx3-ubyte", &file);
    folder.write("data/t10k-images-idx3-ubyte", &file);
    let config = folder.write("tiny.toml", tiny());
    let data = format!("data.dir={}", folder.at("data").display());
    let call = train(&config).out(folder.at("out")).set(&data);
    call.set("model.input_shape=[4,4,3]").set("model.decoder[0].filters=3").succeeds();
    let input = image::open(folder.at("out/input_tiny.png")).unwrap();
    assert_eq!(input.color(), ColorType::Rgb8);
    assert_eq!(input.as_bytes(), &file[HEADER.len()..][..4 * 4 * 3]);
    let call = apply(&folder.at("out/tiny.pt"), &folder.at("applied"));
    call.arg(folder.at("out/input_tiny.png")).succeeds();
    let applied = image::open(folder.at("applied/input_tiny.png")).unwrap();
    assert_eq!(applied.color(), ColorType::Rgb8);
    let printed = evaluate(&folder.at("out/tiny.pt")).succeeds();
    assert!(printed.contains("SSIM none (too small)"), "{printed}");
}

// ---- interrupted, and with nobody listening ----

/// Stops a run that would take hours by a signal at the first line with this start; returns its
/// folder and what it printed after that.
fn stopped(signal: &str, line: &str) -> (Folder, String) {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let call = train(&config).samples(640, 20).set("train.batch_size=1").set("train.epochs=9999");
    let (run, mut stdout) = at_line(call.out(folder.at("out")), line);
    send(signal, &run);
    let mut printed = String::new();
    stdout.read_to_string(&mut printed).unwrap();
    let output = run.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{printed}{stderr}");
    assert!(stderr.is_empty() || is_sentence(&stderr), "{stderr}");
    (folder, printed)
}

/// Everything is there, says that it was cut short, and can be used.
fn keeps_what_was_learned(folder: &Folder, printed: &str, epochs: usize) {
    let out = folder.at("out");
    let best = |name: &String| name.ends_with("-best.pt"); // of whole epochs
    let files: Vec<String> =
        files_of("tiny").into_iter().filter(|name| epochs > 0 || !best(name)).collect();
    assert_eq!(names(&out), files);
    let history = history(&out);
    assert_eq!(history["interrupted"], true);
    assert_eq!(history["epochs"].as_array().unwrap().len(), epochs);
    let last = printed.lines().last().unwrap();
    assert!(last.contains("nterrupted") && last.contains(out.to_str().unwrap()), "{printed}");
    evaluate(&out.join("tiny.pt")).succeeds();
}

#[test]
fn ctrl_c_keeps_what_was_learned_and_says_where() {
    let (folder, printed) = stopped("-INT", "epoch 1/");
    keeps_what_was_learned(&folder, &printed, 0);
}

#[test]
fn ctrl_c_in_a_later_epoch_keeps_the_whole_epochs_figures() {
    let (folder, printed) = stopped("-INT", "epoch 2/");
    keeps_what_was_learned(&folder, &printed, 1);
}

#[test]
fn ctrl_c_before_the_first_figure_leaves_all_files_too() {
    let (folder, printed) = stopped("-INT", "Training on ");
    keeps_what_was_learned(&folder, &printed, 0);
}

#[test]
fn termination_is_as_good_as_ctrl_c() {
    let (folder, printed) = stopped("-TERM", "epoch 1/");
    keeps_what_was_learned(&folder, &printed, 0);
}

#[test]
fn a_second_ctrl_c_stops_at_once_and_saves_nothing() {
    let folder = Folder::new();
    // One step of a minute, within which both signals fall on any machine.
    let call = train("plain.toml").samples(640, 20).set("train.batch_size=640");
    let call = call.set("train.threads=1").set("train.dtype=float64");
    let call = call.set("model.encoder[0].filters=4096").out(folder.path());
    let (run, _stdout) = at_line(call, "Training on ");
    send("-INT", &run);
    // Two signals at the same time are one.
    wait_until("the first signal has come", || !is_pending(&run));
    send("-INT", &run);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(names(folder.path()), ["checkpoints", "config.toml", "run.lock"]);
}

/// Whether a signal still waits for a process to take it.
fn is_pending(run: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap();
    let masks = status
        .lines()
        .filter_map(|line| line.strip_prefix("ShdPnd:").or_else(|| line.strip_prefix("SigPnd:")));
    masks.into_iter().any(|mask| mask.contains(|digit| digit != '0' && digit != '\t'))
}

/// The end of a call whose output nobody reads, as with `convae ... | head -0`, or with a `tee` that
/// the same Ctrl-C has ended; it may say so in a sentence.
fn without_a_reader(call: Convae) {
    let mut command = call.command();
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(run.stdout.take());
    let output = run.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert!(stderr.is_empty() || is_sentence(&stderr), "{stderr}");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}", output.status);
}

#[test]
fn nobody_reading_the_output_does_not_cost_the_run() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    without_a_reader(train(&config).out(folder.at("out")));
    assert_eq!(names(&folder.at("out")), files_of("tiny"));
}

#[test]
fn a_reader_that_has_seen_enough_causes_no_crash() {
    for args in [&[][..], &["reference"], &["summary", "--config", "plain.toml"], &["--help"]] {
        without_a_reader(convae().args(args));
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure_in_one_sentence() {
    let full = || convae_in(r#"exec "$0" "$@" >/dev/full"#);
    full().fails(&["No space left"]);
    full().args(["summary", "--config", "plain.toml"]).fails(&["No space left"]);
}

/// Somebody's LD_LIBRARY_PATH may hold another libtorch, of which ours must load nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_foreign_libtorch_in_the_library_path_is_not_loaded() {
    let folder = Folder::new();
    for name in ["libtorch.so", "libtorch_cpu.so", "libtorch_cuda.so", "libc10.so", "libgomp.so.1"]
    {
        folder.write(name, "another libtorch");
    }
    let mut command = convae().args(["summary", "--config", "plain.toml"]).command();
    let output = command.env("LD_LIBRARY_PATH", folder.path()).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success() && text(&output.stdout).contains(PARAMETERS));
}

#[test]
fn a_model_of_signals_is_trained_and_judged_and_its_signals_are_drawn_as_curves() {
    let folder = Folder::new();
    let values: Vec<u8> =
        (0..20 * 140 * 2_u32).flat_map(|i| ((i % 23) as f32 / 9.0 - 1.0).to_le_bytes()).collect();
    folder.write("signals.npy", [Header::bytes("<f4", &[20, 140, 2]), values].concat());
    let text = "name = \"signal\"\n[data]\nkind = \"npz\"\nfile = \"signals.npy\"\nany_values = true\n\
                [model]\ninput_shape = [140, 2]\nlayers = [\n\
                { layer = \"Conv1D\", filters = 3, kernel_size = 5, strides = 2, padding = \"same\" },\n\
                { layer = \"Conv1DTranspose\", filters = 2, kernel_size = 5, strides = 2, padding = \"same\" },\n\
                ]\ncode = \"conv1d\"\n[train]\nloss = \"mse\"\n";
    folder.write("signal.toml", text);
    let run = |args: &[&str]| convae().within(folder.path()).args(args).succeeds();
    run(&["--config", "signal.toml", "--out", "run"]);
    for name in ["input", "output"] {
        let image = image::open(folder.at(&format!("run/{name}_signal.png"))).unwrap();
        // 64 pixels high, a column for each step.
        assert_eq!(image.width() * 64, image.height() * 140, "{name}");
    }
    let report = fs::read_to_string(folder.at("run/report.html")).unwrap();
    assert!(report.contains("signals of 140 steps and 2 channels"));
    let model = "run/signal.pt";
    let judged = run(&["evaluate", "--checkpoint", model]);
    assert!(judged.contains("loss (mean_squared_error)"), "{judged}");
    let codes = run(&["encode", "--checkpoint", model, "--out", "codes.npz"]);
    assert!(codes.contains("2 codes of 70x3"), "{codes}");
    run(&["decode", "--checkpoint", model, "--codes", "codes.npz", "--out", "drawn"]);
    assert_eq!(names(&folder.at("drawn")).len(), 2);
}
