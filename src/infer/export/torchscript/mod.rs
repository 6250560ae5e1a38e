//! TorchScript: the model as code that libtorch compiles, with its weights, in one archive.
//!
//! The code is written here and not traced: a trace would fix the number of images and their size,
//! on which Keras's padding depends. Each layer is a module with the checkpoint's names, so that
//! `module.encoder(images)` gives the codes, and `module.state_dict()` is the checkpoint's. Before a
//! file is written, libtorch loads it and has to give the model's own outputs.

mod activation;
mod code;
mod layer;

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, ensure};
use tch::{CModule, Kind, Tensor, no_grad};

use super::Exporter;
use crate::engine::kind_of;
use crate::formats::checkpoint::script;
use crate::nn::channels_first;

/// Largest difference between the written code and the model, of values around 1, in float32.
const TOLERANCE: f64 = 1e-4;

/// The bytes of a file.
///
/// # Errors
/// When libtorch does not load what was written, or computes something else with it.
pub fn to_bytes(model: &mut Exporter) -> anyhow::Result<Vec<u8>> {
    let modules = code::modules(model);
    let records = BTreeMap::from([
        ("config.toml".to_owned(), model.plan.config.to_toml()),
        ("README".to_owned(), model.description()),
    ]);
    let bytes = script::to_bytes(&modules.root, &modules.source, &records)
        .map_err(|error| anyhow!("the archive cannot be laid out: {error}"))?;
    check(model, &bytes)?;
    Ok(bytes)
}

fn check(model: &mut Exporter, bytes: &[u8]) -> anyhow::Result<()> {
    let mut module = CModule::load_data(&mut std::io::Cursor::new(bytes))
        .context("a bug in convae: libtorch does not load the module")?;
    module.set_eval();
    let sides = model.plan.graph.input.0.iter().map(|&side| side as i64);
    let shape: Vec<i64> = std::iter::once(1).chain(sides).collect();
    let kind = kind_of(model.plan.config.train.dtype);
    let count: i64 = shape.iter().product();
    // Any image will do; this one has all values from 0 to 1.
    let ramp = Tensor::arange(count, (Kind::Float, tch::Device::Cpu)) * 37.0;
    let image = ramp.remainder(256.0) / 255.0;
    let mut values = vec![0.0_f32; count as usize];
    image.copy_data(&mut values, count as usize);
    let ours = channels_first(&model.predictor.outputs(&values));
    let input = channels_first(&image.view(shape.as_slice())).to_kind(kind);
    let theirs = no_grad(|| module.forward_ts(&[input]))
        .context("a bug in convae: libtorch does not run the module")?;
    ensure!(theirs.size() == ours.size(), "a bug in convae: the module gives {:?}", theirs.size());
    let scale = ours.abs().max().double_value(&[]).max(1.0);
    let difference = (theirs - ours).abs().max().double_value(&[]) / scale;
    // Diverged weights give NaN on both sides, which is no bug of the module.
    ensure!(
        difference.is_nan() || difference <= TOLERANCE,
        "a bug in convae: the module's outputs differ from the model's by {difference:e}"
    );
    Ok(())
}
