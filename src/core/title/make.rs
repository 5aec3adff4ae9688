//! Making a title: out of a node's own chain, or out of blocks that somebody fetched.

use thiserror::Error;

use super::pieces::{self, Making};
use super::{Entry, HEADERS_MAX, RECORDS_MAX, Sound, Title, TitleError};
use crate::core::block::{BlockError, HEADER_BYTES, Header};
use crate::core::chain::Chain;
use crate::core::id::{BlockDigest, TxId};
use crate::core::ledger::{Ledger, LedgerError, read};
use crate::core::record::{Record, merkle};
use crate::core::state::View;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The block.
    pub block: u64,
    /// Which of its records.
    pub index: u16,
}

/// Why there is no title.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MakeError {
    /// The chain has no such transaction.
    #[error("no block has transaction {0}; is it confirmed yet?")]
    Unknown(TxId),
    /// It is not the newest of its bitmark.
    #[error("{0} was passed on; name the newest transfer")]
    PassedOn(TxId),
    /// A block that cannot be had.
    #[error("block {0} cannot be had: {1}")]
    Block(u64, String),
    /// More headers than a title may have.
    #[error(
        "a title from block {first} to block {height} has more headers than the {HEADERS_MAX} it may have: \
         begin it at a known block"
    )]
    TooMany {
        /// The first header.
        first: u64,
        /// The last.
        height: u64,
    },
    /// What was told at one time does not fit to what was told at another.
    #[error("the chain changed meanwhile; ask again")]
    Changed,
    /// What was made does not hold.
    #[error("what the chain says is no title: {0}")]
    NoTitle(#[from] TitleError),
    /// The store.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A title made.
pub type Made = Result<Sound, MakeError>;

/// The records of a packed block, each with its bytes.
///
/// # Errors
/// It is no block.
pub fn split<'a>(chain: &Chain, packed: &'a [u8]) -> Result<Vec<(Record, &'a [u8])>, BlockError> {
    let (header, mut rest) = Header::unpack(packed)?;
    let mut all = Vec::new();
    for _ in 0..header.transaction_count {
        let (record, used) = Record::unpack(rest, chain.testing)?;
        let (bytes, left) = rest
            .split_at_checked(used)
            .ok_or(BlockError::TransactionCount)?;
        all.push((record, bytes));
        rest = left;
    }
    if rest.is_empty() {
        Ok(all)
    } else {
        Err(BlockError::TransactionCount)
    }
}

/// The first header of a title whose first record is in `earliest`. From a known block below it,
/// the one above that; a known block at or above it has it hang on that one.
fn first_header(earliest: u64, from_known: Option<u64>) -> u64 {
    from_known.map_or(2, |known| earliest.min(known.saturating_add(1)).max(2))
}

/// The first and the last header of a title.
pub(super) fn span(
    earliest: u64,
    from_known: Option<u64>,
    height: u64,
) -> Result<(u64, u64), MakeError> {
    let first = first_header(earliest, from_known);
    let count = height.saturating_sub(first).saturating_add(1);
    if usize::try_from(count).map_or(true, |count| count > HEADERS_MAX) {
        return Err(MakeError::TooMany { first, height });
    }
    Ok((first, height))
}

/// Puts a title together. `places` are those of its records from the first on; `from_known` is the
/// block that who verifies will know, the chain's first unless given; `block` gives whole blocks.
///
/// # Errors
/// A block that cannot be had, or that what comes of it is no title.
pub fn assemble(
    chain: &'static Chain,
    places: &[Place],
    from_known: Option<u64>,
    (height, digest): (u64, BlockDigest),
    header: &mut dyn FnMut(u64) -> Result<[u8; HEADER_BYTES], String>,
    block: &mut dyn FnMut(u64) -> Result<Vec<u8>, String>,
) -> Made {
    let earliest = places.first().map_or(2, |place| place.block);
    let (first, height) = span(earliest, from_known, height)?;
    let mut headers = Vec::new();
    for number in first..=height {
        headers.push(header(number).map_err(|e| MakeError::Block(number, e))?);
    }
    let mut records = Vec::new();
    for place in places.iter().take(RECORDS_MAX.saturating_add(1)) {
        let lost = |e: String| MakeError::Block(place.block, e);
        let packed = block(place.block).map_err(lost)?;
        let entry = entry(chain, &packed, *place).map_err(|e| lost(e.to_string()))?;
        records.push(entry.ok_or_else(|| lost("it changed meanwhile".to_owned()))?);
    }
    let title = Title {
        chain,
        records,
        first,
        headers,
        digest,
    };
    Ok(title.check()?)
}

fn entry(chain: &Chain, packed: &[u8], place: Place) -> Result<Option<Entry>, BlockError> {
    let records = split(chain, packed)?;
    Ok(entry_at(&records, place.block, usize::from(place.index)))
}

/// The entry of what the index says is in a block.
pub(super) fn entry_of(
    chain: &Chain,
    packed: &[u8],
    stored: &read::Stored,
) -> Result<Entry, MakeError> {
    let lost = |e: BlockError| MakeError::Block(stored.block, e.to_string());
    let records = split(chain, packed).map_err(lost)?;
    let index = records
        .iter()
        .position(|(_, bytes)| *bytes == stored.packed);
    let entry = index.and_then(|index| entry_at(&records, stored.block, index));
    entry.ok_or(MakeError::Changed)
}

fn entry_at(records: &[(Record, &[u8])], block: u64, index: usize) -> Option<Entry> {
    let ids: Vec<TxId> = records.iter().map(|(_, bytes)| TxId::of(bytes)).collect();
    let (_, bytes) = records.get(index)?;
    Some(Entry {
        block,
        index: u16::try_from(index).ok()?,
        packed: bytes.to_vec(),
        path: merkle::path(&ids, index)?,
    })
}

/// The title to what this transaction gave its owner, out of a node's own chain, all at once. It
/// reads every block from the first header on: who has other things to do asks for its pieces.
///
/// # Errors
/// The transaction is not confirmed or was passed on; the store.
pub fn make(view: &dyn View, ledger: &Ledger, id: &TxId, from_known: Option<u64>) -> Made {
    let mut making = Making::new(*id, from_known);
    while let Some(ask) = making.ask() {
        making.take(pieces::answer(view, ledger, &ask)?)?;
    }
    making.finish()
}
