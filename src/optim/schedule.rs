//! Schedules of the learning rate, as in Keras's `optimizers/schedules/learning_rate_schedule.py`: pure
//! functions of the number of steps before.
//!
//! Keras computes them in the precision of the weights, so that is done here, operation by operation.

use num_traits::Float;
use tch::Kind;

use crate::config::policies::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, LearningRateSchedule,
    PiecewiseConstantDecay, PolynomialDecay,
};

/// Sets the learning rate of each step, where anything does.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    pub schedule: Option<LearningRateSchedule>,
    /// Ours, not Keras's.
    pub warmup_steps: Option<usize>,
}

impl Pace {
    /// The rate of the step after so many, for weights of this kind.
    pub fn rate(&self, initial: f64, iterations: i32, kind: Kind) -> f64 {
        let rate = match &self.schedule {
            Some(schedule) if kind == Kind::Float => rate::<f32>(schedule, initial, iterations),
            Some(schedule) => rate::<f64>(schedule, initial, iterations),
            None => initial,
        };
        // The first step moves, too, and the last one has the whole rate.
        let risen = |steps: usize| (f64::from(iterations) + 1.0) / steps as f64;
        rate * self.warmup_steps.map_or(1.0, |steps| risen(steps).min(1.0))
    }
}

/// The rate of the step after so many.
fn rate<T: Float>(schedule: &LearningRateSchedule, initial: f64, iterations: i32) -> f64 {
    let (initial, step) = (of::<T>(initial), of::<T>(f64::from(iterations)));
    let rate = match schedule {
        LearningRateSchedule::ExponentialDecay(options) => exponential(options, initial, step),
        LearningRateSchedule::CosineDecay(options) => cosine(options, initial, step),
        LearningRateSchedule::CosineDecayRestarts(options) => restarts(options, initial, step),
        LearningRateSchedule::PiecewiseConstantDecay(options) => constant(options, iterations),
        LearningRateSchedule::PolynomialDecay(options) => polynomial(options, initial, step),
        LearningRateSchedule::InverseTimeDecay(options) => inverse_time(options, initial, step),
    };
    wide(rate)
}

fn exponential<T: Float>(options: &ExponentialDecay, initial: T, step: T) -> T {
    let times = times(step, options.decay_steps, options.staircase);
    initial * power(of(options.decay_rate), times)
}

fn inverse_time<T: Float>(options: &InverseTimeDecay, initial: T, step: T) -> T {
    let times = times(step, options.decay_steps, options.staircase);
    initial / (T::one() + of::<T>(options.decay_rate) * times)
}

fn times<T: Float>(step: T, decay_steps: usize, staircase: bool) -> T {
    let times = step / count(decay_steps);
    if staircase { times.floor() } else { times }
}

fn cosine<T: Float>(options: &CosineDecay, initial: T, step: T) -> T {
    let (decay, warmup) = (count::<T>(options.decay_steps), count::<T>(options.warmup_steps));
    let decayed = |from: T, step: T| {
        let share = of::<T>(1.0 - options.alpha) * half_cosine(step / decay);
        from * (share + of(options.alpha))
    };
    match options.warmup_target.map(of::<T>) {
        None => decayed(initial, step.min(decay)),
        Some(target) if step < warmup => (target - initial) * (step / warmup) + initial,
        Some(target) => decayed(target, step.min(decay + warmup) - warmup),
    }
}

fn restarts<T: Float>(options: &CosineDecayRestarts, initial: T, step: T) -> T {
    let (t_mul, one) = (of::<T>(options.t_mul), T::one());
    let alpha = of::<T>(options.alpha);
    let elapsed = step / count(options.first_decay_steps);
    let (restarts, share) = if t_mul == one {
        (elapsed.floor(), elapsed - elapsed.floor())
    } else {
        let restarts = (logarithm(one - elapsed * (one - t_mul)) / logarithm(t_mul)).floor();
        let begun = (one - power(t_mul, restarts)) / (one - t_mul);
        (restarts, (elapsed - begun) / power(t_mul, restarts))
    };
    let peak = power(of(options.m_mul), restarts);
    initial * ((one - alpha) * (peak * half_cosine(share)) + alpha)
}

fn constant<T: Float>(options: &PiecewiseConstantDecay, iterations: i32) -> T {
    let PiecewiseConstantDecay { boundaries, values } = options;
    // A boundary's own step still has the value before it.
    let passed = boundaries.iter().filter(|&&boundary| iterations as usize > boundary).count();
    of(values[passed])
}

fn polynomial<T: Float>(options: &PolynomialDecay, initial: T, step: T) -> T {
    let (decay, end) = (count::<T>(options.decay_steps), of::<T>(options.end_learning_rate));
    let (step, decay) = if options.cycle && step > T::zero() {
        (step, decay * (step / decay).ceil())
    } else {
        (step.min(decay), decay)
    };
    (initial - end) * power(T::one() - step / decay, of(options.power)) + end
}

/// From 1 down to 0, as the share goes from 0 to 1.
fn half_cosine<T: Float>(share: T) -> T {
    let angle = of::<T>(std::f64::consts::PI) * share;
    of::<T>(0.5) * (T::one() + of(libm::cos(wide(angle))))
}

// Rounded once from float64, where each of Keras's backends has its own last bit; from `libm`, so that
// every machine has the same.

fn power<T: Float>(base: T, exponent: T) -> T {
    of(libm::pow(wide(base), wide(exponent)))
}

fn logarithm<T: Float>(number: T) -> T {
    of(libm::log(wide(number)))
}

fn count<T: Float>(steps: usize) -> T {
    of(steps as f64)
}

fn of<T: Float>(number: f64) -> T {
    <T as num_traits::NumCast>::from(number).expect("a float takes any number")
}

fn wide<T: Float>(number: T) -> f64 {
    number.to_f64().expect("a float is a number")
}
