//! `bitmark-cli`: a client over the ZeroMQ command protocol or over JSON-RPC.
//!
//! Exit status: 0 done; 1 an error, which is told; 2 wrong usage; 3 the node is not in mode Normal
//! and nothing was sent; 4 the time was over, and the last state seen is told.

mod arguments;
mod call;
pub mod carrier;
mod chain;
mod create;
mod decode;
mod home;
pub mod identity;
pub mod network;
mod peer;
mod progress;
mod push;
mod settings;
mod setup;
mod shown;
mod sign;
mod target;
mod title;
mod trace;
mod transfer;
mod wallet;
mod watch;

pub use chain::shown;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use thiserror::Error;

use super::manual;

/// The node is not in mode Normal.
pub const NOT_NORMAL: u8 = 3;
/// The time was over.
pub const TIMED_OUT: u8 = 4;

/// A failure with an exit status of its own.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct Exit {
    /// The exit status.
    pub status: u8,
    /// What is told.
    pub message: String,
    /// What there is of a result all the same: an object, or nothing.
    pub result: Value,
}

impl Exit {
    fn not_normal(height: u64) -> Self {
        Self {
            status: NOT_NORMAL,
            message: format!(
                "the node is still synchronising (height {height}), nothing was sent; try again when `peer info` says normal"
            ),
            result: Value::Null,
        }
    }
}

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "bitmark-cli",
    version,
    about = "A client of Bitmark nodes, over their ZeroMQ command protocol or over JSON-RPC."
)]
pub struct Cli {
    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an identity and keep with which node it is used.
    Setup(setup::Args),
    /// Ask a node, tell it something, or watch what it publishes.
    Peer(peer::Args),
    /// Make, show and change identities: sealed keys of accounts.
    Identity(identity::Args),
    /// Register an asset and issue bitmarks on it.
    Create(create::Args),
    /// Give a bitmark to somebody else.
    Transfer(transfer::Args),
    /// Give a block, and the fees it earns, to somebody else, who must agree.
    BlockTransfer(transfer::BlockArgs),
    /// Agree to a transfer of a bitmark or of a block that somebody else signed.
    #[command(visible_alias = "block-countersign")]
    Countersign(transfer::CountersignArgs),
    /// Make a node of a test network believe that a payment was seen.
    Pay(transfer::PayArgs),
    /// The way of a bitmark from its issue on.
    Provenance(trace::ProvenanceArgs),
    /// Whether a transaction is confirmed.
    Status(trace::StatusArgs),
    /// What an account owns.
    Owned(trace::OwnedArgs),
    /// Call any method of a node's JSON-RPC service and show the result.
    Call(call::Args),
    /// Make a proof of title to a bitmark, which needs no node to be verified.
    Prove(title::ProveArgs),
    /// Check a proof of title, without any node: who owns what, up to which block.
    Verify(title::VerifyArgs),
    /// Show packed bytes as JSON.
    Decode(decode::Args),
    /// Sign a file.
    Sign(sign::SignArgs),
    /// Check what somebody signed a file with: exit status 0 if it is right, else 1.
    Check(sign::CheckArgs),
    /// The fingerprint of a file, by which an asset is known.
    Fingerprint(sign::FingerprintArgs),
    /// Print what a shell needs to complete the words of a command line.
    Completions(manual::CompletionsArgs),
    /// Write the manual pages of all programs into a folder.
    Manuals(manual::ManualsArgs),
}

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Prints a result: as JSON, or the text for people.
    fn show(self, value: &Value, people: impl AsRef<str>) {
        if self.json {
            outln!("{value}");
        } else {
            outln!("{}", shown::printed(people.as_ref()));
        }
    }

    /// Prints a first part of a result, for people alone: JSON is printed when it is whole.
    fn part(self, people: impl AsRef<str>) {
        if !self.json {
            outln!("{}", shown::printed(people.as_ref()));
        }
    }

    /// Tells how it goes on, to people alone.
    fn note(self, text: impl AsRef<str>) {
        if !self.json {
            eprintln!("{}", shown::printed(text.as_ref()));
        }
    }
}

/// Runs a command line; gives the exit status.
#[must_use]
pub fn run(cli: Cli) -> u8 {
    let output = Output { json: cli.json };
    let result = match cli.command {
        Command::Setup(args) => setup::run(&args, output),
        Command::Peer(args) => peer::run(args, output),
        Command::Identity(args) => identity::run(args, output),
        Command::Create(args) => create::run(&args, output),
        Command::Transfer(args) => transfer::run(&args, output),
        Command::BlockTransfer(args) => transfer::block(&args, output),
        Command::Countersign(args) => transfer::countersign(&args, output),
        Command::Pay(args) => transfer::pay(&args, output),
        Command::Provenance(args) => trace::provenance(&args, output),
        Command::Status(args) => trace::status(&args, output),
        Command::Owned(args) => trace::owned(&args, output),
        Command::Call(args) => call::run(&args, output),
        Command::Prove(args) => title::prove(&args, output),
        Command::Verify(args) => title::verify(&args, output),
        Command::Decode(args) => decode::run(&args, output),
        Command::Sign(args) => sign::sign(&args, output),
        Command::Check(args) => sign::check(&args, output),
        Command::Fingerprint(args) => sign::fingerprint(&args, output),
        Command::Completions(args) => {
            let script = manual::completions(args.program, args.shell);
            output.show(&json!({"completions": script}), script.trim_end());
            Ok(())
        }
        Command::Manuals(args) => manual::write(&args.folder).map(|names| {
            let text = format!("{} pages in {}", names.len(), args.folder.display());
            output.show(&json!({"folder": args.folder, "pages": names}), text);
        }),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            let exit = error.downcast_ref::<Exit>();
            let status = exit.map_or(1, |exit| exit.status);
            if output.json {
                let mut shown = exit.map_or(Value::Null, |exit| exit.result.clone());
                shown["error"] = format!("{error:#}").into();
                outln!("{shown}");
            }
            eprintln!("bitmark-cli: {}", shown::printed(&format!("{error:#}")));
            status
        }
    }
}
