//! Each rule as a pass over the processor's memory and as a GPU has it; and what is too small to be kept.

use tch::{Device, Kind, Tensor};

use super::{Optimizer, Variable};
use crate::config::schema::Section;
use crate::config::sections::{
    self, Adadelta, Adafactor, Adagrad, Adam, AdamMoments, Adamax, Ftrl, Lamb, Lion, Muon, Nadam,
    OptimizerOptions, RmsProp, Sgd,
};

/// More than a pass takes together, and some.
const WEIGHTS: i64 = 4 * 33 + 3;

/// Each rule, in each form that keeps other slots.
fn all(common: &OptimizerOptions) -> Vec<sections::Optimizer> {
    macro_rules! with_options {
        ($($kind:ident($section:expr)),*) => {
            vec![$(sections::Optimizer::$kind({
                let mut section = $section;
                section.common = common.clone();
                section
            })),*]
        };
    }
    let moments = AdamMoments { amsgrad: true, ..AdamMoments::defaults() };
    with_options!(
        Adam(Adam::defaults()),
        Adam(Adam { moments, ..Adam::defaults() }),
        SGD(Sgd::defaults()),
        SGD(Sgd { momentum: 0.9, ..Sgd::defaults() }),
        SGD(Sgd { momentum: 0.9, nesterov: true, ..Sgd::defaults() }),
        RMSprop(RmsProp::defaults()),
        RMSprop(RmsProp { momentum: 0.9, ..RmsProp::defaults() }),
        RMSprop(RmsProp { centered: true, momentum: 0.9, ..RmsProp::defaults() }),
        Adadelta(Adadelta::defaults()),
        Nadam(Nadam::defaults()),
        Adamax(Adamax::defaults()),
        Adagrad(Adagrad::defaults()),
        Lion(Lion::defaults()),
        Lamb(Lamb::defaults()),
        Ftrl(Ftrl::defaults()),
        Adafactor(Adafactor::defaults()),
        Muon(Muon { adam_weight_decay: Some(0.2), ..Muon::defaults() })
    )
}

fn variables() -> Vec<Variable> {
    vec![Variable::new("a", &[4, 33]), Variable::new("b", &[3])]
}

fn largest_difference(some: &Tensor, others: &Tensor) -> f64 {
    ((some - others).abs() / others.abs().clamp_min(1.0)).max().double_value(&[])
}

/// As a GPU that was told once what a step does: it has neither the rate nor the count of steps, but finds all that
/// follows from them in tensors; and it makes one operation after the other.
#[test]
fn a_step_reads_what_changes_where_the_weights_are() {
    use sections::Optimizer::{Adadelta, Adafactor, Ftrl, Lamb, Muon, RMSprop};

    let beside = OptimizerOptions {
        weight_decay: Some(0.1),
        clipnorm: Some(1.0),
        use_ema: true,
        ..OptimizerOptions::defaults()
    };
    for (options, (kind, epsilon)) in all(&beside).iter().flat_map(|one| {
        [(Kind::Float, f64::from(f32::EPSILON)), (Kind::Double, f64::EPSILON)].map(|of| (one, of))
    }) {
        let mut called = Tensor::randn([WEIGHTS], (kind, Device::Cpu));
        let mut replayed = called.copy();
        let [mut one, mut other] =
            [&called, &replayed].map(|weights| Optimizer::new(options, weights, variables()));
        assert!(other.is_uniform());
        let start = called.copy();
        for step in 0..5 {
            (one.learning_rate, other.learning_rate) =
                (0.1 / f64::from(step + 1), 0.1 / f64::from(step + 1));
            let gradient = Tensor::randn([WEIGHTS], (kind, Device::Cpu));
            one.step(&mut called, &gradient);
            other.prepare();
            other.numbers.forget_values();
            let count = std::mem::replace(&mut other.iterations, 1_000_000);
            other.learning_rate = f64::NAN;
            other.apply(&mut replayed, &gradient);
            other.iterations = count;
            other.advance();
        }
        // libtorch's roots may be rounded otherwise: once a step in what follows from them.
        let within =
            |some: &Tensor, others: &Tensor| largest_difference(some, others) <= 5.0 * epsilon;
        let is_no_pass = matches!(options, Adafactor(_) | Ftrl(_) | Lamb(_) | Muon(_));
        let slots_have_roots = matches!(options, Adadelta(_) | RMSprop(_));
        assert!(within(&called, &replayed), "{options:?}");
        assert!(called == replayed || !is_no_pass, "{options:?}");
        assert_ne!(called, start, "{options:?}");
        for ((name, some), (_, others)) in one.state().iter().zip(&other.state()) {
            assert!(within(some, others), "{name} of {options:?}");
            let has_roots = (*name == "average" && !is_no_pass) || slots_have_roots;
            assert!(some == others || has_roots, "{name} of {options:?}");
        }
    }
}

/// The gradient of an inactive unit is zero for good: what is left of earlier ones must become zero too, before
/// arithmetic with it is slow.
#[test]
fn no_slot_keeps_what_is_smaller_than_the_smallest_normal_number() {
    let least = f64::from(f32::MIN_POSITIVE);
    let plain = OptimizerOptions { use_ema: true, ..OptimizerOptions::defaults() };
    // Others keep sums, which do not shrink.
    let shrinking = all(&plain).into_iter().filter(|options| {
        use sections::Optimizer::{Adafactor, Adagrad, Ftrl};
        !matches!(options, Adagrad(_) | Adafactor(_) | Ftrl(_))
    });
    for options in shrinking {
        let mut weights = Tensor::zeros([WEIGHTS], (Kind::Float, Device::Cpu));
        let nothing = weights.zeros_like();
        let mut optimizer = Optimizer::new(&options, &weights, variables());
        let just_normal = |(name, slot): (&'static str, Tensor)| {
            (name.to_owned(), slot.ones_like() * (1.01 * least))
        };
        let state: Vec<_> = optimizer.state().into_iter().map(just_normal).collect();
        optimizer.restore(1, &state).unwrap();
        optimizer.learning_rate = 0.0;
        let mut has_shrunk = false;
        // What shrinks slowest loses a thousandth a step.
        for _ in 0..20 {
            optimizer.step(&mut weights, &nothing);
            for (name, slot) in optimizer.state() {
                let size = slot.abs();
                let is_subnormal = size.gt(0.0).logical_and(&size.lt(least)).any();
                assert_eq!(is_subnormal.int64_value(&[]), 0, "{name} of {options:?}");
                has_shrunk |= name != "average" && slot == slot.zeros_like();
            }
        }
        assert!(has_shrunk || optimizer.slots.is_empty(), "{options:?}");
        assert_eq!(optimizer.average.unwrap().values, nothing);
    }
}
