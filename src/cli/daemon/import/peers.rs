//! The other node's file of peers (`proto/rpc.md`, section 9) into ours; what ours holds already
//! stays, the later entry of each peer counts. A file of ours that can not be read is never replaced.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Line;
use super::keys::is_same_file;
use super::pending::read;
use crate::core::announce::peer_file::{self, Contents, Item};
use crate::shell::files::atomic;
use crate::shell::files::config::Config;

/// Bytes of a file that is read: many times what the most entries take.
const BYTES_MAX: u64 = 64 << 20;

/// What is to be written.
#[derive(Debug)]
pub(super) struct Plan {
    target: PathBuf,
    taken: Contents,
    /// The file that is there.
    present: Vec<Item>,
    is_in_place: bool,
}

impl Plan {
    pub(super) fn make(source: &Path, config: &Config) -> anyhow::Result<Self> {
        let Some(target) = config.peer_file.clone() else {
            bail!("the configuration names no peer_file");
        };
        let taken = contents(&read(source, BYTES_MAX)?);
        let taken =
            taken.with_context(|| format!("{}: this is no file of peers", source.display()))?;
        let is_in_place = is_same_file(source, &target);
        let name = || target.display().to_string();
        let present = match target.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            _ => {
                let present = contents(&read(&target, BYTES_MAX)?).with_context(|| {
                    format!(
                        "{}: our own file of peers is damaged; move it away to do without it",
                        name()
                    )
                })?;
                present.items
            }
        };
        if !is_in_place {
            atomic::probe(&target).with_context(name)?;
        }
        Ok(Self {
            is_in_place,
            target,
            taken,
            present,
        })
    }

    pub(super) fn write(self) -> anyhow::Result<Line> {
        let mut line = format!(
            "{} taken, {} of no use",
            self.taken.items.len(),
            self.taken.faults.len()
        );
        if self.taken.beyond > 0 {
            line.push_str(&format!(", {} too many", self.taken.beyond));
        }
        if self.is_in_place {
            line.push_str("; the file is in its place already");
        } else {
            let merged = peer_file::merge(self.present, self.taken.items);
            atomic::replace(&self.target, merged.text.as_bytes(), 0o600)
                .with_context(|| self.target.display().to_string())?;
            let (kept, target) = (merged.kept, self.target.display());
            line.push_str(&format!("; {kept} are in {target}"));
            if merged.left_out > 0 {
                line.push_str(&format!(", {} found no room there", merged.left_out));
            }
        }
        Ok(("peers", line))
    }
}

fn contents(bytes: &[u8]) -> Option<Contents> {
    peer_file::contents(&String::from_utf8_lossy(bytes))
}
