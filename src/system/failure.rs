//! The last net: whatever panics below becomes one sentence and an exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::anyhow;

/// What libtorch, C++ and rayon say when memory runs out, on the CPU and on a GPU.
const OUT_OF_MEMORY: [&str; 6] = [
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "Cannot allocate memory",
    "Resource temporarily unavailable", // a thread that could not be started
];

/// Runs `work`, turning a panic into an error. tch panics where libtorch throws, which for a
/// checked plan means that memory ran out; anything else is a bug of ours.
///
/// # Errors
/// Those of `work`, and its panics.
pub fn caught<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    std::panic::set_hook(Box::new(|_| {}));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = (panic.downcast_ref::<String>().map(String::as_str))
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(explain(text))
    })
}

fn explain(text: &str) -> anyhow::Error {
    if OUT_OF_MEMORY.iter().any(|sign| text.contains(sign)) {
        return anyhow!(
            "there is not enough memory for this model; lower train.batch_size (of apply: --tile), make its layers smaller, \
             or, on a GPU, set train.cuda_graphs = false"
        );
    }
    // libtorch appends a stack trace of many lines, which tch quotes with escaped line ends.
    let first = text.split(['\n', '\\']).next().unwrap_or_default();
    anyhow!("this is a bug in convae, please report it with your config: {first}")
}
