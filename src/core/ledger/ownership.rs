//! Who owns what: the entries of pools N, K and D (`proto/blocks.md`, sections 7.1 and 7.2).

use super::{LedgerError, keys};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::Account;
use crate::core::state::{Overlay, Pool, View};
use crate::core::wire::cursor::Cursor;

const ASSET_FLAG: u8 = 0;
const BLOCK_FLAG: u8 = 1;

/// What is owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A bitmark of an asset.
    Asset(AssetId),
    /// A block, by its number.
    Block(u64),
}

/// An ownership, the value in pool K.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The last transfer, or the issue or foundation id while there was none.
    pub last_transfer: TxId,
    /// The block of the last transfer; 0 while there was none.
    pub last_transfer_block: u64,
    /// The issue or foundation id.
    pub issue: TxId,
    /// Its block.
    pub issue_block: u64,
    /// What it is.
    pub item: Item,
}

impl Ownership {
    /// The first ownership of what was just issued or found.
    #[must_use]
    pub const fn first(id: TxId, block: u64, item: Item) -> Self {
        Self {
            last_transfer: id,
            last_transfer_block: 0,
            issue: id,
            issue_block: block,
            item,
        }
    }

    /// The stored form, 145 or 89 bytes.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let flag = match self.item {
            Item::Asset(_) => ASSET_FLAG,
            Item::Block(_) => BLOCK_FLAG,
        };
        let mut out = vec![flag];
        out.extend_from_slice(&self.last_transfer.0);
        out.extend_from_slice(&self.last_transfer_block.to_be_bytes());
        out.extend_from_slice(&self.issue.0);
        out.extend_from_slice(&self.issue_block.to_be_bytes());
        match self.item {
            Item::Asset(id) => out.extend_from_slice(&id.0),
            Item::Block(number) => out.extend_from_slice(&number.to_be_bytes()),
        }
        out
    }

    /// Reads the stored form; nothing when it is none.
    #[must_use]
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let flag = cursor.byte()?;
        let last_transfer = TxId(cursor.array()?);
        let last_transfer_block = u64::from_be_bytes(cursor.array()?);
        let issue = TxId(cursor.array()?);
        let issue_block = u64::from_be_bytes(cursor.array()?);
        let item = match flag {
            ASSET_FLAG => Item::Asset(AssetId(cursor.array()?)),
            BLOCK_FLAG => Item::Block(u64::from_be_bytes(cursor.array()?)),
            _ => return None,
        };
        (cursor.remaining() == 0).then_some(Self {
            last_transfer,
            last_transfer_block,
            issue,
            issue_block,
            item,
        })
    }
}

/// Puts an ownership at the end of the account's list.
pub(super) fn create(
    state: &mut Overlay<'_>,
    id: &TxId,
    ownership: &Ownership,
    account: &Account,
) -> Result<(), LedgerError> {
    let owner = account.to_bytes();
    let index = match state.get(Pool::OwnerCount, &owner)? {
        Some(value) => keys::number(&value).ok_or_else(|| damaged("owner count", id))?,
        None => 0,
    };
    state.put(
        Pool::OwnerCount,
        owner,
        keys::block(index.saturating_add(1)),
    );
    state.put(
        Pool::Ownership,
        keys::ownership(account, index),
        ownership.pack(),
    );
    state.put(
        Pool::OwnerDigest,
        keys::owner_digest(account, id),
        keys::block(index),
    );
    Ok(())
}

/// Moves an ownership from one list to the end of another.
pub(super) fn transfer(
    state: &mut Overlay<'_>,
    link: &TxId,
    id: &TxId,
    block: u64,
    from: &Account,
    to: &Account,
) -> Result<(), LedgerError> {
    let digest_key = keys::owner_digest(from, link);
    let index = state
        .get(Pool::OwnerDigest, &digest_key)?
        .and_then(|value| keys::number(&value))
        .ok_or_else(|| damaged("owner digest", link))?;
    let list_key = keys::ownership(from, index);
    let mut ownership = state
        .get(Pool::Ownership, &list_key)?
        .and_then(|value| Ownership::unpack(&value))
        .ok_or_else(|| damaged("ownership", link))?;
    state.delete(Pool::OwnerDigest, digest_key);
    state.delete(Pool::Ownership, list_key);
    ownership.last_transfer = *id;
    ownership.last_transfer_block = block;
    create(state, id, &ownership, to)
}

fn damaged(pool: &str, id: &TxId) -> LedgerError {
    LedgerError::Damaged(format!("{pool} of {id}"))
}
