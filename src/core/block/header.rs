//! The header of a block: 100 bytes, its JSON form, and the checks that need neither the stored
//! state nor a digest (`proto/blocks.md`, sections 2 and 2.1).
//!
//! Invariant: [`Header::check`] spends nothing, so it runs before a digest is computed.

use serde_json::{Value, json};

use super::BlockError;
use super::difficulty::{self, Compact, Target};
use crate::core::chain::Chain;
use crate::core::id::{BlockDigest, TxId};
use crate::core::time::UnixSeconds;

/// Length of a packed header.
pub const HEADER_BYTES: usize = 100;

/// The first 100 bytes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Version of the block.
    pub version: u16,
    /// How many records follow.
    pub transaction_count: u16,
    /// Height.
    pub number: u64,
    /// Digest of the parent.
    pub previous_block: BlockDigest,
    /// Root of the tree over the records' ids.
    pub merkle_root: TxId,
    /// Seconds since 1970 UTC.
    pub timestamp: UnixSeconds,
    /// Difficulty that the digest meets.
    pub difficulty: Compact,
    /// What makes the digest small.
    pub nonce: u64,
}

impl Header {
    /// Reads the header in front of `packed`; hands back what follows it.
    ///
    /// # Errors
    /// [`BlockError::HeaderSize`] with fewer than 100 bytes. Nothing else is checked.
    pub fn unpack(packed: &[u8]) -> Result<(Self, &[u8]), BlockError> {
        let (head, rest) = packed
            .split_at_checked(HEADER_BYTES)
            .ok_or(BlockError::HeaderSize)?;
        let header = Self::read(head).ok_or(BlockError::HeaderSize)?;
        Ok((header, rest))
    }

    fn read(mut from: &[u8]) -> Option<Self> {
        let from = &mut from;
        Some(Self {
            version: u16::from_le_bytes(array(from)?),
            transaction_count: u16::from_le_bytes(array(from)?),
            number: u64::from_le_bytes(array(from)?),
            previous_block: BlockDigest(array(from)?),
            merkle_root: TxId(array(from)?),
            timestamp: u64::from_le_bytes(array(from)?),
            difficulty: Compact(u64::from_le_bytes(array(from)?)),
            nonce: u64::from_le_bytes(array(from)?),
        })
    }

    /// The 100 bytes.
    #[must_use]
    pub fn pack(&self) -> [u8; HEADER_BYTES] {
        let fields: [&[u8]; 8] = [
            &self.version.to_le_bytes(),
            &self.transaction_count.to_le_bytes(),
            &self.number.to_le_bytes(),
            &self.previous_block.0,
            &self.merkle_root.0,
            &self.timestamp.to_le_bytes(),
            &self.difficulty.0.to_le_bytes(),
            &self.nonce.to_le_bytes(),
        ];
        let mut packed = [0; HEADER_BYTES];
        let bytes = fields.into_iter().flatten();
        for (at, byte) in packed.iter_mut().zip(bytes) {
            *at = *byte;
        }
        packed
    }

    /// The checks before the digest, in the order of section 2.1: version and number, count of
    /// records, time stamp, exponent and range of the difficulty.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, chain: &Chain, now_wall: UnixSeconds) -> Result<(), BlockError> {
        let rules = &chain.rules;
        let is_genesis_form = self.number == 1 && self.transaction_count == 1 && self.version == 1;
        if !is_genesis_form {
            let versions = rules.block_version_min..=rules.block_version_max;
            if !versions.contains(&self.version) || self.number < rules.block_number_min {
                return Err(BlockError::HeaderVersion);
            }
            let counts = rules.transactions_min..=rules.transactions_max;
            if !counts.contains(&self.transaction_count) {
                return Err(BlockError::TransactionCount);
            }
        }
        if self.timestamp > now_wall.saturating_add(rules.ahead_of_clock_s) {
            return Err(BlockError::HeaderTimestamp);
        }
        let in_range = difficulty::in_range(
            rules.difficulty,
            self.difficulty,
            rules.difficulty_tolerance,
        );
        if in_range {
            Ok(())
        } else {
            Err(BlockError::HeaderDifficulty)
        }
    }

    /// Whether the digest meets the difficulty that the header claims.
    #[must_use]
    pub fn proves(&self, digest: &BlockDigest) -> bool {
        self.difficulty
            .target()
            .is_some_and(|target| Target::of_digest(digest) <= target)
    }

    /// The JSON form, members in order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "version": self.version,
            "transactionCount": self.transaction_count,
            "number": self.number.to_string(),
            "previousBlock": hex::encode(self.previous_block.0),
            "merkleRoot": hex::encode(self.merkle_root.0),
            "timestamp": self.timestamp.to_string(),
            "difficulty": self.difficulty.to_json(),
            "nonce": hex::encode(self.nonce.to_le_bytes()),
        })
    }

    /// Reads the JSON form. Every member must be there, digests with exactly 64 hex digits,
    /// difficulty and nonce with exactly 16; further members are passed over.
    ///
    /// # Errors
    /// [`BlockError::HeaderJson`].
    pub fn from_json(value: &Value) -> Result<Self, BlockError> {
        Self::members(value).ok_or(BlockError::HeaderJson)
    }

    fn members(value: &Value) -> Option<Self> {
        let short = |name| u16::try_from(value.get(name)?.as_u64()?).ok();
        let text = |name| value.get(name).and_then(Value::as_str);
        Some(Self {
            version: short("version")?,
            transaction_count: short("transactionCount")?,
            number: decimal(text("number")?)?,
            previous_block: BlockDigest(unhex(text("previousBlock")?)?),
            merkle_root: TxId(unhex(text("merkleRoot")?)?),
            timestamp: decimal(text("timestamp")?)?,
            difficulty: Compact::from_json(text("difficulty")?)?,
            nonce: u64::from_le_bytes(unhex(text("nonce")?)?),
        })
    }
}

/// The next `N` bytes.
fn array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*bytes)
}

/// Exactly `N` bytes of hex.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// A number of digits only: no sign.
fn decimal(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests;
