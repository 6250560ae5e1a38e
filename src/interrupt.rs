//! Signals. The first Ctrl-C (or termination) asks the work to stop after the current step, the
//! second one stops at once; a file that grows beyond the system's limit is an error, not an end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use crate::exit;

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Listens for Ctrl-C, termination and a closed terminal from now on.
///
/// # Errors
/// When the system refuses the handler.
pub fn install() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order the first signal finds the flag down and only raises it.
        let code = i32::from(exit::INTERRUPTED);
        flag::register_conditional_shutdown(signal, code, Arc::clone(&REQUESTED))?;
        flag::register(signal, Arc::clone(&REQUESTED))?;
    }
    Ok(())
}

/// Lets a write beyond the file size limit fail where it is made, so that it can be explained.
///
/// # Errors
/// When the system refuses the handler.
pub fn survive_size_limits() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// Whether the user has asked to stop.
#[must_use]
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
