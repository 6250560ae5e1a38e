//! What tch does not bind of CUDA: the functions of `torch-ext/cuda.cpp`, made safe. Of most use are graphs: a step is a
//! hundred kernels of some microseconds each, and starting them one by one takes longer than they do.

#[cfg(convae_cuda)]
pub use bound::{CudaGraph, Event, free_memory, pin, prepare};
#[cfg(not(convae_cuda))]
pub use unbound::{CudaGraph, Event, free_memory, pin, prepare};

use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::{Device, Kind, Tensor, no_grad_guard, with_grad};

/// What some work gives, or what it panicked with. Gradients are on or off afterwards as before.
#[cfg_attr(not(convae_cuda), allow(dead_code))]
fn attempted<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    // On drop it puts things back, also where a panic has left them.
    let _guard = no_grad_guard();
    catch_unwind(AssertUnwindSafe(|| with_grad(work)))
}

/// Values of the CPU's memory on the device; a GPU fetches them while the processor goes on.
pub fn upload(
    mut values: Tensor,
    view: impl Fn(&Tensor) -> Tensor,
    device: Device,
    kind: Kind,
) -> Tensor {
    if device == Device::Cpu {
        return view(&values).to_kind(kind);
    }
    // Memory that is not pinned is right as well: the processor waits for it.
    let _ = pin(&mut values);
    view(&values).to_device_(device, kind, true, false)
}

#[cfg(convae_cuda)]
mod bound {
    use std::ffi::c_int;
    use std::panic::resume_unwind;
    use std::ptr::null_mut;

    use tch::Tensor;

    use super::attempted;
    use crate::system::torch_ext::checked;

    /// The functions as C has them. None lets an exception through, and each that gives a text gives null, or what went
    /// wrong.
    #[allow(unsafe_code)]
    mod ext {
        use std::ffi::{c_char, c_int, c_void};

        #[repr(C)]
        pub struct Graph {
            opaque: [u8; 0],
        }

        #[repr(C)]
        pub struct Event {
            opaque: [u8; 0],
        }

        unsafe extern "C" {
            pub fn convae_pin(tensor: *mut c_void) -> *mut c_char;
            pub safe fn convae_free_memory(device: c_int, bytes: &mut u64) -> *mut c_char;
            pub fn convae_event_record(device: c_int, event: *mut *mut Event) -> *mut c_char;
            pub fn convae_event_wait(event: *mut Event) -> *mut c_char;
            pub fn convae_event_free(event: *mut Event);
            pub safe fn convae_graph_prepare(device: c_int) -> *mut c_char;
            pub fn convae_graph_begin(
                device: c_int,
                beside: *const Graph,
                graph: *mut *mut Graph,
            ) -> *mut c_char;
            pub fn convae_graph_end(graph: *mut Graph) -> *mut c_char;
            pub fn convae_graph_replay(graph: *mut Graph) -> *mut c_char;
            pub fn convae_graph_free(graph: *mut Graph);
        }
    }

    /// Moves a tensor's values to memory from which a GPU fetches them while the processor goes on.
    ///
    /// # Errors
    /// libtorch's own words; the tensor is then as it was.
    pub fn pin(tensor: &mut Tensor) -> Result<(), String> {
        #[allow(unsafe_code)] // tch's pointer is that of a tensor, which nobody else has
        checked(unsafe { ext::convae_pin(tensor.as_mut_ptr().cast()) })
    }

    /// Memory of a GPU that nobody has taken, in bytes.
    ///
    /// # Errors
    /// libtorch's own words.
    pub fn free_memory(device: usize) -> Result<u64, String> {
        let mut bytes = 0;
        checked(ext::convae_free_memory(number(device), &mut bytes))?;
        Ok(bytes)
    }

    /// From here on this thread computes where it can be captured.
    ///
    /// # Errors
    /// libtorch's own words.
    pub fn prepare(device: usize) -> Result<(), String> {
        checked(ext::convae_graph_prepare(number(device)))
    }

    /// A place in what a thread has let a GPU do.
    #[derive(Debug)]
    pub struct Event(*mut ext::Event);

    impl Event {
        /// After all that this thread has let the GPU do.
        ///
        /// # Errors
        /// libtorch's own words.
        pub fn record(device: usize) -> Result<Self, String> {
            let mut event = null_mut();
            #[allow(unsafe_code)] // it writes where it is told to, before it returns
            checked(unsafe { ext::convae_event_record(number(device), &raw mut event) })?;
            Ok(Self(event))
        }

        /// Waits until the GPU has come there.
        ///
        /// # Errors
        /// libtorch's own words.
        pub fn wait(&self) -> Result<(), String> {
            #[allow(unsafe_code)] // it lives as long as this
            checked(unsafe { ext::convae_event_wait(self.0) })
        }
    }

    impl Drop for Event {
        fn drop(&mut self) {
            #[allow(unsafe_code)] // nobody else has it
            unsafe {
                ext::convae_event_free(self.0);
            }
        }
    }

    /// Kernels of a GPU with all that they read and write, in memory of their own or that of other graphs.
    #[derive(Debug)]
    pub struct CudaGraph(*mut ext::Graph);

    impl CudaGraph {
        /// Lets this thread do some work on a GPU, which is not done by that but captured. It must neither wait for the
        /// GPU nor read from the processor's memory. What it needs for itself alone takes the memory that another graph,
        /// `beside`, needs for itself alone: neither may be replayed while the other is under way.
        ///
        /// # Errors
        /// libtorch's own words, or what the work panicked with.
        pub fn capture<T>(
            device: usize,
            beside: Option<&Self>,
            work: impl FnOnce() -> T,
        ) -> Result<(Self, T), String> {
            let device = number(device);
            let beside = beside.map_or(null_mut(), |graph| graph.0);
            let mut graph = null_mut();
            #[allow(unsafe_code)] // it writes where it is told to, before it returns
            checked(unsafe { ext::convae_graph_begin(device, beside, &raw mut graph) })?;
            let own = Self(graph);
            let done = attempted(work);
            #[allow(unsafe_code)] // it was begun, on this thread
            let ended = checked(unsafe { ext::convae_graph_end(own.0) });
            match (done, ended) {
                (Ok(value), Ok(())) => Ok((own, value)),
                (Ok(_), Err(problem)) => Err(problem),
                // tch panics where libtorch throws.
                (Err(panic), _) => match panic.downcast::<String>() {
                    Ok(text) => Err(text.split(['\n', '\\']).next().unwrap_or_default().to_owned()),
                    Err(panic) => resume_unwind(panic),
                },
            }
        }

        /// Starts the work again, on what now stands where it reads; it does not wait for its end.
        ///
        /// # Errors
        /// libtorch's own words.
        pub fn replay(&self) -> Result<(), String> {
            #[allow(unsafe_code)] // it lives as long as this
            checked(unsafe { ext::convae_graph_replay(self.0) })
        }
    }

    impl Drop for CudaGraph {
        fn drop(&mut self) {
            #[allow(unsafe_code)] // nobody else has it
            unsafe {
                ext::convae_graph_free(self.0);
            }
        }
    }

    fn number(device: usize) -> c_int {
        c_int::try_from(device).expect("no machine has so many GPUs")
    }
}

#[cfg(not(convae_cuda))]
mod unbound {
    use tch::Tensor;

    const LACKING: &str = "this convae was built with a libtorch without CUDA";

    /// Leaves the tensor as it is.
    ///
    /// # Errors
    /// Always.
    pub fn pin(_tensor: &mut Tensor) -> Result<(), String> {
        Err(LACKING.to_owned())
    }

    /// There is no GPU.
    ///
    /// # Errors
    /// Always.
    pub fn free_memory(_device: usize) -> Result<u64, String> {
        Err(LACKING.to_owned())
    }

    /// Nothing can be captured.
    ///
    /// # Errors
    /// Always.
    pub fn prepare(_device: usize) -> Result<(), String> {
        Err(LACKING.to_owned())
    }

    /// There is none.
    #[derive(Debug)]
    pub enum Event {}

    impl Event {
        /// Records nothing.
        ///
        /// # Errors
        /// Always.
        pub fn record(_device: usize) -> Result<Self, String> {
            Err(LACKING.to_owned())
        }

        /// Never called: there is no event.
        ///
        /// # Errors
        /// None.
        pub fn wait(&self) -> Result<(), String> {
            match *self {}
        }
    }

    /// There is none.
    #[derive(Debug)]
    pub enum CudaGraph {}

    impl CudaGraph {
        /// Captures nothing.
        ///
        /// # Errors
        /// Always.
        pub fn capture<T>(
            _device: usize,
            _beside: Option<&Self>,
            _work: impl FnOnce() -> T,
        ) -> Result<(Self, T), String> {
            Err(LACKING.to_owned())
        }

        /// Never called: there is no graph.
        ///
        /// # Errors
        /// None.
        pub fn replay(&self) -> Result<(), String> {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;

    #[test]
    fn work_that_panics_without_gradients_leaves_them_on() {
        let panic = attempted(|| tch::no_grad(|| panic!("it waits for the GPU"))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"it waits for the GPU"));
        let x = Tensor::from_slice(&[2.0]).set_requires_grad(true);
        assert!((&x * &x).requires_grad());
        assert!(attempted(|| (&x * &x).requires_grad()).unwrap());
    }

    #[test]
    fn without_a_gpu_nothing_is_captured_and_a_reason_is_given() {
        if tch::Cuda::is_available() {
            return; // scripts/gpu_check.sh is for machines that have one
        }
        let mut tensor = Tensor::from_slice(&[1.0, 2.0]);
        let captured = CudaGraph::capture(0, None, || ()).map(|_| ());
        for problem in [
            pin(&mut tensor),
            prepare(0),
            captured,
            free_memory(0).map(|_| ()),
            Event::record(0).map(|_| ()),
        ] {
            assert!(problem.is_err_and(|reason| !reason.is_empty()));
        }
        assert_eq!(tensor, Tensor::from_slice(&[1.0, 2.0]));
    }
}
