//! Whether a schedule and the policies fit together, and to the optimizer.

use crate::config::policies::{LearningRateSchedule, PiecewiseConstantDecay};
use crate::config::{ConfigError, Source};

pub(super) fn check(source: &Source) -> Result<(), ConfigError> {
    check_average(source)?;
    check_who_sets_the_rate(source)?;
    match &source.config.train.learning_rate_schedule {
        Some(LearningRateSchedule::PiecewiseConstantDecay(steps)) => check_steps(source, steps),
        Some(LearningRateSchedule::CosineDecay(cosine)) => {
            let unused = cosine.warmup_target.is_none() && cosine.warmup_steps > 0;
            refuse_if(unused, source, "learning_rate_schedule.warmup_steps", || {
                let problem = format!("is {}, but there is no warmup_target", cosine.warmup_steps);
                (problem, "set warmup_target to the rate that the warm-up leads to")
            })
        }
        _ => Ok(()),
    }
}

fn refuse_if(
    wrong: bool,
    source: &Source,
    key: &str,
    why: impl FnOnce() -> (String, &'static str),
) -> Result<(), ConfigError> {
    if !wrong {
        return Ok(());
    }
    let (problem, remedy) = why();
    Err(source.error(&format!("train.{key}"), problem, remedy))
}

fn check_average(source: &Source) -> Result<(), ConfigError> {
    let common = source.config.train.optimizer.common();
    let Some(updates) = common.ema_overwrite_frequency else { return Ok(()) };
    refuse_if(!common.use_ema, source, "optimizer.ema_overwrite_frequency", || {
        (format!("is {updates}, but use_ema is false"), "set use_ema = true beside it")
    })
}

/// As in Keras, where a rate that follows a schedule cannot be set.
fn check_who_sets_the_rate(source: &Source) -> Result<(), ConfigError> {
    let train = &source.config.train;
    let Some(schedule) = &train.learning_rate_schedule else { return Ok(()) };
    refuse_if(train.reduce_lr_on_plateau.is_some(), source, "reduce_lr_on_plateau", || {
        let problem = format!(
            "cannot set a learning rate that follows train.learning_rate_schedule ({})",
            schedule.name()
        );
        (problem, "leave one of the two out")
    })?;
    let LearningRateSchedule::CosineDecay(cosine) = schedule else { return Ok(()) };
    match (train.warmup_steps, cosine.warmup_target) {
        (Some(steps), Some(_)) => refuse_if(true, source, "warmup_steps", || {
            let problem = format!("is {steps}, but train.learning_rate_schedule warms up, too");
            (problem, "leave one of the two out")
        }),
        _ => Ok(()),
    }
}

fn check_steps(source: &Source, steps: &PiecewiseConstantDecay) -> Result<(), ConfigError> {
    let PiecewiseConstantDecay { boundaries, values } = steps;
    let rising = boundaries.windows(2).all(|pair| pair[0] < pair[1]);
    refuse_if(
        boundaries.is_empty() || !rising,
        source,
        "learning_rate_schedule.boundaries",
        || (format!("is {boundaries:?}"), "give numbers of steps, each larger than the one before"),
    )?;
    let fits = values.len() == boundaries.len() + 1;
    refuse_if(!fits, source, "learning_rate_schedule.values", || {
        let problem = format!("has {} entries for {} boundaries", values.len(), boundaries.len());
        (problem, "give one value more than there are boundaries")
    })?;
    let rate = source.config.train.optimizer.learning_rate();
    let begins = values.first() == Some(&rate);
    refuse_if(!begins, source, "learning_rate_schedule.values", || {
        let problem = format!(
            "begins with {}, but train.optimizer.learning_rate is {rate}",
            values.first().copied().unwrap_or_default()
        );
        (problem, "write the same number in both places")
    })
}
