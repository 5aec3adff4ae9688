//! Proofs of title (`proto/title.md`): the records of a bitmark from its asset to its present
//! owner, each with its place in a block, and the headers of those blocks in an unbroken row.
//!
//! A title is read and checked in two parts: everything that costs nothing ([`read`]), then the
//! digests of headers ([`Sound::work`]), which cost half a second each on the reference's chains
//! and which the caller computes, on as many threads as it likes. Nothing here asks a node.
//!
//! Bounds: [`TEXT_MAX`], [`HEADERS_MAX`], [`RECORDS_MAX`], [`RECORD_BYTES_MAX`].

mod check;
mod error;
mod make;
mod pieces;
mod text;
mod work;

#[cfg(test)]
mod tests;

pub use check::{Says, Sound};
pub use error::TitleError;
pub use make::{Made, MakeError, Place, assemble, make, split};
pub use pieces::{Ask, BLOCKS_MAX, BYTES_MAX, Making, Piece, Step, answer};
pub use text::read;
pub use work::{Known, Task, verify};

use serde::{Deserialize, Serialize};

use super::block::HEADER_BYTES;
use super::chain::Chain;
use super::id::{BlockDigest, TxId};

/// What a title begins with.
pub const FORMAT: &str = "bitmark-title-1";
/// Longest text of a title, in bytes.
pub const TEXT_MAX: usize = 64 << 20;
/// Most headers: at a block in two minutes those of a year.
pub const HEADERS_MAX: usize = 262_144;
/// Most records: the asset, the issue and the transfers.
pub const RECORDS_MAX: usize = 4_096;
/// Longest record: seven fields of 8192 bytes and what is around them.
pub const RECORD_BYTES_MAX: usize = 65_536;

/// A title as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Title {
    /// The chain.
    pub chain: &'static Chain,
    /// From the asset, or from the foundation of a block, to the newest transfer.
    pub records: Vec<Entry>,
    /// The number of the first header.
    pub first: u64,
    /// Headers without a gap.
    pub headers: Vec<[u8; HEADER_BYTES]>,
    /// The digest of the last one; those of the others stand in the header behind each.
    pub digest: BlockDigest,
}

/// A record in its block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The block's number.
    pub block: u64,
    /// Which of the block's records.
    pub index: u16,
    /// The record as it stands there.
    pub packed: Vec<u8>,
    /// The way to the root of the block's tree.
    pub path: Vec<TxId>,
}
