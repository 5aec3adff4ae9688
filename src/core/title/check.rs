//! What can be said of a title without a digest: that its headers stand in a row and claim work,
//! that its records are signed, follow one another and are in their blocks.

use super::{Entry, HEADERS_MAX, RECORD_BYTES_MAX, RECORDS_MAX, Title, TitleError};
use crate::core::block::{BlockError, Header, foundation_id};
use crate::core::id::{AssetId, BlockDigest, TxId};
use crate::core::keys::Account;
use crate::core::ledger::Item;
use crate::core::record::{AssetData, Record, merkle};
use crate::core::time::UnixSeconds;

/// What a title says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Says {
    /// What is owned.
    pub item: Item,
    /// The asset, of a bitmark.
    pub asset: Option<AssetData>,
    /// The id of the issue or of the foundation.
    pub issue: TxId,
    /// Who got it first.
    pub issued_to: Account,
    /// The block of the issue.
    pub issued_in: u64,
    /// The newest transfer, or the issue.
    pub transaction: TxId,
    /// Who owns it.
    pub owner: Account,
    /// The block of the newest transfer, or of the issue.
    pub since: u64,
    /// When that block was made, as its maker says.
    pub since_time: UnixSeconds,
    /// How often it was passed on.
    pub transfers: usize,
    /// Up to which block the title speaks.
    pub height: u64,
    /// When that block was made, as its maker says.
    pub height_time: UnixSeconds,
}

/// A title whose every part holds but for the digests of its headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    pub(super) title: Title,
    pub(super) headers: Vec<Header>,
    pub(super) says: Says,
}

/// A count within its bounds.
pub(super) fn counted(
    what: &'static str,
    count: usize,
    least: usize,
    most: usize,
) -> Result<(), TitleError> {
    if (least..=most).contains(&count) {
        return Ok(());
    }
    Err(TitleError::Count {
        what,
        count,
        least,
        most,
    })
}

impl Title {
    /// Checks everything that needs no digest.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn check(self) -> Result<Sound, TitleError> {
        counted("headers", self.headers.len(), 1, HEADERS_MAX)?;
        counted("records", self.records.len(), 1, RECORDS_MAX)?;
        let headers = self.row()?;
        let says = Walk {
            title: &self,
            headers: &headers,
        }
        .records()?;
        Ok(Sound {
            title: self,
            headers,
            says,
        })
    }

    /// The headers, each of them and each behind the one before (`proto/blocks.md`, sections 2.1
    /// and 8.1). There is no clock here: when a block was made is left to who reads it.
    fn row(&self) -> Result<Vec<Header>, TitleError> {
        let mut row: Vec<Header> = Vec::with_capacity(self.headers.len());
        for (at, packed) in (0_u64..).zip(&self.headers) {
            let number = self.first.saturating_add(at);
            let broken = |rule| TitleError::Header(number, rule);
            let (header, _) = Header::unpack(packed).map_err(broken)?;
            if header.number != number || number < 2 {
                return Err(TitleError::HeaderNumber(number));
            }
            header.check(self.chain, UnixSeconds::MAX).map_err(broken)?;
            let before = row.last();
            if before.is_some_and(|before| header.version < before.version) {
                return Err(broken(BlockError::VersionDecreased));
            }
            let parent_time = before.map_or(0, |before| before.timestamp);
            let behind = parent_time.saturating_sub(header.timestamp);
            if behind > self.chain.rules.back_step(header.version) {
                return Err(broken(BlockError::HeaderTimestamp));
            }
            row.push(header);
        }
        for (header, digest) in row.iter().zip(digests(&row, self.digest)) {
            if !header.proves(&digest) {
                return Err(TitleError::NoWork(header.number));
            }
        }
        Ok(row)
    }
}

/// What each header's digest is said to be: by the header behind it, of the last by the title.
pub(super) fn digests(row: &[Header], last: BlockDigest) -> impl Iterator<Item = BlockDigest> {
    let behind = row.iter().skip(1).map(|header| header.previous_block);
    behind.chain([last])
}

/// Looks at the records one after the other.
struct Walk<'a> {
    title: &'a Title,
    headers: &'a [Header],
}

impl Walk<'_> {
    /// The header of a block, and what its digest is said to be.
    fn header(&self, number: u64) -> Option<(&Header, BlockDigest)> {
        let at = usize::try_from(number.checked_sub(self.title.first)?).ok()?;
        let header = self.headers.get(at)?;
        let behind = self.headers.get(at.checked_add(1)?);
        Some((
            header,
            behind.map_or(self.title.digest, |behind| behind.previous_block),
        ))
    }

    /// The record of an entry, which is in its block.
    fn record(&self, at: usize, entry: &Entry) -> Result<Record, TitleError> {
        counted("bytes in a record", entry.packed.len(), 1, RECORD_BYTES_MAX)?;
        let testing = self.title.chain.testing;
        let (record, used) =
            Record::unpack(&entry.packed, testing).map_err(|e| TitleError::Record(at, e))?;
        if used != entry.packed.len() {
            let more = crate::core::record::RecordError::NotTransactionPack;
            return Err(TitleError::Record(at, more));
        }
        let (header, _) = self
            .header(entry.block)
            .ok_or(TitleError::NoHeader(at, entry.block))?;
        let root = merkle::root_by_path(
            &TxId::of(&entry.packed),
            usize::from(entry.index),
            usize::from(header.transaction_count),
            &entry.path,
        );
        if root == Some(header.merkle_root) {
            Ok(record)
        } else {
            Err(TitleError::NotInBlock(at, entry.block))
        }
    }

    /// From the first record on to who owns it now.
    fn records(&self) -> Result<Says, TitleError> {
        let mut entries = self.title.records.iter().enumerate();
        let mut next = || -> Result<Option<(usize, &Entry, Record)>, TitleError> {
            let Some((at, entry)) = entries.next() else {
                return Ok(None);
            };
            Ok(Some((at, entry, self.record(at, entry)?)))
        };
        let nothing = TitleError::NotFollowing(0);
        let (at, entry, record) = next()?.ok_or(nothing)?;
        let (mut says, mut last) = match record {
            Record::AssetData(asset) => {
                signed(at, &Record::AssetData(asset.clone()), &asset.registrant)?;
                let behind = next()?.ok_or(TitleError::NotFollowing(1))?;
                (self.issue(asset, entry, &behind)?, behind.2)
            }
            Record::BlockFoundation(foundation) => {
                let record = Record::BlockFoundation(foundation);
                (self.foundation(at, entry, &record)?, record)
            }
            other => return Err(TitleError::Kind(at, other.type_name())),
        };
        while let Some((at, entry, record)) = next()? {
            // Nothing is passed on in the block in which it came.
            let follows = record.may_follow(&last)
                && record.link() == Some(says.transaction)
                && entry.block > says.since;
            if !follows {
                return Err(TitleError::NotFollowing(at));
            }
            signed(at, &record, &says.owner)?;
            says.owner = *record.owner();
            says.transaction = TxId::of(&entry.packed);
            says.transfers += 1;
            (says.since, says.since_time) = (entry.block, self.time(entry.block));
            last = record;
        }
        Ok(says)
    }

    fn time(&self, number: u64) -> UnixSeconds {
        self.header(number)
            .map_or(0, |(header, _)| header.timestamp)
    }

    fn begins(&self, item: Item, issue: TxId, owner: Account, entry: &Entry) -> Says {
        let last = self.headers.last();
        Says {
            item,
            asset: None,
            issue,
            issued_to: owner,
            issued_in: entry.block,
            transaction: issue,
            owner,
            since: entry.block,
            since_time: self.time(entry.block),
            transfers: 0,
            height: last.map_or(0, |header| header.number),
            height_time: last.map_or(0, |header| header.timestamp),
        }
    }

    fn issue(
        &self,
        asset: AssetData,
        of_asset: &Entry,
        (at, entry, record): &(usize, &Entry, Record),
    ) -> Result<Says, TitleError> {
        let Record::BitmarkIssue(issue) = record else {
            return Err(TitleError::Kind(*at, record.type_name()));
        };
        let id = AssetId::of(&asset.fingerprint);
        let is_before = (of_asset.block, of_asset.index) < (entry.block, entry.index);
        if issue.asset_id != id || !is_before {
            return Err(TitleError::NotFollowing(*at));
        }
        signed(*at, record, &issue.owner)?;
        let tx_id = TxId::of(&entry.packed);
        let mut says = self.begins(Item::Asset(id), tx_id, issue.owner, entry);
        says.asset = Some(asset);
        Ok(says)
    }

    /// A block is owned by the account of its foundation, under an id of its own
    /// (`proto/blocks.md`, section 6).
    fn foundation(&self, at: usize, entry: &Entry, record: &Record) -> Result<Says, TitleError> {
        if entry.index != 0 {
            return Err(TitleError::Kind(at, record.type_name()));
        }
        signed(at, record, record.owner())?;
        let (_, digest) = self
            .header(entry.block)
            .ok_or(TitleError::NoHeader(at, entry.block))?;
        let id = foundation_id(&digest, entry.block);
        Ok(self.begins(Item::Block(entry.block), id, *record.owner(), entry))
    }
}

/// Every rule of a record, and who signed it.
fn signed(at: usize, record: &Record, signer: &Account) -> Result<(), TitleError> {
    match record.pack(signer) {
        Ok(_) => Ok(()),
        Err(e) => Err(TitleError::Record(at, e)),
    }
}

impl Sound {
    /// What the title says, if its digests hold.
    #[must_use]
    pub const fn says(&self) -> &Says {
        &self.says
    }

    /// The title.
    #[must_use]
    pub const fn title(&self) -> &Title {
        &self.title
    }
}
