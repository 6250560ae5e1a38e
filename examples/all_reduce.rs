//! How long processes take to add up their numbers: what a training step in several processes adds to one.
//!
//! ```text
//! torchrun --no-python --nproc-per-node 2 target/debug/examples/all_reduce [--gpus]
//! ```
//!
//! With `--gpus` tensors of GPUs, by NCCL; one process may do that alone. Rank 0 prints a line for each length: float32
//! values, milliseconds (median, and the smallest and largest of 100).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use convae::system::ranks::{Place, Ranks};
use tch::{Cuda, Device, Kind, Tensor};

const TIMES: usize = 100;
/// Where a process meets itself.
const PORT: u16 = 29_511;

fn main() -> Result<()> {
    let on_gpus = std::env::args().any(|argument| argument == "--gpus");
    let place = match Place::of_environment()? {
        None if on_gpus => Place::local(0, 1, PORT),
        place => place.context("RANK and WORLD_SIZE are not set")?,
    };
    let (gpu, size) = (place.local_rank, place.size);
    let ranks = Ranks::join(place, Duration::from_secs(60))?;
    if on_gpus {
        ranks.join_gpus(gpu)?;
    }
    for length in [1_000, 10_000, 100_000, 1_000_000] {
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let seconds = if on_gpus {
                of_gpu(&ranks, gpu, length, size)?
            } else {
                let mut values = vec![1.0_f32; length];
                let start = Instant::now();
                ranks.sum(&mut values)?;
                let seconds = start.elapsed().as_secs_f64();
                check(f64::from(values[length - 1]), size)?;
                seconds
            };
            times.push(seconds * 1e3);
        }
        times.sort_by(f64::total_cmp);
        if ranks.is_first() {
            let (least, most) = (times[0], times[TIMES - 1]);
            println!("{length:>9}  {:.3} ms  ({least:.3} to {most:.3})", times[TIMES / 2]);
        }
    }
    ranks.finish();
    ranks.end();
    Ok(())
}

fn of_gpu(ranks: &Ranks, gpu: usize, length: usize, size: usize) -> Result<f64> {
    let mut values = Tensor::ones([length as i64], (Kind::Float, Device::Cuda(gpu)));
    Cuda::synchronize(gpu as i64);
    let start = Instant::now();
    ranks.sum_tensor(&mut values)?;
    let seconds = start.elapsed().as_secs_f64();
    check(values.mean(Kind::Float).double_value(&[]), size)?;
    Ok(seconds)
}

/// Ones of so many processes.
fn check(sum: f64, size: usize) -> Result<()> {
    ensure!((sum - size as f64).abs() < 1e-6, "the sum of {size} ones is {sum}");
    Ok(())
}
