//! `convae --config FILE` in several processes: how one takes part, and `--processes COUNT`, which starts them all.
//!
//! Rank 0 trains as a process that is alone does, and writes all; the others follow it, silently, with their share of every
//! batch. Whoever fails says why to the others, so that each names the same reason.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tch::Device;

use super::train::{Train, earlier, plan, train};
use crate::config::sections::Distributed;
use crate::data::Dataset;
use crate::engine::choose_device_of;
use crate::infer::evaluation::EvaluationError;
use crate::plan::Plan;
use crate::run::folder::RunFolder;
use crate::run::processes::{Call, Outcome, supervise};
use crate::system::exit::{self, UsageError};
use crate::system::failure;
use crate::system::interrupt;
use crate::system::ranks::{Apart, Lost, Place, Ranks, Share, is_built, share_cores};
use crate::system::terminal;
use crate::train::Outcome as Trained;
use crate::train::{NoCheckpoints, TrainError, Trainer, fit, together};

/// Refuses a command that is no training where several processes are to train together.
///
/// # Errors
/// When the environment says so.
pub(super) fn alone(command: &str) -> anyhow::Result<()> {
    match Apart::of_environment() {
        None => Ok(()),
        Some(Apart { share: Share { rank, of }, .. }) => Err(UsageError(format!(
            "{command} works in one process, and the environment says that this is rank {rank} of {of}; start it by itself, and \
             train with --config in several"
        ))
        .into()),
    }
}

/// Trains in so many processes on this machine.
///
/// # Errors
/// When the config or the folder is refused, or no process can be started.
pub(super) fn start(args: &Train, count: usize) -> anyhow::Result<u8> {
    let plan = plan(args)?;
    // What is refused is refused once, before anything is started.
    refuse(args, &plan, count)?;
    let folder = RunFolder::choose(&plan, args.out.as_deref(), earlier(args)?)?;
    interrupt::install().context("Ctrl-C cannot be watched for")?;
    let call = Call { arguments: arguments(args), count };
    match supervise(&call)? {
        Outcome::Ended(code) => Ok(code),
        Outcome::Failed { code, sentence, is_whole } => {
            let end = if is_whole { String::new() } else { format!("; {}", checkpoint(&folder)) };
            terminal::complain(format_args!("{sentence}{end}"));
            Ok(code)
        }
    }
}

/// Refuses to meet other processes where this libtorch cannot.
fn check_built() -> Result<(), UsageError> {
    if is_built() {
        return Ok(());
    }
    Err(UsageError(
        "this convae was built with a libtorch with which several processes cannot work together; get the one that \
         scripts/setup.sh gets, build again, or take one process"
            .to_owned(),
    ))
}

fn refuse(args: &Train, plan: &Plan, count: usize) -> anyhow::Result<()> {
    check_built()?;
    if args.trace.is_some() {
        return Err(UsageError(
            "--trace records a training in one process; leave it out, or train in one".to_owned(),
        )
        .into());
    }
    plan.check_processes(count)?;
    choose_device_of(&plan.config.train.device, 0)?;
    Ok(())
}

/// The call of each process.
fn arguments(args: &Train) -> Vec<std::ffi::OsString> {
    let Train { config, overrides, out, overwrite, resume, fresh, .. } = args;
    let mut call: Vec<std::ffi::OsString> = vec!["--config".into(), config.into()];
    for change in overrides {
        call.extend(["--set".into(), change.into()]);
    }
    if let Some(out) = out {
        call.extend(["--out".into(), out.into()]);
    }
    let flags = [(*overwrite, "--overwrite"), (*resume, "--resume"), (*fresh, "--fresh")];
    call.extend(flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag.into()));
    call.push("--attended".into());
    call
}

/// Trains as one of several processes, which somebody has started.
///
/// # Errors
/// As training alone, and when another process is lost.
pub(super) fn take_part(args: &Train, place: Place) -> anyhow::Result<u8> {
    let rank = place.rank;
    with_one_voice(place, |place| {
        let plan = plan(args)?;
        refuse(args, &plan, place.size)?;
        let timeout = plan.config.train.distributed_timeout;
        let outcome = among(place, "train", timeout, |ranks| match rank {
            0 => train(args, plan.clone(), None, Some(ranks)),
            _ => follow(args, plan.clone(), ranks),
        });
        outcome.map_err(|error| {
            let folder = RunFolder::place(&plan, args.out.as_deref());
            // Of others than rank 0 the checkpoints may lie on another machine.
            let knows = rank == 0 || last_checkpoint(&folder).is_some();
            if lost(&error) && knows {
                anyhow!("{error:#}; {}", checkpoint(&folder))
            } else {
                error
            }
        })
    })
}

/// Works as one of several processes, of which rank 0 alone talks while all goes well.
///
/// # Errors
/// Those of the work.
pub(super) fn with_one_voice(
    place: Place,
    work: impl FnOnce(Place) -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    let rank = place.rank;
    if rank > 0 {
        terminal::be_quiet();
    }
    failure::caught(|| work(place)).inspect_err(|_| terminal::speak_as(rank))
}

/// Works with all others that do the same, for whom it waits so many seconds; whoever fails tells them why.
///
/// # Errors
/// Those of the work, and when another process is lost.
pub(super) fn among(
    place: Place,
    what: &str,
    timeout: f64,
    work: impl FnOnce(&Arc<Ranks>) -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    check_built()?;
    share_cores(place.local_size);
    let timeout = Duration::from_secs_f64(timeout);
    let ranks = Arc::new(Ranks::join(place.for_work(what), timeout)?);
    let outcome = failure::caught(|| work(&ranks));
    if let Some(error) = outcome.as_ref().err().filter(|error| !lost(error)) {
        ranks.fail(&format!("{error:#}"));
    }
    ranks.end();
    outcome
}

/// What a training that was cut short can go on from.
fn checkpoint(folder: &RunFolder) -> String {
    match last_checkpoint(folder) {
        Some(file) => format!(
            "the last checkpoint is {}, from which the same command goes on with --resume",
            file.display()
        ),
        None => format!("there is no checkpoint in {} yet", folder.dir().display()),
    }
}

fn last_checkpoint(folder: &RunFolder) -> Option<PathBuf> {
    let checkpoints = folder.checkpoints();
    let found = checkpoints.newest_first().unwrap_or_default();
    found.first().map(|&place| checkpoints.file(place))
}

/// Whether it was another process that failed.
fn lost(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TrainError::Lost(_)))
        || matches!(error.downcast_ref(), Some(EvaluationError::Lost(_)))
        || error.downcast_ref::<Lost>().is_some()
}

/// Finds out, before anything is trained or written, that all train the same, and can.
///
/// # Errors
/// Names what a part of a batch cannot be trained with, or the rank that differs.
pub(super) fn check(
    ranks: &Ranks,
    plan: &Plan,
    data: &Dataset,
    device: Device,
) -> anyhow::Result<()> {
    together::agree(ranks, plan, data, device)?;
    plan.check_shares(&data.train, ranks.place().size)?;
    join_gpus(ranks, plan.config.train.distributed, device)
}

/// Lets gradients be added up on the GPUs, where that is asked for. No rank may leave it out.
fn join_gpus(ranks: &Ranks, asked: Distributed, device: Device) -> anyhow::Result<()> {
    if asked != Distributed::Nccl {
        return Ok(());
    }
    let Device::Cuda(gpu) = device else {
        return Err(UsageError(format!(
            "train.distributed is \"nccl\", but rank {} computes on the CPU; take \"auto\" or \"gloo\"",
            ranks.place().rank
        ))
        .into());
    };
    ranks.join_gpus(gpu).context(
        "train.distributed is \"nccl\", which needs a GPU for each process (\"auto\" does without)",
    )
}

/// Does what rank 0 does, but for writing and talking.
fn follow(args: &Train, plan: Plan, ranks: &Arc<Ranks>) -> anyhow::Result<u8> {
    plan.loss()?;
    let plan = plan.for_data()?;
    let target = plan.objective()?.target;
    let device = choose_device_of(&plan.config.train.device, ranks.place().local_rank)?;
    let data = Dataset::open(&plan.config.data, target)?;
    let plan = plan.with_scale_of(&data)?;
    plan.check_batches(&data.train)?;
    plan.check_batches(&data.test)?;
    interrupt::install().context("Ctrl-C cannot be watched for")?;
    if args.attended {
        interrupt::when_stdin_ends();
    }
    check(ranks, &plan, &data, device)?;
    let mut trainer = Trainer::new(&plan, device)?;
    let state = together::share_state(ranks, &mut trainer, None)?;
    let mut state = state.context("rank 0 has sent no state")?;
    trainer.join(Arc::clone(ranks));
    let outcome = fit(&plan, &data, &mut trainer, &mut state, &mut [], &mut NoCheckpoints)?;
    ranks.finish();
    Ok(match outcome {
        Trained::Finished => 0,
        Trained::Interrupted => exit::INTERRUPTED,
    })
}
