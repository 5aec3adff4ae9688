//! The node. See [`bitmarkd::cli::daemon`].

use std::process::ExitCode;

use bitmarkd::cli::daemon::{Cli, run};
use clap::Parser as _;

fn main() -> ExitCode {
    ExitCode::from(run(&Cli::parse()))
}
