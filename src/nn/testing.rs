//! What tests of layers share.

use tch::{Device, Kind, Tensor};

/// What `compute` makes of a tensor in float64, and the gradient by that tensor of a sum in which each output has a weight of its
/// own.
pub fn output_and_gradient(x: &Tensor, compute: impl Fn(&Tensor) -> Tensor) -> [Tensor; 2] {
    let x = x.detach().set_requires_grad(true);
    let output = compute(&x);
    let weights = Tensor::arange(output.numel() as i64, (Kind::Double, Device::Cpu));
    let sum = (&output * weights.cos().view_as(&output)).sum(Kind::Double);
    let gradient = Tensor::run_backward(&[&sum], &[&x], false, false);
    [output.detach(), gradient[0].shallow_clone()]
}
