//! What the fuzz targets share. `allocator` and `readers` are also modules of `tests/fuzz.rs`, so that
//! `cargo test` holds the same inputs against the same promises.

pub mod allocator;
pub mod readers;
pub mod resume;

use std::panic::set_hook;
use std::sync::Once;

#[global_allocator]
static COUNTED: allocator::Counted = allocator::Counted;

/// libFuzzer's hook ends the process at the first panic, but those of the image decoders are caught, as
/// in convae. One that leaves a reader ends the process all the same.
pub fn go_on_after_caught_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_hook(Box::new(|panic| {
            let ours = panic.location().is_some_and(|place| place.file().contains("readers.rs"));
            if ours {
                eprintln!("{panic}");
            }
        }));
    });
}
