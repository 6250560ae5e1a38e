//! Sums of tensors over all ranks: those of a step, and those through which gradients go, which are the functions of
//! `torch-ext/summed.cpp`, made safe.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
            add_up: extern "C" fn(*const c_void, *mut c_void, *mut c_char, usize),
            ranks: *const c_void,
            all: *mut *mut c_void,
        ) -> *mut c_char;
    }
}

impl Ranks {
    /// The sums of a row of values, float32 or float64, of which all ranks must bring as many; on its device, in its place
    /// where the ranks have joined their GPUs.
    ///
    /// # Errors
    /// As [`Ranks::sum`].
    pub fn sum_of(&self, mut row: Tensor) -> Result<Tensor, Lost> {
        if self.have_gpus() {
            self.sum_tensor(&mut row)?;
            return Ok(row);
        }
        match row.kind() {
            Kind::Double => self.sum_values::<f64>(&row),
            _ => self.sum_values::<f32>(&row),
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
    /// Where another rank is lost, the values are of no use: the sum of the step's gradients says so.
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

/// Puts the sums in the place of some values. Says in `room` bytes of `problem`, which are zeros, what went wrong.
extern "C" fn add_up(ranks: *const c_void, values: *mut c_void, problem: *mut c_char, room: usize) {
    #[allow(unsafe_code)] // they are those of `Ranks::summed`
    let ranks = unsafe { &*ranks.cast::<Ranks>() };
    #[allow(unsafe_code)] // a tensor that lives until this returns, of which the values are shared
    let mut values = unsafe { Tensor::clone_from_ptr(values.cast()) };
    let done = catch_unwind(AssertUnwindSafe(|| {
        if let Ok(sums) = ranks.sum_of(values.shallow_clone()) {
            no_grad(|| values.copy_(&sums));
        }
    }));
    // tch panics where libtorch throws, which C++ must not see.
    let Err(panic) = done else { return };
    let text = panic.downcast::<String>().map_or_else(|_| "a sum failed".to_owned(), |text| *text);
    let bytes = &text.as_bytes()[..text.len().min(room - 1)];
    #[allow(unsafe_code)] // it has so much room, and a zero is left
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), problem.cast(), bytes.len());
    }
}
