//! The `convae` program: reads the command line, runs one command, prints the error if there is one.

use std::process::ExitCode;

use convae::memory::OrSentence;

#[global_allocator]
static ALLOCATOR: OrSentence = OrSentence;

fn main() -> ExitCode {
    convae::cli::main()
}
