//! Signals. The first Ctrl-C (or termination) asks the work to stop after the current step, the
//! second one stops at once; a file that grows beyond the system's limit is an error, not an end.
//! A process that works for another one also stops when that one is gone.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use crate::system::exit;

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static TIME_IS_OVER: AtomicBool = AtomicBool::new(false);

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

/// Takes the end of standard input for a Ctrl-C from now on. Whoever holds its other end may close
/// it; and when they die, by whatever signal, the system closes it for them.
pub fn when_stdin_ends() {
    std::thread::spawn(|| {
        // What is said there does not matter; an error is as good as an end.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        REQUESTED.store(true, Ordering::Relaxed);
    });
}

/// Takes the end of this time for a Ctrl-C.
pub fn when_time_is_over(time: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        if !REQUESTED.swap(true, Ordering::Relaxed) {
            TIME_IS_OVER.store(true, Ordering::Relaxed);
        }
    });
}

/// Whether it was the time that has asked to stop, and not the user.
#[must_use]
pub fn time_is_over() -> bool {
    TIME_IS_OVER.load(Ordering::Relaxed)
}

/// Whether the user has asked to stop.
#[must_use]
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
