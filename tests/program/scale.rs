//! `data.scale`: values of any range go in, and results come out in the images' own units and type. The model of
//! most tests gives what it receives, so that every change of a value is the scale's.

use std::fs;
use std::path::{Path, PathBuf};

use convae::config::Source;
use convae::data::{Dataset, Scaling};
use convae::formats::image_file::{ImageFile, Samples};
use convae::formats::npy::Header;
use convae::plan::Plan;
use serde_json::Value;
use tch::{CModule, Kind, Tensor, no_grad};

use crate::common::{Convae, Folder, convae, text};

const KINDS: [&str; 5] = [
    "\"range\"",
    "{ kind = \"percentile\", low = 5, high = 90 }",
    "\"mean_std\"",
    "{ kind = \"range\", per = \"image\" }",
    "{ kind = \"mean_std\", per = \"image\" }",
];

/// A model whose output is its input, on the images in `in`.
fn config(folder: &Folder, scale: &str) -> PathBuf {
    let one = "{ layer = \"Conv2D\", filters = 1, kernel_size = 1, kernel_initializer = \"ones\" }";
    let text = format!(
        "name = \"same\"\n[data]\nkind = \"images\"\ntrain = \"{}\"\ntest_fraction = 0.3\n{scale}\n\
         [model]\ninput_shape = [-1, -1, 1]\nencoder = []\ndecoder = [{one}]\n\
         [train]\nloss = \"mean_squared_error\"\n\
         optimizer = {{ name = \"SGD\", learning_rate = 1e-12 }}\n",
        folder.at("in").display()
    );
    folder.write("same.toml", text)
}

fn scaled(folder: &Folder, scale: &str) -> PathBuf {
    config(folder, &format!("scale = {scale}"))
}

fn train(config: &Path, out: &Path) -> Convae {
    convae().arg("--config").arg(config).out(out).set("output.report=false")
}

fn apply(folder: &Folder, out: &str) -> Convae {
    let weights = folder.at("run/same.pt");
    convae().arg("apply").arg("--checkpoint").arg(weights).out(folder.at(out))
}

fn save(folder: &Folder, name: &str, samples: Samples) -> PathBuf {
    let side = (samples.len() as f64).sqrt() as usize;
    let path = folder.at(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    ImageFile::new([side, side, 1], samples).unwrap().save(&path).unwrap();
    path
}

/// 12 bits in a file of 16: each level once.
fn ramp(first: u16) -> Samples {
    Samples::Sixteen((0..4096).map(|level| level + first).collect())
}

fn floats(factor: f32) -> Samples {
    Samples::Float((0..4096).map(|i| i as f32 * factor / 4095.0).collect())
}

fn samples(path: &Path) -> Samples {
    ImageFile::open(path).unwrap().samples
}

#[test]
fn a_ramp_of_12_bits_in_a_file_of_16_keeps_every_level_and_8_bits_stay_8() {
    for scale in KINDS {
        let folder = Folder::new();
        for i in 0..4 {
            save(&folder, &format!("in/{i}.png"), ramp(i));
        }
        train(&scaled(&folder, scale), &folder.at("run")).succeeds();
        let eight = Samples::Eight((0..=255).collect());
        let bytes = save(&folder, "bytes.png", eight.clone());
        apply(&folder, "out").arg(folder.at("in")).arg(bytes).args(["--augment", "8"]).succeeds();
        assert_eq!(samples(&folder.at("out/2.png")), ramp(2), "{scale}");
        assert_eq!(samples(&folder.at("out/bytes.png")), eight, "{scale}");
    }
}

#[test]
fn floats_of_any_range_come_back_as_floats_of_that_range() {
    for scale in KINDS {
        let folder = Folder::new();
        for i in 0..4 {
            save(&folder, &format!("in/{i}.tif"), floats(4000.0 + i as f32));
        }
        let printed = train(&scaled(&folder, scale), &folder.at("run")).succeeds();
        assert!(printed.contains("Saved in"), "{printed}");
        apply(&folder, "out").arg(folder.at("in")).succeeds();
        let Samples::Float(found) = samples(&folder.at("out/3.tif")) else { panic!("{scale}") };
        let Samples::Float(given) = floats(4003.0) else { unreachable!() };
        for (found, given) in found.iter().zip(&given) {
            assert!((found - given).abs() < 1e-3, "{scale}: {found}, {given}");
        }
        // What is drawn of them reaches from dark to bright.
        let drawn = ImageFile::open(folder.at("run/input_same.png")).unwrap().scaled();
        let bright = drawn.iter().filter(|&&value| value > 0.7).count();
        let dark = drawn.iter().filter(|&&value| value < 0.3).count();
        assert!(bright > 200 && dark > 200, "{scale}: {bright} bright, {dark} dark");
        apply(&folder, "looks").arg("--compare").arg(folder.at("in/0.tif")).succeeds();
        assert!(folder.at("looks/0.tif.png").is_file() || folder.at("looks/0.png").is_file());
    }
}

#[test]
fn without_a_scale_floats_beyond_0_to_1_are_refused_and_unit_takes_them_as_they_are() {
    let folder = Folder::new();
    for i in 0..4 {
        save(&folder, &format!("in/{i}.tif"), floats(4000.0));
    }
    train(&config(&folder, ""), &folder.at("run")).fails(&["from 0 to 4000", "data.scale"]);
    train(&scaled(&folder, "\"unit\""), &folder.at("run")).succeeds();
    apply(&folder, "out").arg(folder.at("in")).succeeds();
    assert_eq!(samples(&folder.at("out/0.tif")), floats(4000.0));
}

#[test]
fn measured_numbers_are_kept_and_a_run_goes_on_with_them() {
    let folder = Folder::new();
    for i in 0..5 {
        save(&folder, &format!("in/{i}.png"), ramp(i));
    }
    let config = scaled(&folder, "\"range\"");
    train(&config, &folder.at("run")).succeeds();
    let kept = fs::read_to_string(folder.at("run/config.toml")).unwrap();
    // Of the first three images, which are learned from.
    let found = Scaling::of(&plan(&kept).config.data);
    let Scaling::Set(_, affine) = found else { panic!("{found:?}: {kept}") };
    let level = 1.0 / 65_535.0;
    assert!((affine.offset / level).abs() < 1e-3, "{affine:?}");
    assert!((affine.factor / level - 4097.0).abs() < 1e-2, "{affine:?}");
    let more = |out: &str| train(&config, &folder.at(out)).set("train.epochs=3");
    more("run").arg("--resume").succeeds();
    more("whole").succeeds();
    let losses = |out: &str| -> Value {
        let text = fs::read_to_string(folder.at(&format!("{out}/history.json"))).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        all["epochs"].as_array().unwrap().iter().map(|e| e["val_loss"].clone()).collect()
    };
    assert_eq!(losses("run"), losses("whole"));
    assert_eq!(losses("run").as_array().unwrap().len(), 3);
    more("run").arg("--resume").set("data.scale=\"mean_std\"").refused(&["data.scale.kind"]);
}

fn plan(text: &str) -> Plan {
    Plan::new(Source::parse(text, "case", &[]).unwrap()).unwrap()
}

#[test]
fn metrics_are_those_of_the_images_in_their_own_units() {
    let measured = |scale: &str| {
        let folder = Folder::new();
        for i in 0..4_u16 {
            let level = |j: u16| (j * 7 + i) % 200;
            let clean = (0..256).map(|j| level(j) as u8).collect();
            let noisy = (0..256).map(|j| (level(j) + j % 5 * 10) as u8).collect();
            save(&folder, &format!("clean/{i}.png"), Samples::Eight(clean));
            save(&folder, &format!("noisy/{i}.png"), Samples::Eight(noisy));
        }
        let text = fs::read_to_string(config(&folder, scale)).unwrap();
        let images = format!("kind = \"images\"\ntrain = {:?}", folder.at("in"));
        let (noisy, clean) = (folder.at("noisy"), folder.at("clean"));
        let pairs = format!("kind = \"pairs\"\nnoisy = {noisy:?}\nclean = {clean:?}");
        let config = folder.write("same.toml", text.replace(&images, &pairs));
        train(&config, &folder.at("run")).succeeds();
        let weights = folder.at("run/same.pt");
        let printed =
            convae().arg("evaluate").arg("--json").arg("--checkpoint").arg(weights).succeeds();
        let found: Value = serde_json::from_str(&printed).unwrap();
        let psnr = |which: &str| found["results"][0][which]["psnr"].as_f64().unwrap();
        [psnr("input"), psnr("output")]
    };
    let [input, output] = measured("");
    assert!((input - output).abs() < 1e-4 && (10.0..30.0).contains(&input), "{input}, {output}");
    for scale in KINDS {
        for found in measured(&format!("scale = {scale}")) {
            assert!((found - input).abs() < 1e-4, "{scale}: {found}, {input}");
        }
    }
}

#[test]
fn evaluate_takes_the_mean_over_flips_and_turns_that_apply_gives() {
    let folder = Folder::new();
    let mut files = Vec::new();
    for (i, shape) in [[20, 33, 1], [33, 20, 1], [24, 24, 1], [8, 9, 1]].into_iter().enumerate() {
        let values = (0..shape[0] * shape[1]).map(|j| (j * (31 + i) % 4001) as f32).collect();
        let path = folder.at(&format!("in/{i}.tif"));
        fs::create_dir_all(folder.at("in")).unwrap();
        ImageFile::new(shape, Samples::Float(values)).unwrap().save(&path).unwrap();
        files.push(path);
    }
    let text =
        fs::read_to_string(scaled(&folder, "{ kind = \"range\", offset = 0, factor = 4000 }"))
            .unwrap();
    let conv = |stride: &str| {
        format!(
            "{{ layer = \"Conv2D\", filters = 1, kernel_size = 3, padding = \"same\"{stride} }}"
        )
    };
    let one = text.lines().find(|line| line.starts_with("decoder")).unwrap();
    let up = "{ layer = \"UpSampling2D\" }";
    let decoder = format!("decoder = [{}, {up}, {}]", conv(", strides = 2"), conv(""));
    let text = text
        .replace(one, &decoder)
        .replace("[-1, -1, 1]", "[24, 24, 1]")
        .replace("test_fraction = 0.3", "test_fraction = 0.5\nresize = \"exact\"");
    let config = folder.write("same.toml", text);
    train(&config, &folder.at("run")).succeeds();
    // The files as they are: a model of open size, three test images of three sizes.
    let list = folder.write("test.txt", "0.tif\n1.tif\n2.tif\n");
    let open = fs::read_to_string(folder.at("run/config.toml"))
        .unwrap()
        .replace("input_shape = [24, 24, 1]", "input_shape = [-1, -1, 1]")
        .replace("resize = \"exact\"\n", "")
        .replace("test_fraction = 0.5", &format!("test = {list:?}"));
    let open = folder.write("open.toml", open);
    let weights = folder.at("run/same.pt");
    let model = |command: &str| {
        let call = convae().arg(command).arg("--checkpoint").arg(&weights);
        call.arg("--config").arg(&open).args(["--augment", "8"])
    };
    let printed = model("evaluate").arg("--json").arg("--per-file").succeeds();
    let found: Value = serde_json::from_str(&printed).unwrap();
    model("apply").out(folder.at("out")).arg(folder.at("in")).succeeds();
    for (i, path) in files[..3].iter().enumerate() {
        let (clean, cleaned) = (
            ImageFile::open(path).unwrap().scaled(),
            ImageFile::open(folder.at(&format!("out/{i}.tif"))).unwrap().scaled(),
        );
        let errors = clean.iter().zip(&cleaned).map(|(a, b)| f64::from((a - b) / 4000.0).powi(2));
        let psnr = -10.0 * (errors.sum::<f64>() / clean.len() as f64).log10();
        let said = found["results"][0]["files"][i]["output"]["psnr"].as_f64().unwrap();
        assert!((said - psnr).abs() < 1e-3, "{path:?}: {said}, {psnr}");
    }
}

#[test]
fn an_exported_model_takes_and_gives_the_values_that_apply_does() {
    let folder = Folder::new();
    for i in 0..4 {
        save(&folder, &format!("in/{i}.tif"), floats(4000.0));
    }
    for scale in &KINDS[..3] {
        let config = scaled(&folder, scale);
        train(&config, &folder.at("run"))
            .arg("--overwrite")
            .set("model.decoder[0].kernel_initializer={name=\"Constant\",value=0.9}")
            .succeeds();
        apply(&folder, "out").arg("--overwrite").arg(folder.at("in")).succeeds();
        let export = |name: &str, format: &str| {
            let printed = convae()
                .arg("export")
                .arg(folder.at("run/same.pt"))
                .out(folder.at(name))
                .args(["--overwrite", "--format", format])
                .succeeds();
            assert!(printed.contains("scales by itself, by (value - "), "{printed}");
        };
        export("same.onnx", "onnx");
        export("same.keras", "keras");
        export("same.pt", "torchscript");
        check_in_python(&folder, &folder.at("out/0.tif"));
        let module = CModule::load(folder.at("same.pt")).unwrap();
        let Samples::Float(given) = floats(4000.0) else { unreachable!() };
        let input = Tensor::from_slice(&given).view([1, 1, 64, 64]).to_kind(Kind::Float);
        let output = no_grad(|| module.forward_ts(&[input]).unwrap());
        let Samples::Float(found) = samples(&folder.at("out/0.tif")) else { panic!("floats") };
        let found = Tensor::from_slice(&found).view([1, 1, 64, 64]);
        let far = (output - &found).abs().max().double_value(&[]);
        assert!(far < 5e-3, "{scale}: {far}");
        let moved = (found - Tensor::from_slice(&given).view([1, 1, 64, 64])).abs().max();
        assert!(moved.double_value(&[]) > 0.1, "the model is not the identity");
    }
    // Keras would round the scale as well.
    let mixed = convae().arg("export").arg(folder.at("run/same.pt")).out(folder.at("mixed.keras"));
    mixed.set("train.dtype=mixed_bfloat16").refused(&["data.scale", "train.dtype=float32"]);
    let each = scaled(&folder, "{ kind = \"range\", per = \"image\" }");
    train(&each, &folder.at("run")).arg("--overwrite").succeeds();
    let export =
        |name: &str| convae().arg("export").arg(folder.at("run/same.pt")).out(folder.at(name));
    export("each.onnx").refused(&["data.scale.per is \"image\"", ".safetensors"]);
    export("each.safetensors").succeeds();
}

/// ONNX and Keras give for the floats what `apply` has written.
fn check_in_python(folder: &Folder, applied: &Path) {
    const SCRIPT: &str = "
import sys, numpy, onnxruntime, keras
folder, given, applied = sys.argv[1], *(numpy.load(path) for path in sys.argv[2:])
onnx = onnxruntime.InferenceSession(folder + '/same.onnx').run(None, {'input': given})[0]
model = keras.saving.load_model(folder + '/same.keras')
theirs = numpy.asarray(model(given.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
for found in (onnx, theirs):
    assert abs(found - applied).max() < 5e-3, abs(found - applied).max()
";
    let Some(python) = crate::common::python() else { return };
    let array = |name: &str, samples: Samples| {
        let Samples::Float(values) = samples else { panic!("floats") };
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        folder.write(name, [Header::bytes("<f4", &[1, 1, 64, 64]), bytes].concat())
    };
    let (given, applied) =
        (array("given.npy", floats(4000.0)), array("applied.npy", samples(applied)));
    let mut call = std::process::Command::new(python);
    call.args(["-c", SCRIPT]).arg(folder.path()).args([given, applied]);
    let run = call.env("KERAS_BACKEND", "jax").output().unwrap();
    assert!(run.status.success(), "{}", text(&run.stderr));
}

#[test]
fn codes_are_of_scaled_values_and_decoded_images_have_their_own_units() {
    let folder = Folder::new();
    let values: Vec<u8> = (0..=255).map(|i: u8| i / 2 + 60).collect();
    for i in 0..4 {
        save(&folder, &format!("in/{i}.png"), Samples::Eight(values.clone()));
    }
    for scale in &KINDS[..3] {
        train(&scaled(&folder, scale), &folder.at("run")).arg("--overwrite").succeeds();
        let call = |command: &str| {
            convae()
                .arg(command)
                .arg("--checkpoint")
                .arg(folder.at("run/same.pt"))
                .arg("--overwrite")
        };
        call("encode").out(folder.at("codes.npz")).arg(folder.at("in")).succeeds();
        let codes = folder.at("codes.npz");
        call("decode").arg("--codes").arg(codes).out(folder.at("decoded")).succeeds();
        let decoded = ImageFile::open(folder.at("decoded/0.png")).unwrap();
        assert_eq!(decoded.samples, Samples::Eight(values.clone()), "{scale}");
        let near = call("neighbours").arg("--among").arg(folder.at("in"));
        near.out(folder.at("near.png")).arg(folder.at("in/0.png")).succeeds();
    }
}

#[test]
fn arrays_of_any_range_go_through_and_come_back() {
    let folder = Folder::new();
    let values: Vec<f32> = (0..4 * 64).map(|i| i as f32 * 10.0 - 300.0).collect();
    let header = Header::bytes("<f4", &[4, 8, 8]);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let array = folder.write("a.npy", [header.clone(), bytes].concat());
    for scale in KINDS {
        let text = fs::read_to_string(scaled(&folder, scale)).unwrap();
        let images = format!("kind = \"images\"\ntrain = {:?}", folder.at("in"));
        let npz = format!("kind = \"npz\"\nfile = {array:?}");
        let config = folder.write("same.toml", text.replace(&images, &npz));
        train(&config, &folder.at("run"))
            .arg("--overwrite")
            .set("model.input_shape=[8,8,1]")
            .succeeds();
        apply(&folder, "out").arg("--overwrite").arg(&array).succeeds();
        let result = fs::read(folder.at("out/a.npy")).unwrap();
        let found =
            result[header.len()..].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        for (found, given) in found.zip(&values) {
            assert!((found - given).abs() < 1e-3, "{scale}: {found}, {given}");
        }
    }
}

#[test]
fn wrong_scales_are_refused_in_a_sentence() {
    let folder = Folder::new();
    for i in 0..4 {
        save(&folder, &format!("in/{i}.tif"), floats(4000.0));
    }
    let run = folder.at("run");
    let said = |scale: &str| train(&scaled(&folder, scale), &run);
    said("\"mean_std\"").set("model.decoder[0].activation=\"sigmoid\"").refused(&[
        "data.scale",
        "last activation is \"sigmoid\"",
        "\"linear\"",
    ]);
    said("\"percentile\"").set("train.loss=\"binary_crossentropy\"").refused(&[
        "train.loss",
        "data.scale",
        "mean_squared_error",
    ]);
    said("{ kind = \"range\", offset = 3 }").refused(&[
        "data.scale.offset",
        "`data.scale.factor` is not",
        "set both",
    ]);
    said("{ kind = \"range\", offset = 3, factor = 2, per = \"image\" }")
        .refused(&["data.scale.per", "per=\"set\""]);
    said("\"ranges\"").refused(&["data.scale", "range"]);
    said("\"range\"").set("corruption.kind=\"gaussian\"").refused(&[
        "corruption",
        "values beyond",
        "clip=false",
    ]);
    said("\"range\"").set("corruption.kind=\"gaussian\"").set("corruption.clip=false").succeeds();
    // Weights without the numbers of their training.
    let bare = folder.at("bare.safetensors");
    crate::common::copy_bare_weights(&folder.at("run/same.pt"), &bare);
    let call = convae()
        .arg("apply")
        .arg("--checkpoint")
        .arg(&bare)
        .arg("--config")
        .arg(folder.at("same.toml"))
        .out(folder.at("out"))
        .arg(folder.at("in"));
    call.refused(&["data.scale has no offset and factor", "data.scale.offset=NUMBER"]);
    // A single colour.
    save(&folder, "flat/a.tif", Samples::Float(vec![7.5; 4096]));
    apply(&folder, "out").arg(folder.at("flat")).succeeds();
    for i in 0..4 {
        save(&folder, &format!("in/{i}.tif"), Samples::Float(vec![7.5; 4096]));
    }
    said("\"range\"").arg("--overwrite").refused(&["training images are 7.5", "no range"]);
    let each = said("{ kind = \"range\", per = \"image\" }").arg("--overwrite").assert().code(1);
    let stderr = text(&each.get_output().stderr);
    assert!(stderr.contains("0.tif: all of its values are 7.5"), "{stderr}");
    let data = plan(&fs::read_to_string(scaled(&folder, "\"range\"")).unwrap()).config.data;
    assert!(Dataset::open_test(&data, [64, 64, 1]).unwrap_err().is_usage_error());
}
