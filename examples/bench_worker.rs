//! convae as a contestant of `scripts/bench.sh`: trains and predicts when it is told to.
//!
//! ```text
//! cargo run --example bench_worker -- --config FILE [--set KEY=VALUE]... [--warm-up STEPS]
//! ```
//!
//! It answers each line of its input (`train STEPS`, `predict PASSES`, `quit`) with a line of JSON,
//! and only waits in between; see `scripts/bench/child.py`.

use std::io::{Write, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use convae::config::Source;
use convae::data::corruption::Split;
use convae::data::{DataError, DataLoader, Dataset};
use convae::engine::choose_device;
use convae::infer::RunningLoss;
use convae::plan::Plan;
use convae::plan::loader;
use convae::train::Trainer;
use serde_json::{Value, json};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    config: PathBuf,
    #[arg(long = "set")]
    overrides: Vec<String>,
    /// Steps before the clock matters: memory is taken and caches are filled.
    #[arg(long, default_value_t = 20)]
    warm_up: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let plan = Plan::new(Source::open(&args.config, &args.overrides)?)?;
    let data = Dataset::open(&plan.config.data, plan.input_shape)?;
    let trainer = Trainer::new(&plan, choose_device(&plan.config.train.device)?)?;
    let mut worker = Worker {
        trainer,
        training: loader(&plan, &data.train, Split::Train),
        next: 0,
        order: vec![],
    };
    worker.train(args.warm_up)?;
    reply(&json!({ "peak_mb": peak_mb() }))?;

    // As values, as Keras and PyTorch have them; after the peak was noted, which is training's.
    let test = loader(&plan, &data.test, Split::Test);
    let pictures = test.batch(0, &test.order(0, false))?.input;
    for line in stdin().lines() {
        let line = line.context("the input cannot be read")?;
        let started = Instant::now();
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["train", steps] => {
                worker.train(steps.parse()?)?;
            }
            ["predict", passes] => {
                for _ in 0..passes.parse()? {
                    worker.predict(&pictures);
                }
            }
            ["quit"] => break,
            _ => bail!("`{line}` is no request"),
        }
        reply(&json!({ "seconds": started.elapsed().as_secs_f64() }))?;
    }
    Ok(())
}

struct Worker<'a> {
    trainer: Trainer,
    training: DataLoader<'a>,
    /// Steps made so far.
    next: usize,
    /// Of the images in this epoch.
    order: Vec<usize>,
}

impl Worker<'_> {
    /// The trainer's own loop, which goes on where it stopped: shuffle, gather, step, add the loss.
    fn train(&mut self, steps: usize) -> Result<f64> {
        let (size, epoch_steps) = (self.training.batch_size, self.training.steps());
        let mut running = RunningLoss::default();
        let end = self.next + steps;
        while self.next < end {
            let (epoch, first) = ((self.next / epoch_steps) as u64 + 1, self.next % epoch_steps);
            if first == 0 {
                self.order = self.training.order(epoch, true);
            }
            let last = epoch_steps.min(first + end - self.next);
            let order = &self.order[first * size..self.order.len().min(last * size)];
            self.training.prefetch(epoch, order, |batches| {
                for (step, batch) in (first as u64 + 1..).zip(batches) {
                    let batch = batch?;
                    let done = self.trainer.train_step(&batch, epoch, step);
                    running.add(&done.loss, batch.len);
                }
                Ok::<_, DataError>(())
            })?;
            self.next += last - first;
        }
        Ok(running.mean())
    }

    /// All images, a batch at a time; the outputs are kept, as Keras's `predict` does.
    fn predict(&mut self, pictures: &[f32]) -> Vec<f32> {
        let mut outputs = Vec::with_capacity(pictures.len());
        let batch =
            self.training.batch_size * self.training.images.shape().iter().product::<usize>();
        for values in pictures.chunks(batch) {
            outputs.extend(self.trainer.predictor.predict(values));
        }
        outputs
    }
}

fn reply(answer: &Value) -> Result<()> {
    writeln!(stdout(), "{answer}").context("the answer cannot be written")
}

/// Most memory that this process ever held, where Linux tells.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}
