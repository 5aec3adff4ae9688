//! Taking a snapshot of a store, which may go on changing meanwhile.

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::ledger::checked::Checked;
use crate::core::ledger::{Rebuild, keys};
use crate::core::snapshot::{UNDO_BLOCKS, Writer};
use crate::core::state::Pool;
use crate::shell::store::{Frozen, Store};

/// A snapshot on its way out.
#[derive(Debug)]
pub struct Taking {
    frozen: Frozen,
    writer: Option<Writer>,
    out: Vec<u8>,
    chain: &'static Chain,
    height: u64,
    digest: BlockDigest,
    verified: u64,
}

impl Taking {
    /// Holds fast what the store is now.
    ///
    /// # Errors
    /// There is no block, another snapshot is being taken, or the store is not whole.
    pub fn begin(store: &Store, chain: &'static Chain) -> anyhow::Result<Self> {
        // Before, since blocks may go meanwhile: less is told than is checked, never more.
        let checked = Checked::load(store, u64::MAX)?;
        let frozen = store.freeze()?;
        let frozen =
            frozen.context("another snapshot is being taken; try again when it is done")?;
        // After: what began before is in it, and what begins later is not.
        ensure!(
            !Rebuild::is_due(store)?,
            "the indexes are not whole; `bitmarkd rebuild` builds them"
        );
        let Some((number, digest)) = frozen.top() else {
            bail!("there is no block to take a snapshot of");
        };
        let height = keys::number(number).context("a block without a number")?;
        let digest = BlockDigest::from_bytes(digest)
            .ok()
            .with_context(|| format!("the digest of block {height} is missing"))?;
        let verified = checked.map_or(height, |checked| checked.verified.min(height));
        let mut out = Vec::new();
        Ok(Self {
            frozen,
            writer: Some(Writer::new(chain.name, height, digest, &mut out)),
            out,
            chain,
            height,
            digest,
            verified,
        })
    }

    /// The block it is of.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.height
    }

    /// What it is of, and up to which block its digests were computed here.
    #[must_use]
    pub fn facts(&self) -> Value {
        json!({
            "chain": self.chain.name,
            "height": self.height,
            "digest": self.digest,
            "verifiedHeight": self.verified,
        })
    }

    /// The next bytes of the file; none at its end.
    ///
    /// # Errors
    /// A fault of the disk, or too much changed meanwhile.
    pub fn bytes(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        while self.out.is_empty() {
            let Some(mut writer) = self.writer.take() else {
                return Ok(None);
            };
            let piece = self.frozen.piece()?;
            if piece.is_empty() {
                writer.finish(&mut self.out);
                break;
            }
            for (pool, (key, value)) in piece {
                if is_wanted(pool, &key, self.height) {
                    writer.entry(pool, &key, &value, &mut self.out)?;
                }
            }
            self.writer = Some(writer);
        }
        Ok(Some(std::mem::take(&mut self.out)))
    }
}

/// Undo data far down is there or not by what the node went through: the chain does not say.
fn is_wanted(pool: Pool, key: &[u8], height: u64) -> bool {
    pool != Pool::Undo
        || keys::number(key).is_some_and(|number| number.saturating_add(UNDO_BLOCKS) > height)
}
