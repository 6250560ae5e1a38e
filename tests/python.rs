//! What Python makes of our files: the code in docs/export.md, run by a real interpreter.
//!
//! `scripts/test.sh` names the interpreter in CONVAE_PYTHON; without it these tests say that they
//! were skipped.

#[path = "common/absent.rs"]
mod absent;

use std::path::Path;
use std::process::Command;

use convae::config::Source;
use convae::data::Dataset;
use convae::data::corruption::Split;
use convae::formats::checkpoint::{Array, Checkpoint, save};
use convae::infer::model_file::save_model;
use convae::plan::Plan;
use convae::plan::loader;
use convae::train::{History, NoCheckpoints, Trainer, TrainingState, fit};
use tch::Device;

use absent::python;

/// Largest difference of two float32 forward passes through the same weights.
const TOLERANCE: f64 = 1e-6;

/// What follows the page's code: its outputs beside ours.
const COMPARISON: &str = r#"
from safetensors.torch import load_file
ours = load_file("ours.safetensors")
with torch.no_grad():
    theirs = model(ours["input"].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
print((theirs - ours["output"]).abs().max().item())
"#;

#[test]
fn the_documented_torch_module_loads_the_weights_and_gives_our_outputs() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    train_a_little(folder.path());
    let code = documented_code().replace("runs/noise/noise.pt", "noise.pt") + COMPARISON;
    let run = Command::new(python).args(["-c", &code]).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let difference: f64 = String::from_utf8_lossy(&run.stdout).trim().parse().unwrap();
    assert!(difference <= TOLERANCE, "PyTorch's outputs differ from ours by {difference}");
}

/// The Python block of docs/export.md.
fn documented_code() -> String {
    let page = std::fs::read_to_string(root().join("docs/export.md")).unwrap();
    let (_, rest) = page.split_once("```python\n").expect("docs/export.md shows Python code");
    rest.split_once("```").expect("the block ends").0.to_owned()
}

/// Leaves `noise.pt`, and inputs with our outputs in `ours.safetensors`.
fn train_a_little(folder: &Path) {
    let config = root().join("configs/denoise.toml");
    let digits = format!("data.dir={}", root().join("tests/digits").display());
    let overrides = [digits, "train.device=cpu".to_owned()];
    let plan = Plan::new(Source::open(&config, &overrides).unwrap()).unwrap();
    let data = Dataset::open(&plan.config.data, plan.input_shape).unwrap();
    let mut trainer = Trainer::new(&plan, Device::Cpu).unwrap();
    let mut state = TrainingState::new(History::new(&plan, &trainer));
    fit(&plan, &data, &mut trainer, &mut state, &mut [], &mut NoCheckpoints).unwrap();
    save_model(&folder.join("noise.pt"), &plan, &trainer.predictor, &state.history).unwrap();

    let indices: Vec<usize> = (0..data.test.len()).collect();
    let input = loader(&plan, &data.test, Split::Test).batch(0, &indices).unwrap().input;
    let images = |values: &[f32]| Array::from_values(&[indices.len(), 28, 28, 1], values).unwrap();
    let tensors = vec![
        ("input".to_owned(), images(&input)),
        ("output".to_owned(), images(&trainer.predictor.predict(&input))),
    ];
    let checkpoint = Checkpoint { tensors, ..Checkpoint::default() };
    save(&folder.join("ours.safetensors"), &checkpoint).unwrap();
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
