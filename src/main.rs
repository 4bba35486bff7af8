//! The `postroom` program: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use postroom::cli::Cli;

fn main() -> ExitCode {
    postroom::cli::main(Cli::parse())
}
