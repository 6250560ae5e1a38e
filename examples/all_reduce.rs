//! How long processes take to add up their numbers: what a training step in several processes adds to one.
//!
//! ```text
//! torchrun --no-python --nproc-per-node 2 target/debug/examples/all_reduce
//! ```
//!
//! Rank 0 prints a line for each length: float32 values, milliseconds (median, and the smallest and largest of 100).

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use convae::system::ranks::{Place, Ranks};

const TIMES: usize = 100;

fn main() -> Result<()> {
    let place = Place::of_environment()?.context("RANK and WORLD_SIZE are not set")?;
    let ranks = Ranks::join(place, Duration::from_secs(60))?;
    for length in [1_000, 10_000, 100_000, 1_000_000] {
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let mut values = vec![1.0_f32; length];
            let start = Instant::now();
            ranks.sum(&mut values)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
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
