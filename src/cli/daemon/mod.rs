//! `bitmarkd`: the node and what is done for one (`proto/rpc.md`, section 7).
//!
//! Names and short forms of the commands are those of the reference; `import`, `config`, `rebuild`,
//! `snapshot`, `ctl`, `testnet` and `make-certs` are ours. Exit status: 0 done; 1 an error, which is told with
//! what to do about it; 2 wrong usage.

mod blocks;
mod certs;
mod ctl;
mod dns;
mod export;
mod identities;
mod import;
mod snapshot;
mod start;
pub mod testnet;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cli::convert::{self, ConfigCommand};
use crate::shell::files::config::{Config, Variables};

/// What `--version` prints behind the name.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (chain rule set v8.2)");

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "bitmarkd",
    version = VERSION,
    disable_help_subcommand = true,
    after_help = "Without a command the node is started.",
    about = "A Bitmark node: an independent implementation of the bitmarkd v8.2 peer service."
)]
pub struct Cli {
    /// The configuration.
    #[arg(long, short, global = true, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Sets ${VAR} in the configuration; can be repeated.
    #[arg(long, global = true, value_name = "VAR=VALUE")]
    set: Vec<String>,
    /// Say nothing on the terminal but errors.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Say more, and log to the terminal, too.
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// This list, or more about one command.
    #[command(visible_aliases = ["h", "?"])]
    Help {
        /// Which one.
        command: Option<String>,
    },
    /// Run the node until SIGINT, SIGTERM or SIGHUP; this is done without a command too.
    #[command(visible_alias = "run")]
    Start {
        /// Follow a branch that takes off more blocks than the protection allows, down to this
        /// height.
        #[arg(long, value_name = "HEIGHT")]
        accept_fork: Option<u64>,
    },
    /// Make the keys of the peer service, or PREFIX.public and PREFIX.private.
    #[command(visible_alias = "peer")]
    GenPeerIdentity {
        /// Where, if not in the files that the configuration names.
        prefix: Option<PathBuf>,
    },
    /// Make the certificate of the client service, or PREFIX.crt and PREFIX.key.
    #[command(visible_alias = "rpc")]
    GenRpcCert {
        /// Where, if not in the files that the configuration names.
        prefix: Option<PathBuf>,
        /// Addresses and names that stand in it.
        addresses: Vec<String>,
    },
    /// Make the keys of the mining services, or PREFIX.public, PREFIX.private and PREFIX.sign.
    #[command(visible_alias = "proof")]
    GenProofIdentity {
        /// Where, if not in the files that the configuration names.
        prefix: Option<PathBuf>,
        /// The network of the account that owns the blocks, if not that of the configuration.
        #[arg(long, value_name = "NAME")]
        chain: Option<String>,
    },
    /// Print the TXT record by which others find this node.
    #[command(visible_alias = "txt")]
    DnsTxt,
    /// Print blocks as JSON.
    #[command(visible_alias = "b")]
    Block {
        /// The first, at least 2.
        #[arg(value_parser = clap::value_parser!(u64).range(2..))]
        first: u64,
        /// The last; the first alone unless given.
        last: Option<u64>,
        /// Where, if not on the terminal.
        file: Option<PathBuf>,
    },
    /// Save all blocks to a file.
    #[command(visible_alias = "save")]
    SaveBlocks {
        /// The file; it is not there yet.
        file: PathBuf,
    },
    /// Load saved blocks into an empty store; every rule is checked.
    #[command(visible_alias = "load")]
    LoadBlocks {
        /// The file.
        file: PathBuf,
    },
    /// Take over what a stopped node of the reference has: chain, pending records, peers, keys. Its
    /// files are read and never changed.
    Import(import::Args),
    /// Remove blocks from the top down to and including this one.
    #[command(visible_alias = "dd")]
    DeleteDown {
        /// The lowest to go, at least 2.
        #[arg(value_parser = clap::value_parser!(u64).range(2..))]
        number: u64,
    },
    /// Build all indexes again from the stored blocks.
    Rebuild,
    /// The chain with its digests and indexes in one file: the backup of a running node, and a new
    /// node in minutes.
    Snapshot {
        #[command(subcommand)]
        command: snapshot::Snapshot,
    },
    /// Ask or tell a running node.
    Ctl {
        /// The node's socket, if not the one of the configuration.
        #[arg(long, global = true, value_name = "FILE")]
        socket: Option<PathBuf>,
        /// Print JSON instead of text for people.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: ctl::Ctl,
    },
    /// A test network on this machine.
    Testnet {
        #[command(subcommand)]
        command: testnet::Testnet,
    },
    /// Make a configuration out of the reference's.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make all keys and certificates of a node in one folder.
    MakeCerts(certs::Args),
}

/// Runs a command line; gives the exit status.
#[must_use]
pub fn run(cli: &Cli) -> u8 {
    match dispatch(cli) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("bitmarkd: {error:#}");
            1
        }
    }
}

fn config(cli: &Cli) -> anyhow::Result<Config> {
    let path = cli.config_file.as_deref().context(
        "which configuration? give --config-file FILE (docs/bitmarkd.sample.toml shows all keys)",
    )?;
    let environment = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let variables = Variables::new(&cli.set, environment).map_err(anyhow::Error::msg)?;
    let mut config = Config::load(path, &variables)?;
    if cli.quiet {
        config.logging.console = false;
    } else if cli.verbose {
        config.logging.console = true;
    }
    Ok(config)
}

/// Where news for the operator goes; results are printed in any case.
#[derive(Debug, Clone, Copy)]
struct Tell {
    quiet: bool,
}

impl Tell {
    fn say(self, text: impl AsRef<str>) {
        if !self.quiet {
            outln!("{}", text.as_ref());
        }
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<()> {
    let tell = Tell { quiet: cli.quiet };
    let config = || config(cli);
    let command = cli.command.as_ref();
    match command.unwrap_or(&Command::Start { accept_fork: None }) {
        Command::Help { command } => help(command.as_deref()),
        Command::Start { accept_fork } => start::run(&config()?, *accept_fork),
        Command::GenPeerIdentity { prefix } => identities::peer(prefix.as_deref(), config, tell),
        Command::GenRpcCert { prefix, addresses } => {
            identities::rpc(prefix.as_deref(), addresses, config, tell)
        }
        Command::GenProofIdentity { prefix, chain } => {
            identities::proof(prefix.as_deref(), chain.as_deref(), config, tell)
        }
        Command::DnsTxt => dns::run(&config()?),
        Command::Block { first, last, file } => {
            export::block(&config()?, *first, last.unwrap_or(*first), file.as_deref())
        }
        Command::SaveBlocks { file } => export::save(&config()?, file, tell),
        Command::LoadBlocks { file } => blocks::load(&config()?, file, tell),
        Command::Import(args) => import::run(args, &config()?, tell),
        Command::DeleteDown { number } => blocks::delete_down(&config()?, *number, tell),
        Command::Rebuild => blocks::rebuild(&config()?, tell),
        Command::Snapshot { command } => snapshot::run(command, config, tell),
        Command::Ctl {
            socket,
            json,
            command,
        } => {
            let socket = match socket {
                Some(socket) => socket.clone(),
                None => config()?.control.socket,
            };
            ctl::run(&socket, command, *json)
        }
        Command::Testnet { command } => testnet::run(command),
        Command::Config { command } => convert::run(convert::Program::Node, command, &cli.set),
        Command::MakeCerts(args) => certs::run(args, tell),
    }
}

fn help(name: Option<&str>) -> anyhow::Result<()> {
    let mut program = Cli::command();
    program.build();
    match name {
        None => program.print_help()?,
        Some(name) => match program.find_subcommand_mut(name) {
            Some(command) => command.print_help()?,
            None => bail!("{name:?} is no command; `bitmarkd help` lists them"),
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_program_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_short_form_of_the_notes_is_a_command() {
        for (short, name) in [
            ("h", "help"),
            ("?", "help"),
            ("run", "start"),
            ("peer", "gen-peer-identity"),
            ("rpc", "gen-rpc-cert"),
            ("proof", "gen-proof-identity"),
            ("txt", "dns-txt"),
            ("b", "block"),
            ("save", "save-blocks"),
            ("load", "load-blocks"),
            ("dd", "delete-down"),
        ] {
            let program = Cli::command();
            let found = program.find_subcommand(short).map(clap::Command::get_name);
            assert_eq!(found, Some(name), "{short}");
        }
    }
}
