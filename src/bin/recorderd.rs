//! The miner. See [`bitmarkd::cli::recorder`].

use std::process::ExitCode;

use bitmarkd::cli::recorder::{Cli, run};
use clap::Parser as _;

fn main() -> ExitCode {
    ExitCode::from(run(&Cli::parse()))
}
