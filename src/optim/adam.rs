//! Adam, as in Keras's `optimizers/adam.py`; AdamW is the same, its weight decay being an option that
//! every optimizer has.

use num_traits::Float;
use tch::kind::Element;
use tch::{Kind, Tensor};

use super::values::{values, values_mut};
use super::{Moment, Rule, Step};
use crate::config::sections::AdamMoments;

impl Rule for AdamMoments {
    fn slots(&self) -> Vec<&'static str> {
        let all = ["momentum", "velocity", "velocity_hat"];
        all[..if self.amsgrad { 3 } else { 2 }].to_vec()
    }

    /// The bias corrections go into the rate, so epsilon meets the uncorrected root: this is where Keras and
    /// libtorch part.
    fn numbers(&self, Moment { learning_rate, iteration, kind }: Moment) -> Vec<f64> {
        vec![if kind == Kind::Float {
            f64::from(self.alpha_in_float32(learning_rate, iteration))
        } else {
            learning_rate * (1.0 - self.beta_2.powi(iteration)).sqrt()
                / (1.0 - self.beta_1.powi(iteration))
        }]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let ([alpha], [value]) = (step.numbers, step.values) else {
            unreachable!("Adam needs one number")
        };
        if self.in_one_pass::<f32>(weights, gradient, slots, *value)
            || self.in_one_pass::<f64>(weights, gradient, slots, *value)
        {
            return;
        }
        self.tensor_by_tensor(weights, gradient, slots, alpha);
    }
}

impl AdamMoments {
    /// As Keras computes it for float32 weights: `1 - beta_2` alone is then 1.3e-5 off, which all of its
    /// backends share.
    fn alpha_in_float32(&self, learning_rate: f64, iteration: i32) -> f32 {
        // A power is rounded once, as good libraries do.
        let power = |beta: f64| f64::from(beta as f32).powi(iteration) as f32;
        learning_rate as f32 * (1.0 - power(self.beta_2)).sqrt() / (1.0 - power(self.beta_1))
    }

    /// On any device, with or without the third slot.
    fn tensor_by_tensor(
        &self,
        weights: &mut Tensor,
        gradient: &Tensor,
        slots: &mut [Tensor],
        alpha: &Tensor,
    ) {
        let [m, v, largest @ ..] = slots else { unreachable!("Adam keeps two slots or three") };
        *m += (gradient - &*m) * (1.0 - self.beta_1);
        *v += (gradient.square() - &*v) * (1.0 - self.beta_2);
        let v = match largest {
            [largest] => {
                let new = largest.maximum(v);
                largest.copy_(&new);
                &*largest
            }
            _ => &*v,
        };
        *weights -= &*m * alpha / (v.sqrt() + self.epsilon);
    }

    /// The same operations on one value after the other, so that all are in the cache but once; `false`
    /// where the values are not of this type and in the CPU's memory, or there is a third slot.
    fn in_one_pass<T: Element + Float>(
        &self,
        weights: &mut Tensor,
        gradient: &Tensor,
        slots: &mut [Tensor],
        alpha: f64,
    ) -> bool {
        let [m, v] = slots else { return false };
        let (Some(weights), Some(gradient), Some(m), Some(v)) =
            (values_mut::<T>(weights), values::<T>(gradient), values_mut(m), values_mut(v))
        else {
            return false;
        };
        // libtorch, too, rounds a factor to the tensor's type first.
        let rounded = |factor: f64| {
            <T as num_traits::NumCast>::from(factor).expect("a float takes any number")
        };
        let (first, second) = (rounded(1.0 - self.beta_1), rounded(1.0 - self.beta_2));
        let (alpha, epsilon) = (rounded(alpha), rounded(self.epsilon));
        let moments = m.iter_mut().zip(v);
        for ((weight, &gradient), (m, v)) in weights.iter_mut().zip(gradient).zip(moments) {
            *m = *m + (gradient - *m) * first;
            *v = *v + (gradient * gradient - *v) * second;
            *weight = *weight - *m * alpha / (v.sqrt() + epsilon);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::config::schema::Section;

    fn one_pass_gives_what_tensors_do<T: Element + Float>(kind: Kind) {
        let adam = AdamMoments::defaults();
        let random = |scale: f64| Tensor::randn([1003], (kind, Device::Cpu)) * scale;
        let mut ours = (random(1.0), [random(0.1), random(0.1).abs()]);
        let mut theirs = (ours.0.copy(), ours.1.each_ref().map(Tensor::copy));
        for _ in 0..3 {
            let gradient = random(0.01);
            assert!(adam.in_one_pass::<T>(&mut ours.0, &gradient, &mut ours.1, 0.003));
            let alpha = Tensor::from(0.003).to_kind(kind);
            adam.tensor_by_tensor(&mut theirs.0, &gradient, &mut theirs.1, &alpha);
        }
        assert_eq!(ours.1, theirs.1, "the moments differ");
        // libtorch's vectors may round the last operation of a step otherwise: once a step.
        let difference = (&ours.0 - &theirs.0).abs() / theirs.0.abs().clamp_min(1.0);
        let largest = difference.max().double_value(&[]);
        assert!(largest <= 3.0 * T::epsilon().to_f64().unwrap(), "the weights: {largest}");
    }

    #[test]
    fn one_pass_gives_what_one_operation_after_the_other_gives() {
        one_pass_gives_what_tensors_do::<f32>(Kind::Float);
        one_pass_gives_what_tensors_do::<f64>(Kind::Double);
    }
}
