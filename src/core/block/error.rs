//! Why a block is refused: one variant a rule, the text as the reference gives it
//! (`proto/blocks.md`, sections 2.1 and 8.1). Refusals only; a failing store is no error of a block.

use thiserror::Error;

use crate::core::record::RecordError;

/// A rule that a block breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlockError {
    /// Fewer than 100 bytes.
    #[error("invalid block header size")]
    HeaderSize,
    /// Version or number out of range.
    #[error("invalid block header version")]
    HeaderVersion,
    /// Too few or too many records claimed, or bytes left behind the last one.
    #[error("transaction count out of range")]
    TransactionCount,
    /// Too far ahead of the clock, or too far behind the parent.
    #[error("invalid block header timestamp")]
    HeaderTimestamp,
    /// A difficulty that is not a number, is out of range, or that the digest does not meet.
    #[error("invalid block header difficulty")]
    HeaderDifficulty,
    /// A header text that is not a header.
    #[error("invalid block header")]
    HeaderJson,
    /// The parent is not the tip, or the number is not the next one.
    #[error("previous block digest does not match")]
    PreviousDigest,
    /// The version went down.
    #[error("block version must not decrease")]
    VersionDecreased,
    /// An asset or issue that is stored already.
    #[error("transaction already exists")]
    AlreadyExists,
    /// What is transferred is not owned (any more) by the one who signs.
    #[error("double transfer attempt")]
    DoubleTransfer,
    /// The record that a transfer links to is not stored.
    #[error("link to invalid or unconfirmed transaction")]
    LinkUnknown,
    /// The record that a block owner transfer links to is not stored.
    #[error("invalid owner or registrant")]
    InvalidOwner,
    /// The records do not have the root that the header claims.
    #[error("Merkle Root Does Not Match")]
    MerkleRoot,
    /// No foundation or base record in front, or one further behind.
    #[error("missing block owner")]
    MissingOwner,
    /// A base record that names no address to pay to.
    #[error("invalid currency")]
    InvalidCurrency,
    /// A record that can not be read or is not valid.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No such block is stored.
    #[error("block not found")]
    NotFound,
    /// A block put in the ring out of order; the blank is doubled.
    #[error("block number: actual: {actual}  expected: {expected}")]
    RingOrder {
        /// The number put.
        actual: u64,
        /// The number that was due.
        expected: u64,
    },
    /// Fewer bytes than the salt of the digest needs; ours, the reference ends its process.
    #[error("block digest input is too short")]
    DigestInput,
}
