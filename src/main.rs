//! The `convae` program: reads the command line, runs one command, prints the error if there is one.

use std::process::ExitCode;

use convae::memory::OrSentence;

#[global_allocator]
static ALLOCATOR: OrSentence = OrSentence;

/// What the dynamic linker runs before the constructors of libtorch.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
#[allow(unsafe_code)]
#[unsafe(link_section = ".preinit_array")]
static FIRST: extern "C" fn() = convae::memory::ask_for_room;

fn main() -> ExitCode {
    convae::cli::main()
}
