//! What the page says in words: about the run, and about the machine.

use serde_json::Value;

use super::machine;
use super::records::{Records, shown};
use crate::infer::Predictor;
use crate::plan::Plan;

/// Keys of `history.json` that the page shows elsewhere, or under a headline of their own.
const SHOWN_ELSEWHERE: [&str; 3] = ["name", "parameters", "versions"];

/// What was trained, in a sentence.
pub(super) fn lead(plan: &Plan, records: &Records) -> String {
    let corrupted = plan.config.corruption.changes_images();
    let what = if corrupted { "A denoising autoencoder" } else { "An autoencoder" };
    let of = match plan.graph.input.0[..] {
        [height, width, channels] => {
            let colour = if channels == 1 { "grey" } else { "RGB" };
            format!("{height}\u{d7}{width} {colour} images")
        }
        [first, second] if plan.input_shape == [1, first, second] => {
            format!("signals of {first} steps and {second} channels")
        }
        [height, width] => format!("matrices of {height}\u{d7}{width} values"),
        _ => format!("vectors of {} values", plan.graph.input.values()),
    };
    let epochs = records.epochs.len();
    format!(
        "{what} for {of}, trained for {epochs} {} with {} and {}.",
        if epochs == 1 { "epoch" } else { "epochs" },
        plan.config.train.optimizer.name(),
        plan.config.train.loss.name(),
    )
}

/// What a reader must not miss.
pub(super) fn notices(records: &Records, epochs: usize) -> Vec<String> {
    let mut notices = Vec::new();
    if records.interrupted {
        let done = records.epochs.len();
        notices.push(format!("This run was interrupted after {done} of {epochs} epochs."));
    }
    match records.skipped_files {
        0 => {}
        1 => notices.push("One image file could not be used and was left out.".to_owned()),
        files => notices.push(format!("{files} image files could not be used and were left out.")),
    }
    notices
}

/// Seeds, what computed, and where this page was made.
pub(super) fn facts(
    records: &Records,
    predictor: &Predictor,
) -> Vec<(String, Vec<(String, String)>)> {
    let seeds = vec![
        ("seed".to_owned(), records.seed.to_string()),
        (
            "follows from it".to_owned(),
            "first weights, order of the images, corruption, random layers".to_owned(),
        ),
    ];
    let mut training: Vec<(String, String)> = (records.others.iter())
        .filter(|(key, _)| !SHOWN_ELSEWHERE.contains(&key.as_str()))
        .map(|(key, value)| (key.replace('_', " "), shown(value)))
        .collect();
    let [train, test] = records.images;
    if train > 0 {
        training.push(("training images".to_owned(), train.to_string()));
        training.push(("test images".to_owned(), test.to_string()));
    }
    let mut all = vec![("Seeds".to_owned(), seeds), ("Training".to_owned(), training)];
    if let Some(Value::Object(versions)) = records.others.get("versions") {
        let versions = versions.iter().map(|(name, version)| (name.clone(), shown(version)));
        all.push(("Versions".to_owned(), versions.collect()));
    }
    let page = [
        ("written", machine::now()),
        ("by", format!("convae {}", env!("CARGO_PKG_VERSION"))),
        ("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("processor", machine::processor()),
        ("computed by", predictor.engine_name()),
    ];
    let page = page.map(|(name, value)| (name.to_owned(), value)).to_vec();
    all.push(("This page".to_owned(), page));
    all
}
