//! Ctrl-C: the first one asks the work to stop after the current step, the second one stops at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C and termination from now on.
///
/// # Errors
/// When the system refuses the handler.
pub fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
        eprintln!("\nstopping after this step; once more stops at once and saves nothing");
    })
}

/// Whether the user has asked to stop.
#[must_use]
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
