//! `bitmarkd`: the node and what is done for one (`proto/rpc.md`, section 7).
//!
//! Exit status: 0 done; 1 an error, which is told; 2 wrong usage.

mod blocks;
mod certs;
mod ctl;
mod identities;
mod start;
pub mod testnet;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::shell::files::config::{Config, Variables};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "bitmarkd",
    version,
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
    /// Run the node until SIGINT or SIGTERM; this is done without a command too.
    #[command(alias = "run")]
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
    },
    /// Print the TXT record by which others find this node.
    #[command(visible_alias = "txt")]
    DnsTxt,
    /// Print blocks as JSON.
    #[command(visible_alias = "b")]
    Block {
        /// The first, at least 2.
        first: u64,
        /// The last; the first alone unless given.
        last: Option<u64>,
        /// Where, if not on the terminal.
        file: Option<PathBuf>,
    },
    /// Save all blocks to a file.
    #[command(visible_alias = "save")]
    SaveBlocks {
        /// The file.
        file: PathBuf,
    },
    /// Load saved blocks into an empty store.
    #[command(visible_alias = "load")]
    LoadBlocks {
        /// The file.
        file: PathBuf,
    },
    /// Remove blocks from the top down to and including this one.
    #[command(visible_alias = "dd")]
    DeleteDown {
        /// The lowest to go, at least 2.
        number: u64,
    },
    /// Build all indexes again from the stored blocks.
    Rebuild,
    /// Ask or tell a running node.
    Ctl {
        /// The node's socket, if not the one of the configuration.
        #[arg(long, value_name = "FILE")]
        socket: Option<PathBuf>,
        #[command(subcommand)]
        command: ctl::Ctl,
    },
    /// A test network on this machine.
    Testnet {
        #[command(subcommand)]
        command: testnet::Testnet,
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

fn say(cli: &Cli, text: impl AsRef<str>) {
    if !cli.quiet {
        println!("{}", text.as_ref());
    }
}

fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn dispatch(cli: &Cli) -> anyhow::Result<()> {
    let command = cli.command.as_ref();
    match command.unwrap_or(&Command::Start { accept_fork: None }) {
        Command::Start { accept_fork } => start::run(&config(cli)?, *accept_fork),
        Command::GenPeerIdentity { prefix } => {
            let files = match prefix {
                Some(prefix) => (
                    with_suffix(prefix, ".public"),
                    with_suffix(prefix, ".private"),
                ),
                None => {
                    let peering = config(cli)?.peering;
                    (peering.public_key, peering.private_key)
                }
            };
            say(cli, identities::peer(&files.0, &files.1)?);
            Ok(())
        }
        Command::GenRpcCert { prefix, addresses } => {
            let files = match prefix {
                Some(prefix) => (with_suffix(prefix, ".crt"), with_suffix(prefix, ".key")),
                None => {
                    let rpc = config(cli)?.client_rpc;
                    (rpc.certificate, rpc.private_key)
                }
            };
            say(cli, identities::rpc(&files.0, &files.1, addresses)?);
            Ok(())
        }
        Command::GenProofIdentity { prefix } => {
            let (public, private, signing, testing) = match prefix {
                Some(prefix) => {
                    let testing = cli
                        .config_file
                        .is_some()
                        .then(|| config(cli))
                        .transpose()?
                        .is_some_and(|c| identities::is_testing(&c));
                    (
                        with_suffix(prefix, ".public"),
                        with_suffix(prefix, ".private"),
                        with_suffix(prefix, ".sign"),
                        testing,
                    )
                }
                None => {
                    let config = config(cli)?;
                    let testing = identities::is_testing(&config);
                    let proofing = config.proofing;
                    (
                        proofing.public_key,
                        proofing.private_key,
                        proofing.signing_key,
                        testing,
                    )
                }
            };
            say(
                cli,
                identities::proof(&public, &private, &signing, testing)?,
            );
            Ok(())
        }
        Command::DnsTxt => {
            println!("{}", identities::dns_txt(&config(cli)?)?);
            Ok(())
        }
        Command::Block { first, last, file } => blocks::dump(
            &config(cli)?,
            *first,
            last.unwrap_or(*first),
            file.as_deref(),
        ),
        Command::SaveBlocks { file } => {
            let count = blocks::save(&config(cli)?, file)?;
            say(cli, format!("saved {count} blocks to {}", file.display()));
            Ok(())
        }
        Command::LoadBlocks { file } => {
            let (loaded, refused) = blocks::load(&config(cli)?, file)?;
            say(
                cli,
                format!("loaded {loaded} blocks, {refused} were refused"),
            );
            Ok(())
        }
        Command::DeleteDown { number } => {
            let height = blocks::delete_down(&config(cli)?, *number)?;
            say(cli, format!("reduced height to: {height}"));
            Ok(())
        }
        Command::Rebuild => {
            let height = blocks::rebuild(&config(cli)?)?;
            say(cli, format!("the indexes are built up to block {height}"));
            Ok(())
        }
        Command::Ctl { socket, command } => {
            let socket = match socket {
                Some(socket) => socket.clone(),
                None => config(cli)?.control.socket,
            };
            ctl::run(&socket, command)
        }
        Command::Testnet { command } => testnet::run(command),
        Command::MakeCerts(args) => certs::run(args),
    }
}
