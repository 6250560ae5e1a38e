//! Updates that each weight makes by itself: one formula, for whole tensors or, in the processor's memory, for one value
//! after the other, where libtorch would make a pass, and a tensor, of each operation.

#![allow(unsafe_code)]

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Sub, SubAssign};

use num_traits::{Float, NumCast};
use tch::Tensor;
use tch::kind::Element;

use super::Step;
use super::subnormal::without_subnormal;
use crate::nn::{values, values_mut};

/// How a weight, its gradient and its slots follow from those of before. `numbers` are the rule's.
pub(super) trait Formula {
    fn step<N: Number>(&self, weight: &mut N, gradient: N, slots: &mut [N], numbers: &[N]);
}

/// What a formula computes with: a value, or a tensor of values. A factor or term of `f64` is rounded to the values'
/// type first.
pub(super) trait Number:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<f64, Output = Self>
    + Mul<f64, Output = Self>
    + AddAssign
    + SubAssign
{
    /// Takes the place of what was there.
    fn set(&mut self, new: Self);
    fn square(self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    /// -1, 0 or 1; of what is not a number 0.
    fn sign(self) -> Self;
    /// The larger one; what is not a number stays so.
    fn maximum(self, other: Self) -> Self;
}

/// Makes the update where weights, gradient and slots lie.
pub(super) fn update(
    formula: &impl Formula,
    weights: &mut Tensor,
    gradient: &Tensor,
    slots: &mut [Tensor],
    step: Step,
) {
    if let Some(numbers) = step.values
        && (pass::<f32>(formula, weights, gradient, slots, numbers)
            || pass::<f64>(formula, weights, gradient, slots, numbers))
    {
        return;
    }
    let whole = |tensor: &Tensor| Whole(tensor.shallow_clone());
    let numbers: Vec<_> = step.numbers.iter().map(whole).collect();
    let mut slots: Vec<_> = slots.iter().map(whole).collect();
    formula.step(&mut whole(weights), whole(gradient), &mut slots, &numbers);
}

/// `false` where the values are not of this type and in the processor's memory.
fn pass<T: Element + Float + Debug>(
    formula: &impl Formula,
    weights: &mut Tensor,
    gradient: &Tensor,
    slots: &mut [Tensor],
    numbers: &[f64],
) -> bool {
    let slots: Option<Vec<_>> = slots.iter_mut().map(values_mut::<T>).collect();
    let (Some(weights), Some(gradient), Some(slots)) =
        (values_mut::<T>(weights), values::<T>(gradient), slots)
    else {
        return false;
    };
    let numbers: Vec<_> = numbers.iter().map(|&number| Value(rounded::<T>(number))).collect();
    macro_rules! pass_of_slots {
        ($($count:literal)+) => {
            match slots.len() {
                $($count => {
                    let slots = <[_; $count]>::try_from(slots).expect("so many were counted");
                    Pass { formula, weights, gradient, slots, numbers: &numbers }.run();
                })+
                count => unreachable!("no formula keeps {count} slots"),
            }
        };
    }
    pass_of_slots!(0 1 2 3);
    true
}

/// Values that are taken together, into places that the compiler can tell apart, so that it turns the loop into vectors.
const AT_ONCE: usize = 64;

/// Over values in the processor's memory.
struct Pass<'a, F, T, const SLOTS: usize> {
    formula: &'a F,
    weights: &'a mut [T],
    gradient: &'a [T],
    slots: [&'a mut [T]; SLOTS],
    numbers: &'a [Value<T>],
}

impl<F: Formula, T: Float, const SLOTS: usize> Pass<'_, F, T, SLOTS> {
    /// In vectors as long as the processor has: their operations are rounded as those of single values.
    fn run(self) {
        #[cfg(target_arch = "x86_64")]
        {
            macro_rules! with_vectors {
                ($($feature:tt)+) => {$(
                    if is_x86_feature_detected!($feature) {
                        #[target_feature(enable = $feature)]
                        fn run<F: Formula, T: Float, const N: usize>(pass: Pass<'_, F, T, N>) {
                            pass.by_blocks();
                        }
                        // SAFETY: the processor has these instructions.
                        return unsafe { run(self) };
                    }
                )+};
            }
            with_vectors!("avx512f" "avx2");
        }
        self.by_blocks();
    }

    #[inline(always)]
    fn by_blocks(self) {
        let Self { formula, weights, gradient, mut slots, numbers } = self;
        let (mut first, count) = (0, weights.len());
        while first + AT_ONCE <= count {
            let mut kept = slots.each_ref().map(|slot| block(slot, first));
            let (mut own, gradient) = (block(weights, first), block(gradient, first));
            for i in 0..AT_ONCE {
                let state = kept.each_ref().map(|slot| slot[i]);
                let (weight, state) = step(formula, own[i], gradient[i], state, numbers);
                own[i] = weight;
                kept.iter_mut().zip(state).for_each(|(slot, value)| slot[i] = value);
            }
            weights[first..first + AT_ONCE].copy_from_slice(&own);
            for (slot, kept) in slots.iter_mut().zip(&kept) {
                slot[first..first + AT_ONCE].copy_from_slice(kept);
            }
            first += AT_ONCE;
        }
        for i in first..count {
            let state = slots.each_ref().map(|slot| slot[i]);
            let (weight, state) = step(formula, weights[i], gradient[i], state, numbers);
            weights[i] = weight;
            slots.iter_mut().zip(state).for_each(|(slot, value)| slot[i] = value);
        }
    }
}

#[inline(always)]
fn block<T: Float>(values: &[T], first: usize) -> [T; AT_ONCE] {
    values[first..first + AT_ONCE].try_into().expect("a block has so many")
}

/// Of one weight.
#[inline(always)]
fn step<T: Float, const SLOTS: usize>(
    formula: &impl Formula,
    weight: T,
    gradient: T,
    slots: [T; SLOTS],
    numbers: &[Value<T>],
) -> (T, [T; SLOTS]) {
    let (mut weight, mut slots) = (Value(weight), slots.map(Value));
    formula.step(&mut weight, Value(gradient), &mut slots, numbers);
    (weight.0, slots.map(|slot| without_subnormal(slot.0)))
}

#[inline(always)]
fn rounded<T: Float>(value: f64) -> T {
    <T as NumCast>::from(value).expect("a float takes any number")
}

#[derive(Debug, Clone, Copy)]
struct Value<T>(T);

#[derive(Debug)]
struct Whole(Tensor);

impl Clone for Whole {
    fn clone(&self) -> Self {
        Self(self.0.shallow_clone())
    }
}

macro_rules! operators {
    ($($Operator:ident $operator:ident),+) => {$(
        impl<T: Float> $Operator for Value<T> {
            type Output = Self;

            #[inline(always)]
            fn $operator(self, other: Self) -> Self {
                Self(self.0.$operator(other.0))
            }
        }

        impl $Operator for Whole {
            type Output = Self;

            fn $operator(self, other: Self) -> Self {
                Self((&self.0).$operator(&other.0))
            }
        }
    )+};
}

operators!(Add add, Sub sub, Mul mul, Div div);

macro_rules! operators_with_constants {
    ($($Operator:ident $operator:ident),+) => {$(
        impl<T: Float> $Operator<f64> for Value<T> {
            type Output = Self;

            #[inline(always)]
            fn $operator(self, other: f64) -> Self {
                Self(self.0.$operator(rounded::<T>(other)))
            }
        }

        impl $Operator<f64> for Whole {
            type Output = Self;

            fn $operator(self, other: f64) -> Self {
                Self((&self.0).$operator(other))
            }
        }
    )+};
}

operators_with_constants!(Add add, Mul mul);

macro_rules! assignments {
    ($($Operator:ident $assign:ident $operator:ident),+) => {$(
        impl<T: Float> $Operator for Value<T> {
            #[inline(always)]
            fn $assign(&mut self, other: Self) {
                self.0 = self.0.$operator(other.0);
            }
        }

        impl $Operator for Whole {
            fn $assign(&mut self, other: Self) {
                self.0.$assign(&other.0);
            }
        }
    )+};
}

assignments!(AddAssign add_assign add, SubAssign sub_assign sub);

impl<T: Float> Number for Value<T> {
    #[inline(always)]
    fn set(&mut self, new: Self) {
        *self = new;
    }

    #[inline(always)]
    fn square(self) -> Self {
        Self(self.0 * self.0)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.abs())
    }

    #[inline(always)]
    fn sign(self) -> Self {
        let one_if = |is: bool| if is { T::one() } else { T::zero() };
        Self(one_if(self.0 > T::zero()) - one_if(self.0 < T::zero()))
    }

    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        let is_larger = self.0 > other.0 || self.0.is_nan();
        if is_larger { self } else { other }
    }
}

impl Number for Whole {
    fn set(&mut self, new: Self) {
        self.0.copy_(&new.0);
    }

    fn square(self) -> Self {
        Self(self.0.square())
    }

    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }

    fn abs(self) -> Self {
        Self(self.0.abs())
    }

    fn sign(self) -> Self {
        Self(self.0.sign())
    }

    fn maximum(self, other: Self) -> Self {
        Self(self.0.maximum(&other.0))
    }
}
