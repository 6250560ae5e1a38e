//! Hands our files to real PyTorch and safetensors, and theirs to us.
//! Runs when the environment variable `CONVAE_PYTHON` names an interpreter that has both.

use std::path::Path;
use std::process::Command;

use convae::formats::checkpoint::{Array, Checkpoint, load, save};

use crate::absent;
use crate::builder::{example, scratch};

/// Runs a script with these arguments; `None`, with a note, where there is no interpreter.
fn python(script: &str, arguments: &[&Path]) -> Option<String> {
    let mut command = Command::new(absent::python()?);
    let output = command.arg("-c").arg(script).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

const PRINT: &str = "
import sys, torch
from safetensors.torch import load_file

def show(state):
    for name, tensor in state.items():
        print(name, tensor.dtype, list(tensor.shape), tensor.flatten().tolist())

path = sys.argv[1]
if path.endswith('.pt'):
    plain = torch.load(path, weights_only=True)
    mapped = torch.load(path, weights_only=True, mmap=True)
    assert type(plain).__name__ == 'OrderedDict', type(plain)
    for name in plain:
        assert torch.equal(plain[name], mapped[name]), name
        assert plain[name].is_contiguous() and not plain[name].requires_grad
    show(plain)
else:
    show(load_file(path))
";

/// What `PRINT` prints for `example()`, tensor by tensor.
const EXAMPLE: [&str; 5] = [
    "encoder.0.weight torch.float32 [2, 1, 1, 3] [0.5, -1.0, 2.0, 3.5, 4.0, -0.0]",
    "encoder.0.bias torch.float32 [2] [1.0000000031710769e-30, 3.4028234663852886e+38]",
    "precise torch.float64 [1, 2] [1e+300, -0.1]",
    "steps torch.int64 [] [-9223372036854775808]",
    "empty torch.float32 [2, 0, 3] []",
];

#[test]
fn torch_loads_our_pt_file_with_weights_only_and_mapped() {
    let (_folder, path) = scratch("x.pt");
    save(&path, &example()).unwrap();
    if let Some(printed) = python(PRINT, &[&path]) {
        assert_eq!(printed.lines().collect::<Vec<_>>(), EXAMPLE);
    }
}

#[test]
fn safetensors_for_torch_loads_our_file() {
    let (_folder, path) = scratch("x.safetensors");
    save(&path, &example()).unwrap();
    if let Some(printed) = python(PRINT, &[&path]) {
        let mut found: Vec<&str> = printed.lines().collect();
        let mut expected = EXAMPLE.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_module_loads_our_file_strictly() {
    const SCRIPT: &str = "
import sys, torch
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
model.load_state_dict(torch.load(sys.argv[1], weights_only=True), strict=True)
print(model[0].weight.sum().item(), model[1].num_batches_tracked.item())
";
    let floats = |shape: &[usize], value: f32| {
        let count = shape.iter().product();
        Array::from_values(shape, &vec![value; count]).unwrap()
    };
    let tensors = [
        ("0.weight", floats(&[2, 1, 3, 3], 0.5)),
        ("0.bias", floats(&[2], 0.0)),
        ("1.weight", floats(&[2], 1.0)),
        ("1.bias", floats(&[2], 0.0)),
        ("1.running_mean", floats(&[2], 0.0)),
        ("1.running_var", floats(&[2], 1.0)),
        ("1.num_batches_tracked", Array::from_values(&[], &[7_i64]).unwrap()),
    ];
    let checkpoint = Checkpoint {
        tensors: tensors.map(|(name, array)| (name.to_owned(), array)).into(),
        ..Checkpoint::default()
    };
    let (_folder, path) = scratch("x.pt");
    save(&path, &checkpoint).unwrap();
    if let Some(printed) = python(SCRIPT, &[&path]) {
        assert_eq!(printed, "9.0 7\n");
    }
}

#[test]
fn we_load_what_torch_saves_again() {
    const SCRIPT: &str = "
import sys, torch
from safetensors.torch import save_file
state = torch.load(sys.argv[1], weights_only=True)
torch.save(state, sys.argv[2])
save_file(state, sys.argv[3])
";
    let (folder, ours) = scratch("ours.pt");
    let theirs = folder.path().join("их.pt");
    let safetensors = folder.path().join("theirs.safetensors");
    save(&ours, &example()).unwrap();
    if python(SCRIPT, &[&ours, &theirs, &safetensors]).is_some() {
        assert_eq!(load(&theirs).unwrap().tensors, example().tensors);
        let mut expected = example().tensors;
        expected.sort_by(|(left, _), (right, _)| left.cmp(right));
        assert_eq!(load(&safetensors).unwrap().tensors, expected);
    }
}
