//! Outputs that a GPU may still compute while the processor goes on.

use tch::{Device, Kind, Tensor};

use super::values_of;
use crate::system::cuda::Event;

/// Outputs of some samples in float32, one after the other, channels last.
#[derive(Debug)]
pub struct Pending(State);

#[derive(Debug)]
enum State {
    Done(Vec<f32>),
    /// The values, once the GPU has come to the event.
    OnTheWay(Tensor, Event),
}

impl From<Vec<f32>> for Pending {
    fn from(values: Vec<f32>) -> Self {
        Self(State::Done(values))
    }
}

impl Pending {
    /// Of a tensor that may change afterwards.
    pub(super) fn of(output: &Tensor) -> Self {
        let Device::Cuda(device) = output.device() else { return values_of(output).into() };
        // Into pinned memory, behind all that the GPU has to do until now.
        let values = output.to_device_(Device::Cpu, Kind::Float, true, true);
        match Event::record(device) {
            Ok(event) => Self(State::OnTheWay(values, event)),
            Err(_) => values_of(output).into(),
        }
    }

    /// Waits for them.
    ///
    /// # Panics
    /// As tch does where libtorch throws.
    #[must_use]
    pub fn values(self) -> Vec<f32> {
        match self.0 {
            State::Done(values) => values,
            State::OnTheWay(values, event) => {
                if let Err(problem) = event.wait() {
                    panic!("{problem}");
                }
                values_of(&values)
            }
        }
    }
}
