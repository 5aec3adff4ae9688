//! Snapshots: a chain with its digests and indexes in one file, from which a node serves at once.
//!
//! A file is a head, chunks of entries, a manifest that names every chunk by its SHA3-256, and an
//! end. The hash of the manifest commits to everything: who trusts it may take the entries as they
//! are. What is in the file follows from the chain alone, so two nodes at one block write the same
//! bytes. Nothing here reads a file: bytes are handed in piece by piece, each bounded.
//!
//! | part | what it does |
//! | --- | --- |
//! | `manifest.rs` | chain, height, digest, and the chunks of each pool; its bytes, its hash |
//! | `write.rs` | entries in, bytes of the file out |
//! | `frames.rs` | the frames of a file, from the first byte to the last |
//! | `read.rs` | a chunk against its manifest; the entries in it |
//! | `sign.rs` | signatures of a manifest's hash, in a text of their own |

mod frames;
mod manifest;
mod read;
mod sign;
mod write;

#[cfg(test)]
mod tests;

use thiserror::Error;

use super::state::Pool;

pub use frames::{FRAME_BYTES, Frames, HEAD_BYTES, Kind};
pub use manifest::{ChunkOf, MANIFEST_BYTES_MAX, Manifest, ManifestHash, Section};
pub use read::{Reader, read_whole};
pub use sign::{SIGNATURES_MAX, Signature, Signatures};
pub use write::Writer;

/// What every file begins with.
pub const MAGIC: [u8; 8] = *b"BMKsnap\n";
/// The version of the format.
pub const VERSION: u16 = 1;
/// A chunk is closed before an entry would make it longer than this.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Longest chunk: one entry may be alone in it.
pub const CHUNK_BYTES_MAX: usize = 16 << 20;
/// For how many of the highest blocks it holds what takes them off again: more than fork protection
/// lets anybody take off. A node keeps more; how many more depends on what it went through.
pub const UNDO_BLOCKS: u64 = 64;

/// The pools of a snapshot, in the order of their sections: that of their prefixes on disk.
pub const POOLS: [Pool; 10] = [
    Pool::Assets,
    Pool::Blocks,
    Pool::OwnerDigest,
    Pool::BlockOwnerPayment,
    Pool::BlockOwnerTxIndex,
    Pool::Ownership,
    Pool::OwnerCount,
    Pool::Transactions,
    Pool::BlockDigest,
    Pool::Undo,
];

/// What is wrong with a snapshot. Nothing of it may be taken then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// It begins with something else.
    #[error("this is no snapshot")]
    NoSnapshot,
    /// A newer program wrote it.
    #[error(
        "the snapshot has format {0}, this program knows {VERSION}; use the program that made it"
    )]
    Version(u16),
    /// It ends too early.
    #[error("the snapshot is cut off: it ends at byte {0}")]
    CutOff(u64),
    /// There is something behind its end.
    #[error("the snapshot ends at byte {0}, and something else follows")]
    Trailing(u64),
    /// No frame of a snapshot begins like this.
    #[error("the snapshot is damaged at byte {at}: {why}")]
    Frame {
        /// Where the frame begins.
        at: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The manifest cannot be read.
    #[error("the manifest is damaged: {0}")]
    Manifest(&'static str),
    /// A chunk is not the one of the manifest, or holds what it may not.
    #[error("chunk {index} ({}) is damaged: {why}", pool_name(*.pool))]
    Chunk {
        /// Which one, from 0.
        index: usize,
        /// Whose entries should be in it.
        pool: Pool,
        /// What is wrong.
        why: &'static str,
    },
    /// There are more or fewer chunks or entries than the manifest says.
    #[error("the snapshot does not hold what its manifest says: {0}")]
    Count(&'static str),
    /// The writer was handed what does not belong there.
    #[error("the store cannot be written as a snapshot: {0}")]
    Unfit(&'static str),
    /// The text of signatures cannot be read.
    #[error("line {line} is no signature: {why}")]
    Signature {
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
}

/// The name of a pool, for people.
#[must_use]
pub const fn pool_name(pool: Pool) -> &'static str {
    match pool {
        Pool::Blocks => "blocks",
        Pool::BlockOwnerPayment => "payments of block owners",
        Pool::BlockOwnerTxIndex => "blocks by their ids",
        Pool::Assets => "assets",
        Pool::Transactions => "transactions",
        Pool::OwnerCount => "lengths of owners' lists",
        Pool::Ownership => "owners' lists",
        Pool::OwnerDigest => "owners' lists by transaction",
        Pool::BlockDigest => "digests",
        Pool::Undo => "undo data",
        Pool::Meta => "facts about the store",
        Pool::Reservoir => "unconfirmed records",
    }
}
