//! An optimizer: where a sequence of gradients takes the weights.

use anyhow::{Result, ensure};
use convae::optim::{Optimizer, Variable};
use serde::Deserialize;
use serde_json::{Value, json};
use tch::Tensor;

use super::arrays::{Arrays, values};
use super::build::trained_with;

/// Given the weights `weight0`, ..., their gradients at every step `gradient0`, `(steps, ...)`, ...
/// and the learning rates `rates`, `(steps,)`; asked for the weights after every so many steps,
/// `(snapshots, ...)`.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// As `[train]` would have it.
    optimizer: Value,
    every: usize,
}

impl Question {
    pub fn answer(&self, given: &Arrays) -> Result<Arrays> {
        let plan = trained_with(&json!({"optimizer": self.optimizer}))?;
        let weights = given.get_all("weight");
        let gradients = given.get_all("gradient");
        ensure!(weights.len() == gradients.len(), "each weight needs its gradients");
        let lengths: Vec<i64> = weights.iter().map(|weight| weight.numel() as i64).collect();
        let mut flat = joined(weights.iter().map(|weight| weight.flatten(0, -1)));
        let named = weights.iter().enumerate();
        let variables =
            named.map(|(i, weight)| Variable::new(&format!("weight{i}"), &weight.size()));
        let mut optimizer =
            Optimizer::new(&plan.config.train.optimizer, &flat, variables.collect());
        let mut snapshots = Vec::new();
        for (step, rate) in values(given.get("rates")?).into_iter().enumerate() {
            optimizer.learning_rate = rate;
            let rows = gradients.iter().map(|all| all.get(step as i64).flatten(0, -1));
            optimizer.step(&mut flat, &joined(rows));
            if (step + 1) % self.every == 0 {
                snapshots.push(flat.copy());
            }
        }
        let parts = Tensor::stack(&snapshots, 0).split_with_sizes(lengths.as_slice(), 1);
        let shaped = parts.iter().zip(&weights).map(|(part, weight)| {
            let shape = [vec![snapshots.len() as i64], weight.size()].concat();
            part.reshape(shape)
        });
        let mut answer = Arrays::default();
        answer.insert_all("weight", shaped);
        Ok(answer)
    }
}

fn joined(rows: impl Iterator<Item = Tensor>) -> Tensor {
    Tensor::cat(&rows.collect::<Vec<_>>(), 0)
}
