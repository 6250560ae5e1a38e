//! Sums of tensors over all ranks: those of a step, and those through which gradients go, which are the functions of
//! `torch-ext/summed.cpp`, made safe.

use std::ffi::c_void;
use std::ptr::null_mut;

use tch::{Device, Kind, Tensor, kind, no_grad};

use super::{Lost, Ranks, Summand};
use crate::system::torch_ext::checked;

/// The functions as C has them. None lets an exception through; the text is null, or what went wrong.
#[allow(unsafe_code)]
mod ext {
    use std::ffi::{c_char, c_void};

    unsafe extern "C" {
        pub fn convae_summed(
            own: *const c_void,
            add_up: extern "C" fn(*const c_void, *mut c_void),
            ranks: *const c_void,
            all: *mut *mut c_void,
        ) -> *mut c_char;
    }
}

impl Ranks {
    /// The sums of a row of values, float32 or float64, of which all ranks must bring as many; on its device.
    ///
    /// # Errors
    /// As [`Ranks::sum`].
    pub fn sum_of(&self, row: &Tensor) -> Result<Tensor, Lost> {
        if self.have_gpus() {
            let mut row = row.copy();
            self.sum_tensor(&mut row)?;
            return Ok(row);
        }
        match row.kind() {
            Kind::Double => self.sum_values::<f64>(row),
            _ => self.sum_values::<f32>(row),
        }
    }

    fn sum_values<T: Summand + kind::Element>(&self, row: &Tensor) -> Result<Tensor, Lost> {
        let mut values = vec![T::default(); row.numel()];
        row.to_device(Device::Cpu).copy_data(&mut values, row.numel());
        self.sum(&mut values)?;
        Ok(Tensor::from_slice(&values).view_as(row).to_device(row.device()))
    }

    /// The same as a part of what a gradient is taken of, which goes through it: each rank's values get the gradients of
    /// all ranks' losses. All must take their gradients as well.
    ///
    /// Where another rank is lost, the values stay as they are: the sum of the step's gradients says so.
    ///
    /// # Panics
    /// As tch does where libtorch throws.
    pub fn summed(&self, own: &Tensor) -> Tensor {
        let mut all = null_mut();
        let ranks = std::ptr::from_ref(self).cast();
        #[allow(unsafe_code)] // who trains holds the ranks for longer than a step's gradients
        let done = checked(unsafe {
            ext::convae_summed(own.as_ptr().cast(), add_up, ranks, &raw mut all)
        });
        if let Err(problem) = done {
            panic!("{problem}");
        }
        #[allow(unsafe_code)] // it is ours, and nobody else's
        unsafe {
            Tensor::from_ptr(all.cast())
        }
    }
}

extern "C" fn add_up(ranks: *const c_void, values: *mut c_void) {
    #[allow(unsafe_code)] // they are those of `Ranks::summed`
    let ranks = unsafe { &*ranks.cast::<Ranks>() };
    #[allow(unsafe_code)] // a tensor that lives until this returns, of which the values are shared
    let mut values = unsafe { Tensor::clone_from_ptr(values.cast()) };
    if let Ok(sums) = ranks.sum_of(&values) {
        no_grad(|| values.copy_(&sums));
    }
}
