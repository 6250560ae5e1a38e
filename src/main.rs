//! The `convae` program: reads the command line, runs one command, prints the error if there is one.

use std::process::ExitCode;

fn main() -> ExitCode {
    convae::cli::main()
}
