//! This program as a child of itself.

use std::io;
use std::path::PathBuf;

/// On Linux this very program, even after a newer one was built in its place.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// The variable that says how many threads libtorch's engine has.
pub const LIBTORCH_THREADS: &str = "OMP_NUM_THREADS";

/// Where it lies.
///
/// # Errors
/// When the system does not know.
pub fn this_program() -> io::Result<PathBuf> {
    let this = PathBuf::from(THIS_PROGRAM);
    if this.exists() { Ok(this) } else { std::env::current_exe() }
}
