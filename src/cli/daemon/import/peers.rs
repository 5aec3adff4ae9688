//! The other node's file of peers (`proto/rpc.md`, section 9) into ours; what ours holds already
//! stays, the later entry of each peer counts.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Line;
use super::keys::is_same_file;
use super::pending::read;
use crate::core::announce::peer_file::{self, Item};
use crate::shell::files::atomic;
use crate::shell::files::config::Config;

/// Bytes of a file that is read: many times what the most entries take.
const BYTES_MAX: u64 = 64 << 20;

/// What is to be written.
#[derive(Debug)]
pub(super) struct Plan {
    target: PathBuf,
    taken: Vec<Item>,
    useless: usize,
    /// The file that is there.
    present: Vec<Item>,
    is_in_place: bool,
}

impl Plan {
    pub(super) fn make(source: &Path, config: &Config) -> anyhow::Result<Self> {
        let target = config.peer_file.clone().unwrap_or_default();
        let bytes = read(source, BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        let (taken, faults) = peer_file::read(&text);
        if taken.is_empty() && faults.is_empty() && text.trim() != "[]" {
            bail!("{}: this is no file of peers", source.display());
        }
        let present = match std::fs::read_to_string(&target) {
            Ok(text) => peer_file::read(&text).0,
            Err(_) => Vec::new(),
        };
        Ok(Self {
            is_in_place: is_same_file(source, &target),
            target,
            taken,
            useless: faults.len(),
            present,
        })
    }

    pub(super) fn write(self) -> anyhow::Result<Line> {
        let mut line = format!("{} taken, {} of no use", self.taken.len(), self.useless);
        if self.is_in_place {
            line.push_str("; the file is in its place already");
        } else {
            let all = [self.taken, self.present].concat();
            let (text, count) = peer_file::of_items(all);
            atomic::replace(&self.target, text.as_bytes(), 0o600)
                .with_context(|| self.target.display().to_string())?;
            line.push_str(&format!("; {count} are in {}", self.target.display()));
        }
        Ok(("peers", line))
    }
}
