//! `recorderd`: the miner (`proto/mining.md`, section 7).
//!
//! Exit status: 0 stopped by a signal, or done; 1 an error, which is told; 2 wrong usage.

mod hashing;
mod links;
mod miner;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use signal_hook::iterator::Signals;

use crate::cli::convert::{self, ConfigCommand};
use crate::cli::signals::ending;
use crate::core::chain::Chain;
use crate::core::keys::PeerPublicKey;
use crate::shell::files::config::{RecorderConfig, RecorderConnect, Variables};
use crate::shell::files::{dns, identity, pidfile::PidFile};
use crate::shell::logging;
use crate::shell::zmq::requester::fresh_key;
use links::Place;
use miner::{Event, Miner, Settings};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "recorderd",
    version,
    about = "The Bitmark miner: looks for nonces of the blocks that nodes want to make."
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
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the key pair that the configuration names, or PREFIX.public and PREFIX.private.
    GenerateIdentity {
        /// Where, if not in the files that the configuration names.
        prefix: Option<PathBuf>,
    },
    /// Make a configuration out of the reference's.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Mine until SIGINT, SIGTERM or SIGHUP; this is done without a command too.
    Start,
}

/// Runs a command line; gives the exit status.
#[must_use]
pub fn run(cli: &Cli) -> u8 {
    let result = match &cli.command {
        Some(Command::GenerateIdentity { prefix }) => generate_identity(cli, prefix.as_deref()),
        Some(Command::Config { command }) => {
            convert::run(convert::Program::Recorder, command, &cli.set)
        }
        Some(Command::Start) | None => start(cli),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("recorderd: {error:#}");
            1
        }
    }
}

fn config(cli: &Cli) -> anyhow::Result<RecorderConfig> {
    let file = cli
        .config_file
        .as_deref()
        .context("no configuration; name one with --config-file FILE")?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let variables = Variables::new(&cli.set, environment).map_err(anyhow::Error::msg)?;
    Ok(RecorderConfig::load(file, &variables)?)
}

fn generate_identity(cli: &Cli, prefix: Option<&Path>) -> anyhow::Result<()> {
    let (public, private) = match prefix {
        Some(prefix) => {
            let with = |ending: &str| {
                let mut name = prefix.as_os_str().to_owned();
                name.push(ending);
                PathBuf::from(name)
            };
            (with(".public"), with(".private"))
        }
        None => {
            let peering = config(cli)?.peering;
            (peering.public_key, peering.private_key)
        }
    };
    identity::write(&fresh_key(), &public, &private)?;
    if !cli.quiet {
        outln!("key pair in {} and {}", public.display(), private.display());
    }
    Ok(())
}

fn place(node: &RecorderConnect) -> anyhow::Result<Place> {
    let address = |address: &crate::shell::files::config::Address| {
        let found = dns::resolve(address.host_port())
            .with_context(|| format!("peering.connect: {address}"))?;
        anyhow::Ok((found.ip(), found.port()).into())
    };
    Ok(Place {
        key: PeerPublicKey(node.public_key.0),
        blocks: address(&node.blocks)?,
        submit: address(&node.submit)?,
    })
}

fn start(cli: &Cli) -> anyhow::Result<()> {
    let mut config = config(cli)?;
    config.logging.console &= !cli.quiet;
    let peering = &config.peering;
    let key = identity::read(&peering.public_key, &peering.private_key)
        .context("`recorderd generate-identity` makes a key pair where there is none")?;
    let chain = Chain::by_name(config.chain.name()).context("chain: invalid chain")?;
    let places: Vec<Place> = peering
        .connect
        .iter()
        .map(place)
        .collect::<Result<_, _>>()?;
    let threads = match config.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let _pidfile = config.pidfile.as_deref().map(PidFile::create).transpose()?;
    let _log = logging::start(&config.logging)?;
    let mut signals = Signals::new(ending()).context("signals")?;
    log::info!(
        "recorderd {} on chain {}, {threads} threads, {} nodes, key {}",
        env!("CARGO_PKG_VERSION"),
        chain.name,
        places.len(),
        key.public_key(),
    );
    let miner = Miner::start(Settings {
        chain,
        threads,
        key,
        places,
    })?;
    let (events, handle) = (miner.events(), signals.handle());
    let waiting = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                log::info!("signal {signal}");
                if events.send(Event::Stop).is_err() {
                    return;
                }
            }
        })
        .context("no thread for signals")?;
    miner.run();
    handle.close();
    let _ = waiting.join();
    Ok(())
}
