//! The digest of the highest block, where it was taken from a header that nobody has believed yet:
//! it is computed, and the block stands with the right one or goes. Decides alone; a shell stores
//! what changed.

use super::{Ledger, LedgerError, read};
use crate::core::block::{DigestMemory, Header, digest};
use crate::core::state::{Batch, Overlay, View};
use crate::core::time::UnixSeconds;

impl Ledger {
    /// Computes the digest of the highest block. Nothing if it is the stored one; else what
    /// changes: the block is there with the right digest, or, where a rule refuses it with that,
    /// it is gone, and the one below may have to be settled, too.
    ///
    /// # Errors
    /// A fault of the store, or one that contradicts itself.
    pub fn settle_top(
        &mut self,
        view: &dyn View,
        now_wall: UnixSeconds,
        memory: &mut DigestMemory,
    ) -> Result<Option<Batch>, LedgerError> {
        let number = self.height();
        if number < 2 {
            return Ok(None);
        }
        let packed = read::block(view, number)?
            .ok_or_else(|| LedgerError::Damaged(format!("block {number} is missing")))?;
        let (header, _) = Header::unpack(&packed)?;
        let right = digest(&self.chain().digest, &header.pack(), memory);
        if right == self.tip().digest {
            return Ok(None);
        }
        let undone = self.undo_top(view)?;
        let mut trial = Overlay::with(view, undone.batch);
        match self.apply(&trial, &packed, right, now_wall) {
            Ok(applied) => trial.extend(applied.batch),
            Err(LedgerError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(Some(trial.into_batch()))
    }
}
