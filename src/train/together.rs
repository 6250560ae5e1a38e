//! What the processes of one training tell each other: gradients, losses, the state that all begin with, and digests by
//! which they know that they are still the same.
//!
//! A batch is cut by rank; each process brings what its images add to the batch's loss and gradient, and all get the same
//! sums to the last bit, so that equal optimizers make equal steps. A step's message is one row:
//!
//! ```text
//! [gradient (P), moving statistics (M), then for each rank: its loss, what rounding the loss left out, 1 if it wants to stop]
//! ```
//!
//! The moving statistics are there where BatchNormalization sees each process's part by itself
//! (`train.synchronized_batch_norm = false`); all then go on with their means, as Keras's replicas do.

use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor, kind, no_grad};

use super::{History, Numbers, TrainError, Trainer, TrainingState};
use crate::config::Config;
use crate::data::{DataLoader, Dataset};
use crate::engine::{Step, computer};
use crate::formats::checkpoint::{Array, DType};
use crate::infer::evaluation::total_loss;
use crate::infer::model_file::{array_of, tensor_of};
use crate::plan::Plan;
use crate::system::exit::UsageError;
use crate::system::ranks::{Lost, Ranks, Summand};

/// Letters of a value that a sentence shows.
const SHOWN: usize = 60;
/// Of a rank in a step's message.
const SLOTS: usize = 3;
/// Keys that may differ from rank to rank: where things lie, and how fast they go.
const OWN: [&str; 10] = [
    "model.weights",
    "data.dir",
    "data.file",
    "data.train",
    "data.test",
    "data.noisy",
    "data.clean",
    "data.threads",
    "train.threads",
    "train.device",
];
/// A section of such keys: rank 0 alone writes.
const OWN_SECTION: &str = "output.";

/// The step of the whole batch, of which `own` is this process's share. Each of the `moving` statistics, of the gradient's
/// type, becomes the mean of the processes'.
pub(super) fn sum_up(ranks: &Ranks, own: &Step, moving: &[Tensor]) -> Result<Step, Lost> {
    match own.gradient.kind() {
        Kind::Double => summed::<f64>(ranks, own, moving),
        _ => summed::<f32>(ranks, own, moving),
    }
}

fn summed<T: Summand + kind::Element>(
    ranks: &Ranks,
    own: &Step,
    moving: &[Tensor],
) -> Result<Step, Lost> {
    let (device, slots) =
        (own.gradient.device(), Tensor::from_slice(&slots::<T>(ranks, &own.loss)));
    let mut values: Vec<Tensor> = vec![own.gradient.shallow_clone()];
    values.extend(moving.iter().map(|moving| moving.flatten(0, -1)));
    let lengths: Vec<i64> =
        values.iter().chain([&slots]).map(|values| values.numel() as i64).collect();
    values.push(slots.to_device(device));
    let row = ranks.sum_of(no_grad(|| Tensor::cat(&values, 0)))?;
    let mut parts = row.split_with_sizes(lengths.as_slice(), 0);
    let loss = taken(ranks, &values_of::<T>(&parts.pop().expect("the slots are the last part")));
    let gradient = parts.remove(0);
    for (moving, sums) in moving.iter().zip(parts) {
        let means = sums.view_as(moving) / ranks.share().of as f64;
        no_grad(|| moving.shallow_clone().copy_(&means));
    }
    Ok(Step { loss: Tensor::from(loss).to_device(device), gradient })
}

fn values_of<T: Summand + kind::Element>(row: &Tensor) -> Vec<T> {
    let mut values = vec![T::default(); row.numel()];
    row.to_device(Device::Cpu).copy_data(&mut values, row.numel());
    values
}

/// What this rank says beside its values, among the places of all.
fn slots<T: Summand>(ranks: &Ranks, loss: &Tensor) -> Vec<T> {
    let (share, loss) = (ranks.share(), loss.double_value(&[]));
    let rounded = T::of(loss);
    // An infinite loss leaves nothing out.
    let rest = if loss.is_finite() { loss - rounded.wide() } else { 0.0 };
    let mut slots = vec![T::default(); SLOTS * share.of];
    slots[SLOTS * share.rank..][..SLOTS].copy_from_slice(&[
        rounded,
        T::of(rest),
        T::of(ranks.wants_stop()),
    ]);
    slots
}

/// The loss of the whole batch; and all now know whether to stop.
fn taken<T: Summand>(ranks: &Ranks, slots: &[T]) -> f64 {
    let (mut loss, mut stops) = (0.0, false);
    for slots in slots.chunks_exact(SLOTS) {
        loss += slots[0].wide() + slots[1].wide();
        stops |= slots[2].wide() > 0.0;
    }
    ranks.agree_on_stop(stops);
    loss
}

/// The mean loss over the test images, of which each process judges its share; all then know that they have the same
/// weights, and whether to stop.
pub(super) fn val_loss(
    test: DataLoader<'_>,
    trainer: &mut Trainer,
    epoch: usize,
) -> Result<f64, TrainError> {
    let own = total_loss(test, &mut trainer.predictor)?;
    let Some(ranks) = trainer.ranks() else { return Ok(own.sum / own.images as f64) };
    let digest = digest_of_weights(trainer);
    let all = ranks.gather(&[own.sum, own.images as f64, ranks.wants_stop(), digest])?;
    let (mut sum, mut images, mut stops) = (0.0, 0.0, false);
    for (rank, said) in all.chunks_exact(4).enumerate() {
        (sum, images, stops) = (sum + said[0], images + said[1], stops || said[2] > 0.0);
        if said[3].to_bits() != all[3].to_bits() {
            return Err(Lost(format!(
                "rank {rank} has other weights than rank 0 after epoch {epoch}, although both made the same steps; train on \
                 machines with the same processors and the same convae"
            ))
            .into());
        }
    }
    ranks.agree_on_stop(stops);
    Ok(sum / images)
}

/// Of all weights and the optimizer's state: 52 bits, which a float64 holds.
fn digest_of_weights(trainer: &Trainer) -> f64 {
    let mut hash = Sha256::new();
    hash.update(array_of(&trainer.predictor.parameters().values()).bytes());
    for (_, tensor) in trainer.optimizer.state() {
        hash.update(array_of(&tensor).bytes());
    }
    first_bits(hash)
}

fn first_bits(hash: Sha256) -> f64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    (u64::from_le_bytes(first) >> 12) as f64
}

/// Finds out that all ranks have the same convae, the same config and the same data, before anything is trained.
///
/// # Errors
/// Names the rank and what differs, or the rank that is lost.
pub fn agree(ranks: &Ranks, plan: &Plan, data: &Dataset, device: Device) -> anyhow::Result<()> {
    agree_on(ranks, &plan.config, &[])?;
    agree_on_engine(ranks, computer(plan, device))?;
    let digests = data.digests();
    let said = [
        data.train.len() as f64,
        data.test.len() as f64,
        f64::from(digest(&digests.train)),
        f64::from(digest(&digests.test)),
    ];
    let all = ranks.gather(&said)?;
    for (other, theirs) in all.chunks_exact(said.len()).enumerate() {
        if theirs != &all[..said.len()] {
            return Err(UsageError(format!(
                "rank {other} has other data than rank 0 ({} training and {} test images, not {} and {}, or others as many); \
                 give all ranks the same",
                theirs[0], theirs[1], all[0], all[1]
            ))
            .into());
        }
    }
    Ok(())
}

/// Finds out that all ranks compute with the same engine on the same kind of device.
fn agree_on_engine(ranks: &Ranks, own: &str) -> anyhow::Result<()> {
    let found = first_to_differ(ranks, own, |first| first != own)?;
    let Some((other, first)) = found else { return Ok(()) };
    let has = if other == ranks.place().rank { own } else { "another engine or kind of device" };
    Err(UsageError(format!(
        "rank {other} computes with {has}, and rank 0 with {first}, so they would not train the same; give all the same \
         train.device (\"cpu\" is everywhere)"
    ))
    .into())
}

/// The first rank for which what rank 0 says `differs` from what it says itself, and what rank 0 says.
fn first_to_differ(
    ranks: &Ranks,
    own: &str,
    differs: impl FnOnce(&str) -> bool,
) -> Result<Option<(usize, String)>, Lost> {
    let first = ranks.share_out(own.as_bytes().to_vec())?;
    let first = String::from_utf8_lossy(&first).into_owned();
    let all = ranks.gather(&[f64::from(u8::from(differs(&first)))])?;
    Ok(all.iter().position(|&differs| differs > 0.0).map(|other| (other, first)))
}

/// Of the numbers of a set.
#[must_use]
pub fn digest(set: &[u32]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    for number in set {
        hash.update(&number.to_le_bytes());
    }
    hash.finalize()
}

/// Finds out that all ranks have the same convae, the same config, and the same of some other things by name.
///
/// # Errors
/// Names the rank and what differs, or the rank that is lost.
pub fn agree_on(ranks: &Ranks, config: &Config, others: &[(&str, String)]) -> anyhow::Result<()> {
    let own = said_of(config, others);
    let differs = |first: &str| difference(first, &own).is_some();
    let Some((other, first)) = first_to_differ(ranks, &own, differs)? else { return Ok(()) };
    let what = match difference(&first, &own) {
        Some(what) if other == ranks.place().rank => what,
        _ => "has another config or other data than rank 0, or another convae".to_owned(),
    };
    Err(UsageError(format!(
        "rank {other} {what}; start all ranks with the same convae, the same config and the same data"
    ))
    .into())
}

/// convae's version, and what must be the same for all.
fn said_of(config: &Config, others: &[(&str, String)]) -> String {
    let version = format!("convae = {:?}\n", env!("CARGO_PKG_VERSION"));
    let others = others.iter().map(|(name, value)| format!("{name} = {value}\n"));
    others.fold(version, |all, other| all + &other) + &config.to_toml()
}

/// The first key that differs, with both values.
fn difference(first: &str, own: &str) -> Option<String> {
    let lines = |text: &str| -> Vec<(String, String)> {
        let mut section = String::new();
        let mut all = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_matches(['[', ']']).to_owned() + ".";
            } else if let Some((key, value)) = line.split_once(" = ") {
                all.push((format!("{section}{key}"), value.to_owned()));
            } else if !line.is_empty() {
                all.push((section.clone(), line.to_owned()));
            }
        }
        all.retain(|(key, _)| !key.starts_with(OWN_SECTION) && !OWN.contains(&key.as_str()));
        all
    };
    let (first, own) = (lines(first), lines(own));
    let differs = own.iter().zip(&first).find(|(own, first)| own != first);
    match differs {
        Some(((key, own), (of, first))) if key == of => {
            // Of a table in one line, the part that differs.
            let mut parts = own.split(", ").zip(first.split(", "));
            let (own, first) = parts.find(|(own, first)| own != first).unwrap_or((own, first));
            let shown = |value: &str| {
                value.trim_matches(['{', '}', ' ']).chars().take(SHOWN).collect::<String>()
            };
            Some(format!("has {} in {key}, and rank 0 has {}", shown(own), shown(first)))
        }
        Some(((key, _), _)) => Some(format!("has another {key} than rank 0")),
        None => (own.len() != first.len()).then(|| "has another config".to_owned()),
    }
}

/// Gives all ranks the state of rank 0, which may be that of a run that goes on: where it stands, weights and optimizer.
///
/// # Errors
/// When a rank is lost, or another convae sent the state.
pub fn share_state(
    ranks: &Ranks,
    trainer: &mut Trainer,
    state: Option<&TrainingState>,
) -> anyhow::Result<Option<TrainingState>> {
    let bytes = state.map(|state| written(trainer, state)).transpose()?.unwrap_or_default();
    let bytes = ranks.share_out(bytes)?;
    if ranks.is_first() { Ok(None) } else { read(&bytes, trainer).map(Some) }
}

/// What the first part of the message says, of which the rest are the arrays' bytes.
#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    numbers: Numbers,
    history: History,
    /// Name, whether it is in float64, and shape of each array.
    arrays: Vec<(String, bool, Vec<usize>)>,
}

const WEIGHTS: &str = "weights";
const REMEMBERED: &str = "remembered";

fn written(trainer: &Trainer, state: &TrainingState) -> anyhow::Result<Vec<u8>> {
    let mut arrays = vec![(WEIGHTS.to_owned(), array_of(&trainer.predictor.parameters().values()))];
    arrays.extend(state.remembered.iter().map(|row| (REMEMBERED.to_owned(), array_of(row))));
    let slots = trainer.optimizer.state().into_iter();
    arrays.extend(slots.map(|(name, slot)| (name.to_owned(), array_of(&slot))));
    let head = serde_json::json!({
        "numbers": state.numbers(trainer),
        "history": &state.history,
        "arrays": arrays
            .iter()
            .map(|(name, array)| (name, array.dtype() == DType::F64, array.shape()))
            .collect::<Vec<_>>(),
    });
    let head = serde_json::to_vec(&head)?;
    let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
    bytes.extend(head);
    for (_, array) in &arrays {
        bytes.extend(array.bytes());
    }
    Ok(bytes)
}

fn read(bytes: &[u8], trainer: &mut Trainer) -> anyhow::Result<TrainingState> {
    let odd = || {
        anyhow::anyhow!(
            "what rank 0 sent is no state of a training; start all ranks with the same convae"
        )
    };
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(odd)?;
    let (head, mut rest) =
        rest.split_at_checked(u64::from_le_bytes(*length) as usize).ok_or_else(odd)?;
    let Head { numbers, history, arrays } = serde_json::from_slice(head)?;
    let (mut weights, mut remembered, mut slots) = (None, None, Vec::new());
    for (name, is_wide, shape) in arrays {
        let count: usize = shape.iter().product();
        let (dtype, size) = if is_wide { (DType::F64, 8) } else { (DType::F32, 4) };
        let (own, others) = rest.split_at_checked(count * size).ok_or_else(odd)?;
        rest = others;
        let array = Array::new(dtype, shape, own.to_vec()).map_err(|_| odd())?;
        let tensor = tensor_of(&array).ok_or_else(odd)?;
        match name.as_str() {
            WEIGHTS => weights = Some(tensor),
            REMEMBERED => remembered = Some(tensor),
            _ => slots.push((name, tensor)),
        }
    }
    let weights = weights.ok_or_else(odd)?;
    let parameters = trainer.predictor.parameters();
    if parameters.values().numel() != weights.numel() {
        return Err(odd());
    }
    parameters.set_values(&weights);
    let optimizer = &mut trainer.optimizer;
    optimizer.restore(numbers.iterations, &slots).map_err(|_| odd())?;
    optimizer.learning_rate = numbers.learning_rate;
    let mut state = TrainingState::restored(history, numbers);
    state.remembered = remembered;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::system::ranks::{Place, is_built};

    #[test]
    fn ranks_that_compute_with_other_engines_are_refused() {
        if !is_built() {
            return;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let rank = |rank: usize, engine: &'static str| {
            move || {
                let ranks =
                    Ranks::join(Place::local(rank, 2, port), Duration::from_secs(20)).unwrap();
                let outcome = agree_on_engine(&ranks, engine).map_err(|error| error.to_string());
                ranks.finish();
                ranks.end();
                outcome
            }
        };
        let [first, second] = thread::scope(|scope| {
            let threads = [rank(0, "the native engine"), rank(1, "libtorch on a GPU")]
                .map(|rank| scope.spawn(rank));
            threads.map(|thread| thread.join().unwrap().unwrap_err())
        });
        assert!(
            second.starts_with(
                "rank 1 computes with libtorch on a GPU, and rank 0 with the native engine"
            ),
            "{second}"
        );
        assert!(
            first.starts_with("rank 1 computes with another engine")
                && first.contains("train.device"),
            "{first}"
        );
    }

    #[test]
    fn the_first_key_that_differs_is_named_and_places_may_differ() {
        let config = "convae = \"1\"\nseed = 1\n[train]\nbatch_size = 32\nthreads = 2\n[output]\ndir = \"a\"\n";
        assert_eq!(difference(config, config), None);
        let elsewhere = config.replace("\"a\"", "\"b\"").replace("threads = 2", "threads = 4");
        assert_eq!(difference(config, &elsewhere), None);
        let other = config.replace("= 32", "= 64");
        assert_eq!(
            difference(config, &other).unwrap(),
            "has 64 in train.batch_size, and rank 0 has 32"
        );
        let newer = config.replace("\"1\"", "\"2\"");
        let rate =
            |rate| format!("[train]\noptimizer = {{ name = \"Adam\", learning_rate = {rate} }}\n");
        let found = difference(&rate(0.5), &rate(0.25)).unwrap();
        assert_eq!(
            found,
            "has learning_rate = 0.25 in train.optimizer, and rank 0 has learning_rate = 0.5"
        );
        assert_eq!(
            difference(config, &newer).unwrap(),
            "has \"2\" in convae, and rank 0 has \"1\""
        );
    }
}
