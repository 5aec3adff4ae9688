//! The other node's file of pending records (`proto/reservoir.md`, section 12) into the pools of our
//! store, where the next start finds them. What the pools refuse is told and counted.

use std::path::Path;

use anyhow::Context as _;

use super::super::Tell;
use super::super::blocks::{Growing, wall};
use super::Line;
use crate::core::reservoir::file::CacheFile;
use crate::core::reservoir::{Confirmed, Effect, Reservoir, Timing};
use crate::core::state::Batch;
use crate::core::time::Now;
use crate::node::caps;
use crate::shell::files::bounded;
use crate::shell::files::config::Config;

/// Bytes of a file that is read: more than the pools hold.
const BYTES_MAX: u64 = 512 << 20;

/// The whole file of records.
pub(super) fn bytes_of(path: &Path) -> anyhow::Result<Vec<u8>> {
    read(path, BYTES_MAX)
}

/// What the other node or ours wrote, with its name where it cannot be read.
pub(super) fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    bounded::read(path, most).with_context(|| path.display().to_string())
}

/// The line for the table, and what is wrong.
pub(super) fn take(
    growing: &Growing,
    config: &Config,
    bytes: &[u8],
    tell: Tell,
) -> anyhow::Result<(Line, Option<String>)> {
    let confirmed = Confirmed {
        view: &growing.store,
        ledger: &growing.ledger,
    };
    let now = Now {
        mono: 0,
        wall: wall(),
    };
    let mut effects = Vec::new();
    let mut pools = Reservoir::load(
        caps(config),
        Timing::default(),
        now,
        &confirmed,
        &mut effects,
    )?;
    let mut file = CacheFile::default();
    let read = file.restore(Some(bytes), now, &mut pools, &confirmed, &mut effects);
    let mut batch = Batch::new();
    let mut texts = Vec::new();
    for effect in effects {
        match effect {
            Effect::Persist(changes) => batch.extend(changes),
            Effect::Log(text) => texts.push(text),
            Effect::Fault(fault) => return Err(fault.into()),
            _ => {}
        }
    }
    growing.store.apply(&batch)?;
    growing.store.flush()?;
    if !tell.quiet {
        for text in &texts {
            eprintln!("bitmarkd: {text}");
        }
    }
    let counts = file.counts();
    let sizes = pools.sizes();
    let line = format!(
        "{} assets, sets and transfers taken, {} were there, {} passed over; the pools hold {} records that wait for a payment and {} for a block",
        counts.taken, counts.present, counts.refused, sizes.unverified_tx_index, sizes.verified_tx
    );
    let problem = read.err().map(|error| {
        format!("the file of pending records is damaged: {error}; what stood before is taken")
    });
    Ok((("pending", line), problem))
}
