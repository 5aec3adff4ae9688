//! Ports for nodes that are started, ended and started again: each is chosen below the range from
//! which the system takes ports for outgoing connections, and claimed in a file, so that nothing
//! else takes it while its node is down. Never opens a port to others.

use std::fs::File;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use rand::Rng as _;

/// Where ports are chosen, if the system takes none of these for outgoing connections.
const WANTED: Range<u16> = 10_000..32_768;
/// A range with fewer ports than this is too small to choose in.
const FEWEST: u16 = 1_000;
/// Ports looked at before giving up.
const TRIES: usize = 1_000;

/// Ports that are free. They are bound until [`Ports::release`], and claimed while this lives: no
/// other `Ports` of the same user chooses them.
#[derive(Debug, Default)]
pub struct Ports {
    bound: Vec<TcpListener>,
    claims: Vec<File>,
}

impl Ports {
    /// A free port of a host.
    ///
    /// # Errors
    /// The host has none, or is no address of this machine.
    pub fn take(&mut self, host: &str) -> anyhow::Result<u16> {
        TcpListener::bind((host, 0)).with_context(|| {
            format!("no port on {host}: a test network needs IPv4 and IPv6 on loopback")
        })?;
        let folder = claims_folder()?;
        let range = range();
        for _ in 0..TRIES {
            let port = rand::thread_rng().gen_range(range.clone());
            let name = folder.join(port.to_string());
            let claim = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&name)
                .with_context(|| name.display().to_string())?;
            if claim.try_lock().is_err() {
                continue;
            }
            if let Ok(listener) = TcpListener::bind((host, port)) {
                self.bound.push(listener);
                self.claims.push(claim);
                return Ok(port);
            }
        }
        bail!(
            "no free port on {host} among {}..{}",
            range.start,
            range.end
        )
    }

    /// Lets the nodes bind them; the claims stay.
    pub fn release(&mut self) {
        self.bound.clear();
    }
}

/// Where the claims of this user are.
fn claims_folder() -> anyhow::Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("bitmarkd-ports-{user}"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| folder.display().to_string())?;
    // Everybody may make it under this name.
    let there = std::fs::symlink_metadata(&folder)?;
    if !there.is_dir() || there.uid() != user || there.mode() & 0o022 != 0 {
        bail!(
            "{}: this is not a folder that you alone can write to; remove it, or set TMPDIR",
            folder.display()
        );
    }
    Ok(folder)
}

fn range() -> Range<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let outgoing = text
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok());
    below(outgoing.unwrap_or(WANTED.end))
}

/// The ports below the first that outgoing connections take; if these are too few, all that need
/// no privilege.
fn below(outgoing: u16) -> Range<u16> {
    let end = WANTED.end.min(outgoing);
    if end >= WANTED.start + FEWEST {
        WANTED.start..end
    } else {
        WANTED.start..u16::MAX
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_port_stays_claimed_after_it_is_released() {
        let mut ports = Ports::default();
        let port = ports.take("127.0.0.1").unwrap();
        assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
        ports.release();
        drop(TcpListener::bind(("127.0.0.1", port)).unwrap());
        let name = claims_folder().unwrap().join(port.to_string());
        assert!(File::open(&name).unwrap().try_lock().is_err());
        drop(ports);
        // A process that is just being started has the file too, for a moment.
        let end = Instant::now() + Duration::from_secs(10);
        while File::open(&name).unwrap().try_lock().is_err() {
            assert!(Instant::now() < end, "the claim is not given back");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_strange_host_is_refused_with_the_reason() {
        let error = Ports::default().take("192.0.2.1").unwrap_err();
        assert!(error.to_string().contains("IPv4 and IPv6"), "{error}");
    }

    #[test]
    fn ports_lie_below_those_of_outgoing_connections_if_there_are_enough() {
        assert_eq!(below(32_768), 10_000..32_768);
        assert_eq!(below(20_000), 10_000..20_000);
        assert_eq!(below(1_024), 10_000..u16::MAX);
    }
}
