//! Who owns what: the entries of pools N, K and D (`proto/blocks.md`, sections 7.1 and 7.2).

use std::collections::{BTreeMap, BTreeSet};

use super::sheet::{Before, Sheet};
use super::{LedgerError, keys};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::Account;
use crate::core::state::{Pool, StoreFault, View};
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
        let mut out = Vec::with_capacity(145);
        out.push(flag);
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

/// The end of an account's list.
#[derive(Debug)]
struct End {
    /// As stored.
    before: Option<Vec<u8>>,
    /// The next index; nothing where what is stored is no number.
    next: Option<u64>,
    has_grown: bool,
}

/// The ends of the lists that a block makes longer.
#[derive(Debug)]
pub(super) struct Lists(BTreeMap<Account, End>);

impl Lists {
    /// Of these accounts.
    ///
    /// # Errors
    /// A fault of the store.
    pub(super) fn read(
        view: &dyn View,
        accounts: impl Iterator<Item = Account>,
    ) -> Result<Self, StoreFault> {
        // In their order, which is that of the keys.
        let accounts: BTreeSet<Account> = accounts.collect();
        let ends = accounts.into_iter().map(|account| {
            let before = view.get(Pool::OwnerCount, &account.to_bytes())?;
            let end = End {
                next: before.as_deref().map_or(Some(0), keys::number),
                before,
                has_grown: false,
            };
            Ok((account, end))
        });
        ends.collect::<Result<_, _>>().map(Self)
    }

    /// Puts an ownership at the end of the account's list. `before`: what the store has under the
    /// keys of a transaction of this id.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`].
    pub(super) fn create(
        &mut self,
        sheet: &mut Sheet,
        id: &TxId,
        ownership: &Ownership,
        account: &Account,
        before: Before,
    ) -> Result<(), LedgerError> {
        let end = self.0.get_mut(account);
        let end = end.ok_or_else(|| damaged("owner count", id))?;
        let index = end.next.ok_or_else(|| damaged("owner count", id))?;
        end.next = Some(index.saturating_add(1));
        end.has_grown = true;
        let key = keys::ownership(account, index);
        sheet.put(Pool::Ownership, key, ownership.pack(), before.clone());
        let key = keys::owner_digest(account, id);
        sheet.put(Pool::OwnerDigest, key, keys::block(index), Before::Unknown);
        Ok(())
    }

    /// Takes what `link` gave out of the account's list: `index` is what pool D says of it, `listed`
    /// what pool K has there.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`].
    pub(super) fn take(
        &self,
        sheet: &mut Sheet,
        link: &TxId,
        account: &Account,
        index: Option<&[u8]>,
        listed: Option<Vec<u8>>,
    ) -> Result<Ownership, LedgerError> {
        let number = index.and_then(keys::number);
        let number = number.ok_or_else(|| damaged("owner digest", link))?;
        let ownership = listed.as_deref().and_then(Ownership::unpack);
        let ownership = ownership.ok_or_else(|| damaged("ownership", link))?;
        let before = Before::Known(index.map(<[u8]>::to_vec));
        sheet.delete(Pool::OwnerDigest, keys::owner_digest(account, link), before);
        let key = keys::ownership(account, number);
        sheet.delete(Pool::Ownership, key, Before::Known(listed));
        Ok(ownership)
    }

    /// Writes down where the lists end now.
    pub(super) fn put(self, sheet: &mut Sheet) {
        let grown = self.0.into_iter().filter(|(_, end)| end.has_grown);
        for (account, end) in grown {
            let next = keys::block(end.next.unwrap_or_default());
            let before = Before::Known(end.before);
            sheet.put(Pool::OwnerCount, account.to_bytes(), next, before);
        }
    }
}

fn damaged(pool: &str, id: &TxId) -> LedgerError {
    LedgerError::Damaged(format!("{pool} of {id}"))
}
