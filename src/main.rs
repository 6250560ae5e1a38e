//! The `convae` program: reads the command line, runs one command, prints the error if there is one.

use std::process::ExitCode;

use convae::system::memory::AbortWithMessage;

#[global_allocator]
static ALLOCATOR: AbortWithMessage = AbortWithMessage;

/// What the dynamic linker runs before the constructors of libtorch.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
#[allow(unsafe_code)]
#[unsafe(link_section = ".preinit_array")]
static FIRST: extern "C" fn() = convae::system::memory::check_address_space;

fn main() -> ExitCode {
    convae::cli::main()
}
