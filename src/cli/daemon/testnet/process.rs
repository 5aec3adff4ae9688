//! The processes of a test network. A process number that belongs to something else by now is left
//! alone: its command line must name the folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::client::network::Network;

/// Whether a process lives and is the one of this folder.
pub fn is_alive(pid: u32, directory: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let wanted = directory.as_os_str().as_encoded_bytes();
    !wanted.is_empty() && line.windows(wanted.len()).any(|part| part == wanted)
}

/// The numbers of all processes whose command line names something in a folder; not this one.
pub fn living_in(directory: &Path) -> Vec<u32> {
    let mut inside = directory.as_os_str().to_owned();
    inside.push("/");
    others()
        .filter(|pid| is_alive(*pid, Path::new(&inside)))
        .collect()
}

/// The numbers of all processes that wait for the end of a network in this folder; not this one.
pub fn supervisors_of(directory: &Path) -> Vec<u32> {
    let directory = directory.as_os_str().as_encoded_bytes();
    others()
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words
                .windows(3)
                .any(|three| three == [b"testnet", &b"supervise"[..], directory])
        })
        .collect()
}

/// The numbers of all processes but this one.
fn others() -> impl Iterator<Item = u32> {
    let own = std::process::id();
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own)
}

/// The names of what lives of a network.
pub fn alive(network: &Network) -> Vec<String> {
    let nodes = network
        .nodes
        .iter()
        .filter(|node| is_alive(node.pid, &node.directory))
        .map(|node| format!("{} pid {}", node.name, node.pid));
    let miner = is_alive(network.miner.pid, &network.miner.directory)
        .then(|| format!("miner pid {}", network.miner.pid));
    nodes.chain(miner).collect()
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Asks all to end, waits, and then makes them.
pub fn end(all: &[(u32, PathBuf)], patience: Duration) {
    let living = || all.iter().filter(|(pid, folder)| is_alive(*pid, folder));
    for (pid, _) in living() {
        signal(*pid, Signal::TERM);
    }
    let end = Instant::now() + patience;
    while living().next().is_some() && Instant::now() < end {
        // Not our children: there is nothing to wait on.
        std::thread::sleep(Duration::from_millis(20));
    }
    for (pid, _) in living() {
        signal(*pid, Signal::KILL);
    }
}
