//! The processes of a test network. A process number that belongs to something else by now is left
//! alone: it must be one of our programs, with a configuration of the folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::client::network::Network;

/// The configuration file that a node or miner was started with; nothing for any other process.
fn config_of(pid: u32) -> Option<PathBuf> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = line
        .split(|byte| *byte == 0)
        .map(|word| Path::new(OsStr::from_bytes(word)));
    // What lowers the priority may stand before the program.
    let is_ours = |word: &Path| {
        let name = word.file_name();
        name.is_some_and(|name| name == "bitmarkd" || name == "recorderd")
    };
    words.by_ref().take(4).find(|word| is_ours(word))?;
    words.find(|word| *word == Path::new("--config-file"))?;
    words.next().map(Path::to_owned)
}

/// Whether a process lives and is a node or miner of this folder.
pub fn is_alive(pid: u32, directory: &Path) -> bool {
    let config = config_of(pid);
    !directory.as_os_str().is_empty() && config.is_some_and(|path| path.starts_with(directory))
}

/// The numbers of all nodes and miners of a folder and those in it.
pub fn living_in(directory: &Path) -> Vec<u32> {
    others().filter(|pid| is_alive(*pid, directory)).collect()
}

/// Whether a process lives and waits for the end of a network in this folder.
fn is_supervisor(pid: u32, directory: &Path) -> bool {
    let directory = directory.as_os_str().as_encoded_bytes();
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    words
        .windows(3)
        .any(|three| three == [b"testnet", &b"supervise"[..], directory])
}

/// The numbers of all processes that wait for the end of a network in this folder; not this one.
pub fn supervisors_of(directory: &Path) -> Vec<u32> {
    others()
        .filter(|pid| is_supervisor(*pid, directory))
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
    let living = || {
        all.iter()
            .filter(|(pid, folder)| is_alive(*pid, folder) || is_supervisor(*pid, folder))
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_that_names_the_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bitmarkd.toml");
        std::fs::write(&file, "").unwrap();
        let mut other = std::process::Command::new("tail")
            .arg("-f")
            .arg(&file)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Named like one of ours, as a shell's argument may be.
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 60; true", "bitmarkd --config-file"])
            .arg(&file)
            .spawn()
            .unwrap();
        let living = living_in(folder.path());
        for child in [&mut other, &mut shell] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(living, Vec::<u32>::new());
    }
}
