//! The client. See [`bitmarkd::cli::client`].

use std::process::ExitCode;

use bitmarkd::cli::client::{Cli, run};
use clap::Parser as _;

fn main() -> ExitCode {
    ExitCode::from(run(Cli::parse()))
}
