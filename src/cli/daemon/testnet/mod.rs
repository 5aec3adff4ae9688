//! `bitmarkd testnet`: a network of some nodes and a miner on this machine, on loopback alone.
//!
//! It ends by itself when its time is over. One at a time in a folder.

pub mod make;
pub mod ports;
pub mod process;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::client::network::{FILE, Network};
use crate::shell::control;
use crate::shell::files::atomic;

/// Until all nodes are Normal.
const PATIENCE: Duration = Duration::from_secs(90);
/// Until a node that was told to stop has stopped.
const STOP: Duration = Duration::from_secs(6);
/// Fewest nodes: each needs three others.
const NODES_MIN: usize = 4;
/// Most nodes.
const NODES_MAX: usize = 16;

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Testnet {
    /// Start a network and wait until all nodes are in mode Normal.
    Start {
        /// How many nodes, 4 to 16.
        #[arg(long, default_value_t = 4)]
        nodes: usize,
        /// devnet, or local with its expensive block digest.
        #[arg(long, default_value = "devnet")]
        chain: String,
        /// It ends by itself after so many hours; 0: never.
        #[arg(long, default_value_t = 4.0)]
        hours: f64,
        /// Where everything of it is kept.
        #[arg(long, default_value = "testnet/run")]
        directory: PathBuf,
    },
    /// Show the nodes.
    Status {
        /// Where it is.
        #[arg(long, default_value = "testnet/run")]
        directory: PathBuf,
    },
    /// End all of it.
    Stop {
        /// Where it is.
        #[arg(long, default_value = "testnet/run")]
        directory: PathBuf,
    },
    /// Wait for the end of its time, then end all of it.
    #[command(hide = true)]
    Supervise {
        /// Where it is.
        directory: PathBuf,
        /// Seconds.
        seconds: u64,
        /// When the network was started: no other one is ended.
        started: String,
    },
}

/// Runs the command.
///
/// # Errors
/// What is wrong, and what to do.
pub fn run(command: &Testnet) -> anyhow::Result<()> {
    match command {
        Testnet::Start {
            nodes,
            chain,
            hours,
            directory,
        } => start(*nodes, chain, *hours, directory),
        Testnet::Status { directory } => {
            let network = Network::read(directory)?;
            outln!("{}", table(&network));
            Ok(())
        }
        Testnet::Stop { directory } => {
            let is_there = match Network::read(directory) {
                Ok(network) => {
                    stop(directory, &network);
                    true
                }
                // Without its file the processes themselves are looked for.
                Err(_) => {
                    let is_there = end_remains(directory);
                    let _ = std::fs::remove_file(directory.join(FILE));
                    is_there
                }
            };
            outln!(
                "{}",
                if is_there {
                    "stopped"
                } else {
                    "no test network is there"
                }
            );
            Ok(())
        }
        Testnet::Supervise {
            directory,
            seconds,
            started,
        } => {
            std::thread::sleep(Duration::from_secs(*seconds));
            let _claim = make::wait_for_claim(directory)?;
            let network = Network::read(directory)?;
            if network.started == *started {
                stop(directory, &network);
            }
            Ok(())
        }
    }
}

/// Ends what lives in a folder whose file is lost; says whether there was anything.
fn end_remains(directory: &Path) -> bool {
    let Ok(directory) = directory.canonicalize() else {
        return false;
    };
    let living = process::living_in(&directory);
    let all: Vec<_> = living
        .into_iter()
        .map(|pid| (pid, directory.clone()))
        .collect();
    process::end(&all, STOP);
    end_supervisors(&directory) || !all.is_empty()
}

fn start(nodes: usize, chain: &str, hours: f64, directory: &Path) -> anyhow::Result<()> {
    if nodes < NODES_MIN {
        bail!(
            "{nodes} nodes are too few: a node is Normal once it is connected to three others, so at least {NODES_MIN} are needed"
        );
    }
    if nodes > NODES_MAX {
        bail!("{nodes} nodes are too many for one machine; at most {NODES_MAX}");
    }
    if !["devnet", "local"].contains(&chain) {
        bail!("{chain:?}: a test network is on chain devnet or local");
    }
    if !(0.0..=8760.0).contains(&hours) {
        bail!("{hours} hours: a number from 0 (no end) to 8760");
    }
    let _claim = make::claim(directory)?;
    if let Ok(network) = Network::read(directory) {
        let alive = process::alive(&network);
        if !alive.is_empty() {
            bail!(
                "a test network is running in {} ({}, started {}); end it with `make testnet-stop`",
                directory.display(),
                alive.join(", "),
                network.started
            );
        }
    }
    if let Ok(folder) = directory.canonicalize() {
        let living = process::living_in(&folder);
        if !living.is_empty() {
            bail!(
                "processes of a test network are running in {} (pid {living:?}); end them with `make testnet-stop`",
                directory.display()
            );
        }
    }
    // What waits for the end of an earlier network has nothing to wait for any more.
    end_supervisors(directory);
    let begin = Instant::now();
    let seconds = Duration::try_from_secs_f64(hours * 3600.0)?.as_secs();
    let network = make::network(directory, nodes, chain, seconds).inspect_err(|_| {
        // Nobody would find what was started already.
        end_remains(directory);
    })?;
    eprintln!("{nodes} nodes and a miner are started; waiting until all are Normal");
    match wait_until_normal(&network, begin + PATIENCE) {
        Ok(()) => {}
        Err(e) => {
            stop(directory, &network);
            return Err(e);
        }
    }
    outln!("{}", table(&network));
    let took = begin.elapsed().as_secs_f64();
    outln!(
        "all nodes are Normal after {took:.1} s; the network ends: {}",
        network.ends
    );
    let folder = directory.display();
    let program = "target/release/bitmark-cli";
    outln!("\ntry:");
    outln!(
        "  {program} create --network {folder} --name \"My first title\" --fingerprint \"hello\" --wait"
    );
    outln!("  {program} peer watch --network {folder}");
    outln!("  {program} peer info --network {folder}");
    if let Some(node) = network.nodes.first() {
        outln!("\nlook at it: http://{}/", node.explorer);
    }
    Ok(())
}

fn wait_until_normal(network: &Network, end: Instant) -> anyhow::Result<()> {
    for node in &network.nodes {
        loop {
            let status = control::call(&node.control, &json!({"command": "status"}));
            if status.as_ref().is_ok_and(|s| s["mode"] == "Normal") {
                break;
            }
            if !process::is_alive(node.pid, &node.directory) {
                let output = node.directory.join(make::OUTPUT);
                bail!(
                    "node {} ended; more is in {} and {}; its last words:\n{}",
                    node.name,
                    node.log.display(),
                    output.display(),
                    last_lines(&output)
                );
            }
            if Instant::now() >= end {
                let seen = status.map_or_else(|e| e.to_string(), |s| s.to_string());
                bail!(
                    "node {} is not Normal after {} s: {seen}",
                    node.name,
                    PATIENCE.as_secs()
                );
            }
            // The control socket has no news: it is asked again.
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// The last lines of a file, indented.
fn last_lines(path: &Path) -> String {
    const LINES: usize = 5;
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LINES);
    let last = lines.get(first..).unwrap_or_default();
    if last.is_empty() {
        return "  (none)".to_owned();
    }
    format!("  {}", last.join("\n  "))
}

fn table(network: &Network) -> String {
    let mut lines = vec![format!(
        "{:6} {:>8} {:>12} {:>6} {:>8}  {:22} {:22} {}",
        "node", "height", "mode", "peers", "pid", "IPv4", "IPv6", "publishes at"
    )];
    for node in &network.nodes {
        let status = control::call(&node.control, &json!({"command": "status"}));
        let (height, mode, peers) = status.map_or_else(
            |_| ("-".to_owned(), "not running".to_owned(), "-".to_owned()),
            |s| {
                (
                    s["height"].to_string(),
                    s["mode"].as_str().unwrap_or("?").to_owned(),
                    s["upstreams"].to_string(),
                )
            },
        );
        lines.push(format!(
            "{:6} {height:>8} {mode:>12} {peers:>6} {:>8}  {:22} {:22} {}",
            node.name, node.pid, node.peer.ipv4, node.peer.ipv6, node.publish.ipv4
        ));
    }
    let miner = if process::is_alive(network.miner.pid, &network.miner.directory) {
        "mining"
    } else {
        "not running"
    };
    lines.push(format!(
        "{:6} {:>8} {miner:>12} {:>6} {:>8}",
        "miner", "", "", network.miner.pid
    ));
    lines.join("\n")
}

fn stop(directory: &Path, network: &Network) {
    let mut all: Vec<(u32, PathBuf)> = vec![(network.miner.pid, network.miner.directory.clone())];
    all.extend(network.nodes.iter().map(|n| (n.pid, n.directory.clone())));
    process::end(&all, STOP);
    end_supervisors(directory);
    let _ = std::fs::remove_file(directory.join(FILE));
}

/// Ends all that wait for the end of a network in this folder; says whether there were any.
fn end_supervisors(directory: &Path) -> bool {
    let Ok(directory) = directory.canonicalize() else {
        return false;
    };
    let all: Vec<_> = process::supervisors_of(&directory)
        .into_iter()
        .map(|pid| (pid, directory.clone()))
        .collect();
    process::end(&all, STOP);
    !all.is_empty()
}

fn write_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    atomic::replace(path, text.as_bytes(), 0o644).with_context(|| path.display().to_string())
}

/// A moment in words: UTC.
fn moment(seconds: u64) -> String {
    time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap_or(i64::MAX))
        .map_or_else(
            |_| "never".to_owned(),
            |t| {
                format!(
                    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                    t.year(),
                    u8::from(t.month()),
                    t.day(),
                    t.hour(),
                    t.minute(),
                    t.second()
                )
            },
        )
}

/// The same to the microsecond: no two networks are started in one.
fn precise_moment(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = moment(since.as_secs());
    let micros = since.subsec_micros();
    format!("{}.{micros:06}Z", seconds.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_program_are_a_few_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.txt");
        assert_eq!(last_lines(&path), "  (none)");
        std::fs::write(&path, "1\n2\n3\n4\n5\n6\n").unwrap();
        assert_eq!(last_lines(&path), "  2\n  3\n  4\n  5\n  6");
    }

    #[test]
    fn two_networks_of_a_second_have_different_moments() {
        let second = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let moments = [0, 1].map(|micros| precise_moment(second + Duration::from_micros(micros)));
        assert_eq!(
            moments,
            ["2001-09-09T01:46:40.000000Z", "2001-09-09T01:46:40.000001Z"]
        );
    }
}
