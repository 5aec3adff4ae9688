//! Blocks that came with their digests from elsewhere, all at once: how far those digests have been
//! computed, and what is looked at beside them.
//!
//! What is looked at of a block: that it follows the one below, that its records are those which its
//! header names, that its difficulty is one, that its digest is the stored one and meets that
//! difficulty. Signatures and indexes are not: whoever wants that has the indexes built again.

use super::{LedgerError, keys, read, validate};
use crate::core::block::Header;
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::state::{Batch, Pool, StoreFault, View};
use crate::core::time::UnixSeconds;

/// Name of the entry in [`Pool::Meta`].
const MARK: &[u8] = b"digests-to-check";
const VERSION: u8 = 1;

/// How far the digests are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// All up to this block are right.
    pub verified: u64,
    /// Those above it up to this one were taken as they came.
    pub until: u64,
}

/// What is known of a block before its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// This header's digest has to be this one.
    Digest(Box<Header>, BlockDigest),
    /// Something else is wrong already.
    Bad(String),
}

impl Checked {
    /// Nothing but genesis is known of a chain of this height.
    #[must_use]
    pub const fn nothing_of(height: u64) -> Self {
        Self {
            verified: 1,
            until: height,
        }
    }

    /// What is known at this height when blocks come above it with digests that are taken as they
    /// come: as much as before, so `before` is what the store said until then. [`Checked::until`] is
    /// raised with each of those blocks.
    #[must_use]
    pub fn below_trusted(before: Option<Self>, height: u64) -> Self {
        Self {
            verified: before.map_or(height, |checked| checked.verified.min(height)),
            until: height,
        }
    }

    /// What the store says; nothing where every digest was computed.
    ///
    /// # Errors
    /// A fault of the store. What cannot be read counts as nothing checked.
    pub fn load(view: &dyn View, height: u64) -> Result<Option<Self>, StoreFault> {
        let Some(value) = view.get(Pool::Meta, MARK)? else {
            return Ok(None);
        };
        let mut checked = Self::unpack(&value).unwrap_or(Self::nothing_of(height));
        checked.clamp(height);
        Ok(checked.is_open().then_some(checked))
    }

    fn unpack(value: &[u8]) -> Option<Self> {
        let (version, rest) = value.split_first()?;
        let (verified, until) = rest.split_at_checked(8)?;
        let checked = Self {
            verified: keys::number(verified)?,
            until: keys::number(until)?,
        };
        (*version == VERSION && checked.verified >= 1).then_some(checked)
    }

    /// What stores it; takes the entry away when nothing is left to do.
    #[must_use]
    pub fn batch(self) -> Batch {
        let mut batch = Batch::new();
        if self.is_open() {
            let mut value = vec![VERSION];
            value.extend_from_slice(&self.verified.to_be_bytes());
            value.extend_from_slice(&self.until.to_be_bytes());
            batch.put(Pool::Meta, MARK, value);
        } else {
            batch.delete(Pool::Meta, MARK);
        }
        batch
    }

    /// Whether there is something to do.
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.verified < self.until
    }

    /// Blocks above this one went off; those that came in their place were checked as they came.
    pub fn clamp(&mut self, height: u64) {
        self.until = self.until.min(height);
        self.verified = self.verified.min(self.until).max(1);
    }

    /// Looks at the next block, as far as that costs no digest.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn look(self, chain: &Chain, view: &dyn View) -> Result<Look, StoreFault> {
        let number = self.verified.saturating_add(1);
        let bad = |why: &str| Ok(Look::Bad(why.to_owned()));
        let Some(packed) = read::block(view, number)? else {
            return bad("it is missing");
        };
        let Some(digest) = read::digest(view, number)? else {
            return bad("its digest is missing");
        };
        let below = if number <= 2 {
            Some(chain.genesis_digest)
        } else {
            read::digest(view, self.verified)?
        };
        let Ok((header, _)) = Header::unpack(&packed) else {
            return bad("it has no header");
        };
        if header.number != number {
            return bad("it has another number");
        }
        if Some(header.previous_block) != below {
            let below = below.unwrap_or_default();
            return Ok(Look::Bad(format!(
                "it follows {}, and the block below it has {}",
                header.previous_block.display(),
                below.display()
            )));
        }
        // Whatever this machine's clock says: no chain goes because a clock was set back.
        if let Err(error) = header.check(chain, UnixSeconds::MAX) {
            return bad(&error.to_string());
        }
        match validate::records_of_header(chain, &packed, &header) {
            Ok(()) => Ok(Look::Digest(Box::new(header), digest)),
            Err(LedgerError::Store(fault)) => Err(fault),
            Err(error) => bad(&error.to_string()),
        }
    }
}

/// What is wrong with a digest, if anything is.
#[must_use]
pub fn fault_of(header: &Header, stored: &BlockDigest, computed: &BlockDigest) -> Option<String> {
    if stored != computed {
        return Some(format!(
            "its digest is stored as {} and is {}",
            stored.display(),
            computed.display()
        ));
    }
    (!header.proves(computed)).then(|| {
        format!(
            "its digest {} does not meet its difficulty",
            computed.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::state::MemoryStore;

    #[test]
    fn progress_is_kept_and_goes_when_all_is_checked() {
        let mut store = MemoryStore::new();
        assert_eq!(Checked::load(&store, 9).unwrap(), None);
        let checked = Checked {
            verified: 4,
            until: 9,
        };
        store.apply(&checked.batch());
        assert_eq!(Checked::load(&store, 9).unwrap(), Some(checked));
        // The chain went down and up again meanwhile: what came then was checked.
        let lower = Checked::load(&store, 6).unwrap().unwrap();
        assert_eq!((lower.verified, lower.until), (4, 6));
        assert_eq!(Checked::load(&store, 4).unwrap(), None);
        let done = Checked {
            verified: 9,
            until: 9,
        };
        store.apply(&done.batch());
        assert_eq!(store, MemoryStore::new());
    }

    #[test]
    fn what_comes_trusted_above_leaves_known_below_what_was_known() {
        let all = Checked::below_trusted(None, 7);
        assert_eq!((all.verified, all.until), (7, 7));
        let some = Checked {
            verified: 4,
            until: 6,
        };
        let known = Checked::below_trusted(Some(some), 7);
        assert_eq!((known.verified, known.until), (4, 7));
        let lower = Checked::below_trusted(Some(some), 3);
        assert_eq!((lower.verified, lower.until), (3, 3));
    }

    #[test]
    fn an_entry_that_cannot_be_read_has_everything_checked_again() {
        let mut store = MemoryStore::new();
        for value in [&[][..], &[2; 17], &[1; 16], &[1, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let mut batch = Batch::new();
            batch.put(Pool::Meta, MARK, value);
            store.apply(&batch);
            let loaded = Checked::load(&store, 7).unwrap();
            assert_eq!(loaded, Some(Checked::nothing_of(7)), "{value:?}");
        }
    }
}
