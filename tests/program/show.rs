//! The scripts behind `scripts/show.sh`: the pages that they make, and that those who are compared
//! really do the same work. Their figures are not tested here: they are measured.
//!
//! `scripts/test.sh` names the interpreter in CONVAE_PYTHON; without it these tests say that they
//! were skipped.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{Folder, convae, names, root, text, train};

/// A model with every kind of layer that the PyTorch script has to know, for 28x28 images.
const MODEL: &str = r#"name = "mixed"
[model]
encoder = [
  { layer = "Conv2D", filters = 4, kernel_size = 6, strides = 2, padding = "same", activation = "relu" },
  { layer = "MaxPooling2D" },
]
decoder = [
  { layer = "UpSampling2D" },
  { layer = "Conv2D", filters = 3, kernel_size = 3, padding = "same", activation = "relu" },
  { layer = "Conv2DTranspose", filters = 1, kernel_size = 4, strides = 2, padding = "same" },
]
"#;

/// Takes noisy values of many clean ones, and compares their means with the formula.
const CLIPPING: &str = "
import numpy as np
from show.corrupted import noisy
from show.rivals import clipped_mean, undo_clipping
for level in (0.1, 0.3):
    for value in (0.0, 0.05, 0.5, 0.97, 1.0):
        seen = noisy(np.full((500, 400), value), level, 1).picture
        error = abs(seen.mean() - clipped_mean(np.array(value), level))
        assert error < 5 * seen.std() / seen.size**0.5, (level, value, error)
        back = undo_clipping(clipped_mean(np.array([value]), level), level)
        assert abs(back - value) < 1e-3, (level, value, back)
";

/// Boxes hide the share that was asked for; what is shrunk is a mean; and nothing else changes.
const CORRUPTIONS: &str = "
import numpy as np
from show.corrupted import masked, shrunk
clean = np.round(np.random.default_rng(0).uniform(0.5, 1, (60, 81)) * 255) / 255
seen = masked(clean, 0.15, 3)
assert 0.15 <= seen.mask.mean() < 0.18, seen.mask.mean()
assert (seen.picture[seen.mask] == 0).all() and (seen.picture[~seen.mask] == clean[~seen.mask]).all()
seen = shrunk(clean, 2, 0)
assert seen.picture.shape == seen.clean.shape == (60, 80), seen.picture.shape
assert abs(seen.small[4, 5] - clean[8:10, 10:12].mean()) <= 0.5 / 255
assert abs(seen.picture.mean() - clean[:, :80].mean()) < 0.01
";

fn python(arguments: &[&str]) -> Option<Output> {
    let python = crate::common::python()?;
    let mut command = Command::new(python);
    command.args(arguments).current_dir(root());
    command.env("PYTHONPATH", "scripts").env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command.output().unwrap())
}

fn python_succeeds(arguments: &[&str]) {
    if let Some(run) = python(arguments) {
        assert!(run.status.success(), "{}", text(&run.stderr));
    }
}

fn pages(folder: &Path, crops: &str) -> Option<Output> {
    python(&["scripts/make_pages.py", "--crops", crops, "--out", folder.to_str().unwrap()])
}

#[test]
fn the_same_seed_makes_the_same_pages_however_many_crops_are_asked_for() {
    let (few, more) = (Folder::new(), Folder::new());
    let (Some(first), Some(second)) = (pages(few.path(), "5"), pages(more.path(), "40")) else {
        return;
    };
    assert!(first.status.success() && second.status.success(), "{}", text(&first.stderr));
    assert_eq!(names(&few.at("train")).len(), 5);
    assert_eq!(names(&more.at("train")).len(), 40);
    assert_eq!(names(&few.at("test")), names(&more.at("test")));
    for part in ["train", "test"] {
        for name in names(&few.at(part)) {
            let read = |folder: &Folder| std::fs::read(folder.at(part).join(&name)).unwrap();
            assert_eq!(read(&few), read(&more), "{part}/{name}");
        }
    }
}

#[test]
fn pages_of_somebody_else_are_left_alone() {
    let folder = Folder::new();
    folder.write("train/mine.png", "mine");
    let Some(run) = pages(folder.path(), "5") else { return };
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("train is not empty; delete it, or name another folder"));
    assert_eq!(names(folder.path()), ["train"]);
    assert_eq!(std::fs::read(folder.at("train/mine.png")).unwrap(), b"mine");
}

#[test]
fn no_font_of_the_held_out_pages_is_learned_from() {
    let code = "
from make_pages import HELD_OUT_FAMILIES, KNOWN_FAMILIES
held_out, known = ({font for family in families for font in family} for families in (HELD_OUT_FAMILIES, KNOWN_FAMILIES))
assert held_out and known and not held_out & known, held_out & known";
    python_succeeds(&["-c", code]);
}

#[test]
fn what_clipping_does_to_the_mean_of_noise_is_known_and_undone() {
    python_succeeds(&["-c", CLIPPING]);
}

#[test]
fn the_compared_corruptions_are_what_they_say() {
    python_succeeds(&["-c", CORRUPTIONS]);
}

#[test]
fn the_pytorch_script_makes_the_images_that_apply_makes() {
    if crate::common::python().is_none() {
        return;
    }
    let folder = Folder::new();
    let (run, input) = (folder.at("mixed"), folder.at("in"));
    train(folder.write("mixed.toml", MODEL)).out(&run).assert().success();
    std::fs::create_dir(&input).unwrap();
    std::fs::copy(run.join("input_mixed.png"), input.join("digit.png")).unwrap();
    convae()
        .args(["apply", "--checkpoint"])
        .arg(run.join("mixed.pt"))
        .out(folder.at("ours"))
        .arg(input.join("digit.png"))
        .assert()
        .success();
    for way in ["plain", "tuned"] {
        let [run, input, theirs] =
            [&run, &input, &folder.at(way)].map(|path| path.to_str().unwrap().to_owned());
        python_succeeds(&["-m", "show.torch_apply", &run, &input, &theirs, way]);
        let compare = "
import sys
from pathlib import Path
from show.many import check_agreement
check_agreement(*map(Path, sys.argv[1:]))";
        python_succeeds(&["-c", compare, folder.at("ours").to_str().unwrap(), &theirs]);
    }
}
