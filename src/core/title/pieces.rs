//! A title in pieces: what is asked of a chain a part at a time, so that no question takes long, and
//! what is put together of the answers. Each answer hangs on the one before by its digest: a chain
//! that changed between two of them gives no title.
//!
//! Bounds of one answer: [`BLOCKS_MAX`] blocks are looked at, and no further one after
//! [`BYTES_MAX`] bytes of them.

use serde::{Deserialize, Serialize};

use super::check::counted;
use super::make::{self, Made, MakeError};
use super::{Entry, RECORDS_MAX, Title};
use crate::core::block::{HEADER_BYTES, Header};
use crate::core::chain::Chain;
use crate::core::codec;
use crate::core::id::{AssetId, BlockDigest, TxId};
use crate::core::ledger::{Ledger, LedgerError, read};
use crate::core::record::Record;
use crate::core::state::{StoreFault, View};

/// Blocks of one answer.
pub const BLOCKS_MAX: usize = 256;
/// And bytes of them.
pub const BYTES_MAX: usize = 2 << 20;
/// The layout of a piece as text.
const LAYOUT: u8 = 1;

/// Where the way of a bitmark goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// An issue, a transfer or a foundation.
    Transaction(TxId),
    /// The asset at the end of it.
    Asset(AssetId),
}

/// What is asked of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// What this transaction is, if its owner has not passed it on, and what was before it.
    Newest(TxId),
    /// What was before, from this step back.
    Before(Step),
    /// The headers from one block to another.
    Headers {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// Records.
    Records {
        /// The chain's name.
        chain: String,
        /// Its height.
        height: u64,
        /// The newest first.
        entries: Vec<Entry>,
        /// Where it goes on.
        next: Option<Step>,
    },
    /// Headers.
    Headers {
        /// One behind the other.
        packed: Vec<u8>,
        /// The digest of the last one.
        digest: BlockDigest,
    },
}

impl Piece {
    /// As text, for who has nothing else to carry it in.
    #[must_use]
    pub fn to_text(&self) -> String {
        hex::encode(codec::encode(LAYOUT, self))
    }

    /// Read again.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        codec::decode(LAYOUT, &hex::decode(text).ok()?)
    }
}

fn fault(fault: StoreFault) -> MakeError {
    MakeError::Ledger(LedgerError::Store(fault))
}

fn whole(view: &dyn View, number: u64) -> Result<Vec<u8>, MakeError> {
    let packed = read::block(view, number).map_err(fault)?;
    packed.ok_or_else(|| MakeError::Block(number, "it is not stored".to_owned()))
}

/// Answers one question from a chain as it is now.
///
/// # Errors
/// There is nothing to prove, or the store failed.
pub fn answer(view: &dyn View, ledger: &Ledger, ask: &Ask) -> Result<Piece, MakeError> {
    match ask {
        Ask::Newest(id) => {
            let owned = read::owned_record(view, id, ledger.chain().testing).map_err(fault)?;
            let record = owned.ok_or(MakeError::Unknown(*id))?;
            if !read::currently_owns(view, record.owner(), id).map_err(fault)? {
                return Err(MakeError::PassedOn(*id));
            }
            records(view, ledger, Step::Transaction(*id))
        }
        Ask::Before(step) => records(view, ledger, *step),
        Ask::Headers { from, to } => headers(view, *from, *to),
    }
}

fn records(view: &dyn View, ledger: &Ledger, from: Step) -> Result<Piece, MakeError> {
    let chain = ledger.chain();
    let mut entries = Vec::new();
    let mut bytes = 0_usize;
    let mut next = Some(from);
    while let Some(step) = next
        && entries.len() < BLOCKS_MAX
        && bytes < BYTES_MAX
    {
        let stored = match &step {
            Step::Transaction(id) => read::transaction(view, id),
            Step::Asset(id) => read::asset(view, id),
        };
        let stored = stored.map_err(fault)?.ok_or(MakeError::Changed)?;
        let packed = whole(view, stored.block)?;
        bytes = bytes.saturating_add(packed.len());
        entries.push(make::entry_of(chain, &packed, &stored)?);
        let record = Record::unpack(&stored.packed, chain.testing).ok();
        next = match record.map(|(record, _)| record) {
            Some(Record::BitmarkIssue(issue)) => Some(Step::Asset(issue.asset_id)),
            Some(record) => record.link().map(Step::Transaction),
            None => None,
        };
    }
    Ok(Piece::Records {
        chain: chain.name.to_owned(),
        height: ledger.height(),
        entries,
        next,
    })
}

fn headers(view: &dyn View, from: u64, to: u64) -> Result<Piece, MakeError> {
    let mut packed = Vec::new();
    let mut bytes = 0_usize;
    let mut last = from;
    for number in (from..=to).take(BLOCKS_MAX) {
        let block = whole(view, number)?;
        let short = || MakeError::Block(number, "it is too short".to_owned());
        packed.extend_from_slice(block.get(..HEADER_BYTES).ok_or_else(short)?);
        last = number;
        bytes = bytes.saturating_add(block.len());
        if bytes >= BYTES_MAX {
            break;
        }
    }
    let digest = read::digest(view, last).map_err(fault)?;
    let digest = digest.ok_or_else(|| MakeError::Block(last, "it has no digest".to_owned()))?;
    Ok(Piece::Headers { packed, digest })
}

/// A title that is being made.
#[derive(Debug, Clone)]
pub struct Making {
    ask: Option<Ask>,
    from_known: Option<u64>,
    /// With the height up to which the title goes.
    chain: Option<(&'static Chain, u64)>,
    entries: Vec<Entry>,
    first: u64,
    headers: Vec<[u8; HEADER_BYTES]>,
    digest: Option<BlockDigest>,
}

impl Making {
    /// The title to what this transaction gave its owner. With a known block it begins there.
    #[must_use]
    pub const fn new(id: TxId, from_known: Option<u64>) -> Self {
        Self {
            ask: Some(Ask::Newest(id)),
            from_known,
            chain: None,
            entries: Vec::new(),
            first: 0,
            headers: Vec::new(),
            digest: None,
        }
    }

    /// What is to be asked next; nothing: everything is there.
    #[must_use]
    pub const fn ask(&self) -> Option<Ask> {
        self.ask
    }

    /// Takes the answer.
    ///
    /// # Errors
    /// It does not fit to those before, or there is too much for a title.
    pub fn take(&mut self, piece: Piece) -> Result<(), MakeError> {
        self.ask = match piece {
            Piece::Records {
                chain,
                height,
                entries,
                next,
            } => {
                let chain = Chain::by_name(&chain).ok_or(MakeError::Changed)?;
                self.take_records((chain, height), entries, next)?
            }
            Piece::Headers { packed, digest } => self.take_headers(&packed, digest)?,
        };
        Ok(())
    }

    fn take_records(
        &mut self,
        chain: (&'static Chain, u64),
        entries: Vec<Entry>,
        next: Option<Step>,
    ) -> Result<Option<Ask>, MakeError> {
        let (_, height) = *self.chain.get_or_insert(chain);
        if entries.is_empty() || !matches!(self.ask, Some(Ask::Newest(_) | Ask::Before(_))) {
            return Err(MakeError::Changed);
        }
        self.entries.extend(entries);
        counted("records", self.entries.len(), 1, RECORDS_MAX)?;
        if let Some(step) = next {
            return Ok(Some(Ask::Before(step)));
        }
        self.entries.reverse();
        let earliest = self.entries.first().map_or(2, |entry| entry.block);
        let (from, to) = make::span(earliest, self.from_known, height)?;
        self.first = from;
        Ok(Some(Ask::Headers { from, to }))
    }

    fn take_headers(
        &mut self,
        packed: &[u8],
        digest: BlockDigest,
    ) -> Result<Option<Ask>, MakeError> {
        let Some(Ask::Headers { from, to }) = self.ask else {
            return Err(MakeError::Changed);
        };
        let (headers, _) = packed.as_chunks::<HEADER_BYTES>();
        let count = u64::try_from(headers.len()).unwrap_or(u64::MAX);
        let below = headers.first().and_then(|first| Header::unpack(first).ok());
        let below = below.map(|(header, _)| header.previous_block);
        let hangs = self.digest.is_none_or(|known| below == Some(known));
        let next = from.saturating_add(count);
        if count == 0 || !hangs || next > to.saturating_add(1) {
            return Err(MakeError::Changed);
        }
        self.headers.extend_from_slice(headers);
        self.digest = Some(digest);
        Ok((next <= to).then_some(Ask::Headers { from: next, to }))
    }

    /// The title, checked in all but its digests.
    ///
    /// # Errors
    /// It is not whole, or does not hold.
    pub fn finish(self) -> Made {
        let (Some((chain, _)), Some(digest), None) = (self.chain, self.digest, self.ask) else {
            return Err(MakeError::Changed);
        };
        let title = Title {
            chain,
            records: self.entries,
            first: self.first,
            headers: self.headers,
            digest,
        };
        Ok(title.check()?)
    }
}
