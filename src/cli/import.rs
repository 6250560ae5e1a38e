//! `convae import`: a model of Keras's as a config and a checkpoint.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::config::to_toml;
use crate::formats::checkpoint::{Array, Checkpoint, save};
use crate::infer::model_file::{ITERATIONS, OPTIMIZER, describe};
use crate::keras::{Imported, Options, State, import};
use crate::report::summary::summary;
use crate::system::exit::UsageError;
use crate::system::plain_text::one_line;
use crate::system::terminal::{note, print};
use crate::system::{atomic, output_folder};

/// Opens a model of Keras's: its layers and training settings become a config, its weights a checkpoint.
#[derive(Debug, Args)]
pub struct Import {
    /// The model: .keras, .h5, or model.json with --weights; or weights alone with --config.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Folder for the config and the checkpoint, which take the file's name.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// A file with the model's weights, where they are not in FILE.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// The config of the model whose weights FILE holds.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The layer whose output is the code [default: the smallest output].
    #[arg(long, value_name = "LAYER")]
    pub code: Option<String>,
    /// Says what a Lambda or a layer by a class of your own is, by its name or its class, as often as
    /// needed: --as shuffle='DepthToSpace(block_size=2)'.
    #[arg(long = "as", value_name = "NAME=LAYER")]
    pub layers: Vec<String>,
    /// What the model is called here [default: the file's name].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Replaces the config and the checkpoint if they are already there.
    #[arg(long)]
    pub overwrite: bool,
}

/// Writes config and checkpoint, and says what was found and what was left behind.
///
/// # Errors
/// When the file is refused, the two are there already, or cannot be written.
pub fn run(args: &Import) -> anyhow::Result<u8> {
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.file));
    let [config, checkpoint] =
        ["toml", "pt"].map(|ending| args.out.join(format!("{name}.{ending}")));
    output_folder::check(&args.out)?;
    for path in [&config, &checkpoint] {
        check_free(path, args.overwrite)?;
    }
    let options = Options {
        weights: args.weights.as_deref(),
        config: args.config.as_deref(),
        code: args.code.as_deref(),
        name: &name,
        layers: &args.layers,
    };
    let imported = import(&args.file, &options)?;
    let header = header(&args.file, &imported);
    print(&summary(&imported.plan))?;
    note_all(said(&imported));
    let takes_images = imported.plan.graph.input.0.len() == 3;
    write_both(imported, &header, &config, &checkpoint)?;
    note_all(next_steps(&config, &checkpoint, takes_images));
    Ok(0)
}

/// The file's name without its ending, as a config may have it.
fn name_of(file: &Path) -> String {
    /// Letters of a name.
    const LONGEST: usize = 100;
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.strip_suffix(".weights").unwrap_or(&stem);
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = stem.chars().take(LONGEST).map(allowed).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "model".to_owned() } else { name.to_owned() }
}

fn check_free(path: &Path, overwrite: bool) -> Result<(), UsageError> {
    let shown = path.display();
    if path.is_dir() {
        return Err(UsageError(format!("{shown} is a folder; name another with --name NAME")));
    }
    if path.exists() && !overwrite {
        return Err(UsageError(format!(
            "{shown} is already there; add --overwrite to replace it, or name the model with --name NAME"
        )));
    }
    Ok(())
}

/// What stands above the config.
fn header(file: &Path, imported: &Imported) -> String {
    let file = one_line(&file.display().to_string());
    let mut text = format!("# Made from {file} by `convae import`.\n");
    for (what, found) in &imported.found {
        let _ = writeln!(text, "# {what}: {found}");
    }
    if !imported.notes.is_empty() {
        text.push_str("#\n");
    }
    for note in &imported.notes {
        let _ = writeln!(text, "# {note}");
    }
    text.push('\n');
    text
}

fn note_all(lines: impl IntoIterator<Item = String>) {
    for line in lines {
        note(format_args!("{line}"));
    }
}

/// What was found, and what is to be known of it.
fn said(imported: &Imported) -> Vec<String> {
    let found = imported.found.iter().map(|(what, found)| format!("{what}: {found}"));
    let notes = imported.notes.iter().map(|note| format!("- {note}"));
    found.chain(notes).collect()
}

/// Both, or none.
fn write_both(
    imported: Imported,
    header: &str,
    config: &Path,
    checkpoint: &Path,
) -> anyhow::Result<()> {
    let Imported { plan, config: mut tree, tensors, state, .. } = imported;
    let mut saved = describe(&plan, tensors);
    add_state(&mut saved, state)?;
    if let Some(toml::Value::Table(model)) = tree.get_mut("model") {
        model.insert("weights".to_owned(), checkpoint.display().to_string().into());
    }
    if let Some(folder) = checkpoint.parent() {
        output_folder::make(folder)?;
    }
    let text = format!("{header}{}", to_toml(tree));
    // The config takes its place once the checkpoint has.
    let both = atomic::write(config, |file| {
        file.write_all(text.as_bytes())?;
        save(checkpoint, &saved).map_err(io::Error::other)
    });
    both.with_context(|| {
        format!("{} cannot be written; name another folder with --out", config.display())
    })
}

/// Where `Trainer::start` looks for it.
fn add_state(checkpoint: &mut Checkpoint, state: Option<State>) -> anyhow::Result<()> {
    let Some(State { slots, iterations }) = state else { return Ok(()) };
    for (name, array) in slots {
        checkpoint.tensors.push((format!("{OPTIMIZER}{name}"), array));
    }
    let count = Array::from_values(&[1], &[iterations])?;
    checkpoint.tensors.push((format!("{OPTIMIZER}{ITERATIONS}"), count));
    Ok(())
}

fn next_steps(config: &Path, checkpoint: &Path, takes_images: bool) -> [String; 3] {
    let (config, checkpoint) = (config.display(), checkpoint.display());
    let (samples, data) = if takes_images {
        ("IMAGES", "data.kind=images --set data.train=PHOTOS")
    } else {
        ("SAMPLES.npy", "data.kind=npz --set data.file=SAMPLES.npz")
    };
    [
        format!("Saved: {config} and {checkpoint}"),
        format!("  convae apply --checkpoint {checkpoint} --out cleaned {samples}"),
        format!("  convae --config {config} --set {data}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_like_its_file_as_far_as_a_config_allows() {
        for (file, name) in [
            ("a/model.keras", "model"),
            ("my model (2).h5", "my_model__2_"),
            ("net.weights.h5", "net"),
            (".h5", "h5"),
            ("é.h5", "_"),
        ] {
            assert_eq!(name_of(file.as_ref()), name, "{file}");
        }
    }
}
