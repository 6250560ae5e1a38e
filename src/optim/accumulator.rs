//! Gradients of several steps as one, as in Keras's `optimizers/base_optimizer.py`
//! (`gradient_accumulation_steps`).

use tch::Tensor;

/// The sum of the gradients since the last update.
#[derive(Debug)]
pub(super) struct Accumulator {
    steps: i32,
    /// `(P,)`, like the weights.
    pub sum: Tensor,
}

impl Accumulator {
    /// Of so many steps.
    pub fn new(steps: usize, weights: &Tensor) -> Self {
        Self { steps: steps as i32, sum: weights.zeros_like() }
    }

    /// Updates that so many steps have made.
    pub fn updates(&self, iterations: i32) -> i32 {
        iterations / self.steps
    }

    /// Takes the gradient of the step after so many; gives the mean of all where an update is due.
    pub fn add(&mut self, gradient: &Tensor, iterations: i32) -> Option<Tensor> {
        let sum = &self.sum + gradient;
        if (iterations + 1) % self.steps == 0 {
            let _ = self.sum.zero_();
            Some(sum / f64::from(self.steps))
        } else {
            self.sum.copy_(&sum);
            None
        }
    }
}
