//! A moving average of the weights, as in Keras's `optimizers/base_optimizer.py` (`use_ema`).

use std::slice;

use tch::{Kind, Tensor};

use super::subnormal::remove_subnormals;
use crate::config::sections::OptimizerOptions;

/// The average, and how often it takes the weights' place.
#[derive(Debug)]
pub(super) struct Average {
    momentum: f64,
    overwrite_frequency: Option<usize>,
    /// `(P,)`, like the weights.
    pub values: Tensor,
}

impl Average {
    /// `None` where no average is asked for.
    pub fn new(common: &OptimizerOptions, weights: &Tensor) -> Option<Self> {
        let OptimizerOptions { use_ema, ema_momentum, ema_overwrite_frequency, .. } = *common;
        // As Keras rounds it, so that 1 - momentum is what it has there.
        let rounded = f64::from(ema_momentum as f32);
        let momentum = if weights.kind() == Kind::Float { rounded } else { ema_momentum };
        use_ema.then(|| Self {
            momentum,
            overwrite_frequency: ema_overwrite_frequency,
            values: weights.zeros_like(),
        })
    }

    /// The shares of the old average and of the weights in the new one, after so many updates of the weights.
    /// With accumulated gradients Keras averages in steps without an update, too, and until the first one it takes
    /// the weights as they are.
    pub fn shares(&self, updates: i32) -> [f64; 2] {
        let momentum = if updates == 0 { 0.0 } else { self.momentum };
        [momentum, 1.0 - momentum]
    }

    /// Whether it takes the weights' place now and then.
    pub fn overwrites(&self) -> bool {
        self.overwrite_frequency.is_some()
    }

    /// After each step, with [`Average::shares`]; `updates` counts those of the weights before it.
    pub fn follow(&mut self, weights: &mut Tensor, [old, new]: [&Tensor; 2], updates: i32) {
        let mean = &self.values * old + &*weights * new;
        self.values.copy_(&mean);
        remove_subnormals(slice::from_mut(&mut self.values));
        let due = |every: usize| (updates as usize + 1).is_multiple_of(every);
        if self.overwrite_frequency.is_some_and(due) {
            weights.copy_(&self.values);
        }
    }
}
