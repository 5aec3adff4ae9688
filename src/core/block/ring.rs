//! The ring of the most recent blocks (`proto/blocks.md`, section 11): the check values that proofs
//! for issues are tried with, and the digests that are asked for most.
//!
//! Bound: as many slots as the rule set says (20). Nothing is read from the store here; whoever
//! takes blocks off clears the ring and puts the blocks from [`Ring::refill_from`] on again.

use std::collections::VecDeque;

use super::BlockError;
use super::crc::{crc, pay_nonce};
use crate::core::chain::Chain;
use crate::core::id::{BlockDigest, PayNonce};

/// What the ring remembers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recent {
    /// Number of the block.
    pub number: u64,
    /// Its check value.
    pub crc: u64,
    /// Its digest.
    pub digest: BlockDigest,
}

/// The most recent blocks, oldest in front; always full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    genesis: Recent,
    slots: VecDeque<Recent>,
    candidates: usize,
    /// The number that the next block must have; any after a clear.
    due: Option<u64>,
}

impl Ring {
    /// Every slot holds genesis.
    #[must_use]
    pub fn new(chain: &Chain) -> Self {
        let genesis = Recent {
            number: 1,
            crc: chain.genesis_crc,
            digest: chain.genesis_digest,
        };
        Self {
            genesis,
            slots: vec![genesis; chain.rules.ring_slots.max(1)].into(),
            candidates: chain.rules.ring_candidates,
            due: None,
        }
    }

    /// Every slot holds genesis again; the next block put may have any number.
    pub fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| *slot = self.genesis);
        self.due = None;
    }

    /// The first block to put into a cleared ring when the chain has this height: block 2 up to a
    /// height of 21, later such that the slots are just filled.
    #[must_use]
    pub fn refill_from(&self, height: u64) -> u64 {
        let slots = self.slots.len() as u64;
        height.saturating_sub(slots - 1).max(2)
    }

    /// Puts the next block in the place of the oldest.
    ///
    /// # Errors
    /// [`BlockError::RingOrder`] when its number is not the next one, except right after a clear.
    pub fn put(
        &mut self,
        number: u64,
        packed_block: &[u8],
        digest: BlockDigest,
    ) -> Result<(), BlockError> {
        match self.due {
            Some(expected) if expected != number => {
                return Err(BlockError::RingOrder {
                    actual: number,
                    expected,
                });
            }
            _ => {}
        }
        self.slots.pop_front();
        self.slots.push_back(Recent {
            number,
            crc: crc(number, packed_block),
            digest,
        });
        self.due = Some(number.saturating_add(1));
        Ok(())
    }

    /// The newest block.
    #[must_use]
    pub fn newest(&self) -> Recent {
        self.slots.back().copied().unwrap_or(self.genesis)
    }

    /// The nonce that clients are given for a proof.
    #[must_use]
    pub fn latest(&self) -> PayNonce {
        pay_nonce(self.newest().crc)
    }

    /// The nonces that a proof is tried with, newest first. The oldest slot is never among them:
    /// a node that tried it would accept what its neighbours refuse.
    pub fn candidates(&self) -> impl Iterator<Item = PayNonce> + '_ {
        self.slots
            .iter()
            .rev()
            .take(self.candidates)
            .map(|recent| pay_nonce(recent.crc))
    }

    /// The digest of this block, if the ring has it.
    #[must_use]
    pub fn digest_of(&self, number: u64) -> Option<BlockDigest> {
        self.slots
            .iter()
            .rev()
            .find(|recent| recent.number == number)
            .map(|recent| recent.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chain::LOCAL;

    fn digest(number: u64) -> BlockDigest {
        BlockDigest([u8::try_from(number % 251).unwrap_or_default(); 32])
    }

    fn filled(from: u64, to: u64) -> Ring {
        let mut ring = Ring::new(&LOCAL);
        for number in from..=to {
            ring.put(number, &number.to_be_bytes(), digest(number))
                .unwrap();
        }
        ring
    }

    #[test]
    fn a_new_ring_offers_genesis_nineteen_times() {
        let ring = Ring::new(&LOCAL);
        let all: Vec<_> = ring.candidates().collect();
        assert_eq!(all, vec![pay_nonce(LOCAL.genesis_crc); 19]);
        assert_eq!(ring.digest_of(1), Some(LOCAL.genesis_digest));
        assert_eq!(ring.latest(), pay_nonce(LOCAL.genesis_crc));
    }

    #[test]
    fn the_oldest_slot_is_held_but_never_a_candidate() {
        let ring = filled(2, 30);
        assert_eq!(ring.candidates().count(), 19);
        assert_eq!(ring.digest_of(11), Some(digest(11)));
        let oldest = pay_nonce(crc(11, &11_u64.to_be_bytes()));
        assert!(!ring.candidates().any(|nonce| nonce == oldest));
        assert_eq!(ring.digest_of(10), None);
    }

    #[test]
    fn a_block_out_of_order_is_an_error_and_changes_nothing() {
        let mut ring = filled(2, 5);
        let before = ring.clone();
        let error = ring.put(7, b"", digest(7)).unwrap_err();
        assert_eq!(error.to_string(), "block number: actual: 7  expected: 6");
        assert_eq!(ring, before);
        ring.clear();
        assert_eq!(ring.put(7, b"", digest(7)), Ok(()));
    }

    #[test]
    fn a_refilled_ring_equals_one_that_saw_every_block() {
        for height in [1, 2, 20, 21, 22, 23, 40] {
            let whole = filled(2, height);
            let mut again = filled(2, 60);
            again.clear();
            for number in again.refill_from(height)..=height {
                again
                    .put(number, &number.to_be_bytes(), digest(number))
                    .unwrap();
            }
            assert_eq!(again, whole, "height {height}");
        }
        let ring = Ring::new(&LOCAL);
        assert_eq!([21, 22].map(|height| ring.refill_from(height)), [2, 3]);
    }
}
