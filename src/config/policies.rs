//! What steers a training from outside: schedules of the learning rate, and policies that look at the
//! losses. Names, options and defaults are Keras's; what they do stands in `crate::train::policies`
//! and `crate::optim`.

use super::schema::{Bounds, choice, family, section};

/// Steps or epochs.
const COUNT: Bounds = Bounds::closed(0.0, 1e9);
const STEPS: Bounds = Bounds::closed(1.0, 1e9);
const CHANGE: Bounds = Bounds::closed(0.0, 1e6);
const SHARE: Bounds = Bounds::closed(0.0, 1.0);
const RATE: Bounds = Bounds::closed(0.0, 1e3);

/// The loss that a policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Monitor {
    /// On the test set, after the epoch.
    ValLoss,
    /// On the training set, while the weights changed.
    Loss,
}

choice!(Monitor { ValLoss = "val_loss", Loss = "loss" });

section! {
    /// Ends training when the loss no longer improves; off unless written.
    pub struct EarlyStopping {
        /// The loss that is looked at.
        monitor: Monitor = Monitor::ValLoss;
        /// An improvement is one of more than this.
        min_delta: f64 = 0.0, in CHANGE;
        /// Epochs without an improvement after which training ends.
        patience: usize = 0, in COUNT;
        /// Epochs that do not come below this loss do not count as improvements.
        baseline: Option<f64> = None, in Bounds::closed(-1e9, 1e9);
        /// Whether the weights of the best epoch come back when training ends.
        restore_best_weights: bool = false;
        /// Epochs at the beginning that are not looked at.
        start_from_epoch: usize = 0, in COUNT;
    }
}

section! {
    /// Lowers the learning rate when the loss no longer improves; off unless written.
    pub struct ReduceLROnPlateau {
        /// The loss that is looked at.
        monitor: Monitor = Monitor::ValLoss;
        /// The learning rate is multiplied by this.
        factor: f64 = 0.1, in Bounds::between(0.0, 1.0);
        /// Epochs without an improvement after which the rate is lowered.
        patience: usize = 10, in COUNT;
        /// An improvement is one of more than this.
        min_delta: f64 = 1e-4, in CHANGE;
        /// Epochs after a lowering that do not count.
        cooldown: usize = 0, in COUNT;
        /// The rate is not lowered below this.
        min_lr: f64 = 0.0, in RATE;
    }
}

family! {
    /// How the learning rate follows the number of steps; it begins with the optimizer's.
    pub enum LearningRateSchedule by "name", like "{ name = \"CosineDecay\", decay_steps = 1875 }" {
        /// Multiplied by `decay_rate` every `decay_steps` steps, gradually unless `staircase`.
        ExponentialDecay(ExponentialDecay) = "ExponentialDecay",
        /// Along half a cosine, down to a share `alpha`; perhaps after a warm-up from the optimizer's rate to `warmup_target`.
        CosineDecay(CosineDecay) = "CosineDecay",
        /// Half cosines one after the other, each longer and lower than the one before.
        CosineDecayRestarts(CosineDecayRestarts) = "CosineDecayRestarts",
        /// Steps: one value up to each boundary, the last one after all of them.
        PiecewiseConstantDecay(PiecewiseConstantDecay) = "PiecewiseConstantDecay",
        /// Along a power of the steps that are left, down to `end_learning_rate`.
        PolynomialDecay(PolynomialDecay) = "PolynomialDecay",
        /// Divided by 1 + `decay_rate` * steps / `decay_steps`, gradually unless `staircase`.
        InverseTimeDecay(InverseTimeDecay) = "InverseTimeDecay",
    }
}

section! {
    /// Exponential.
    pub struct ExponentialDecay {
        /// Steps in which the rate is multiplied once.
        decay_steps: usize, in STEPS;
        /// What it is multiplied by.
        decay_rate: f64, in Bounds::above(0.0, 1e3);
        /// Whether it stays the same between.
        staircase: bool = false;
    }
}

section! {
    /// Cosine.
    pub struct CosineDecay {
        /// Steps until the end of the decay, without those of the warm-up.
        decay_steps: usize, in STEPS;
        /// Where it ends, as a share of where it begins.
        alpha: f64 = 0.0, in SHARE;
        /// Where the warm-up leads; no warm-up where not set.
        warmup_target: Option<f64> = None, in RATE;
        /// Steps of the warm-up.
        warmup_steps: usize = 0, in COUNT;
    }
}

section! {
    /// Cosine with restarts.
    pub struct CosineDecayRestarts {
        /// Steps until the first restart.
        first_decay_steps: usize, in STEPS;
        /// How many times longer each decay is than the one before.
        t_mul: f64 = 2.0, in Bounds::closed(1.0, 100.0);
        /// With which share of the rate before each decay begins.
        m_mul: f64 = 1.0, in Bounds::above(0.0, 100.0);
        /// Where a decay ends, as a share of the first rate.
        alpha: f64 = 0.0, in SHARE;
    }
}

section! {
    /// Steps.
    pub struct PiecewiseConstantDecay {
        /// Steps up to which, they included, each value holds.
        boundaries: Vec<usize>, in COUNT;
        /// One more than there are boundaries; the first is the optimizer's `learning_rate`.
        values: Vec<f64>, in RATE;
    }
}

section! {
    /// Polynomial.
    pub struct PolynomialDecay {
        /// Steps until the end of the decay.
        decay_steps: usize, in STEPS;
        /// Where it ends.
        end_learning_rate: f64 = 1e-4, in RATE;
        /// 1 is a straight line.
        power: f64 = 1.0, in Bounds::closed(0.0, 100.0);
        /// Whether it goes on after its end, from above again and ever slower.
        cycle: bool = false;
    }
}

section! {
    /// Inverse time.
    pub struct InverseTimeDecay {
        /// Steps after which `decay_rate` counts once.
        decay_steps: usize, in STEPS;
        /// How fast it falls.
        decay_rate: f64, in CHANGE;
        /// Whether it stays the same between.
        staircase: bool = false;
    }
}
