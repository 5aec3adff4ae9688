//! What is wrong with a title, for people.

use thiserror::Error;

use crate::core::block::BlockError;
use crate::core::record::RecordError;

/// Why a title does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TitleError {
    /// Longer than any.
    #[error("it is longer than a title may be")]
    TooLong,
    /// The checksum in its last line is of another text.
    #[error("it was changed after it was made, or is not whole: its checksum is of another text")]
    Checksum,
    /// Not the JSON of a title.
    #[error("it is no title: {0}")]
    Shape(String),
    /// Another way to write the same.
    #[error("it is not written as a title is, byte for byte: it was changed after it was made")]
    NotCanonical,
    /// A chain that nobody knows.
    #[error("there is no chain {0:?}")]
    Chain(String),
    /// Nothing of something, or too much of it.
    #[error("it has {count} {what}; from {least} to {most} are taken")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there must be.
        least: usize,
        /// How many there may be.
        most: usize,
    },
    /// A header that breaks a rule of the chain.
    #[error("header {0} breaks a rule of the chain: {1}")]
    Header(u64, BlockError),
    /// A header out of the row.
    #[error("header {0} is not where it belongs: another number stands in it")]
    HeaderNumber(u64),
    /// A digest that has not the work in it.
    #[error("the digest of block {0} does not have the work in it that its header claims")]
    NoWork(u64),
    /// A header whose digest is another than the next header, or the title, says.
    #[error("block {0} was made up: its header has another digest than the block behind it says")]
    Digest(u64),
    /// A block that is another than the one that is known.
    #[error("block {0} of this title is not the one that is known: this is not the same chain")]
    NotKnown(u64),
    /// It ends below a block that is known, so that nothing can be said about its chain.
    #[error(
        "the title ends at block {height}, below block {known} that you know: ask for a title that was made since"
    )]
    EndsBelow {
        /// The last header.
        height: u64,
        /// The known block.
        known: u64,
    },
    /// No header is linked to a known one.
    #[error(
        "the title begins at block {first} and ends at block {height}, and no block from {below} on is known here: \
         give one with --known NUMBER=DIGEST, with a digest from a node that you trust"
    )]
    NotAnchored {
        /// The block below the first header.
        below: u64,
        /// The first header.
        first: u64,
        /// The last one.
        height: u64,
    },
    /// A record that is none, is not valid, or is not signed by who had to.
    #[error("record {0} is not valid: {1}")]
    Record(usize, RecordError),
    /// A record of a kind that has no place there.
    #[error("record {0} ({1}) has no place there")]
    Kind(usize, &'static str),
    /// A record that does not follow the one before.
    #[error("record {0} does not follow the one before it")]
    NotFollowing(usize),
    /// A record in a block that is not among the headers.
    #[error("record {0} is in block {1}, whose header is not in the title")]
    NoHeader(usize, u64),
    /// A record that is not in its block.
    #[error("record {0} is not in block {1}: the block's tree does not have it")]
    NotInBlock(usize, u64),
}
