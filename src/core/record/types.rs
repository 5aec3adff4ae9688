//! The kinds of records and their fields (`proto/records.md`, section 5). Texts are bytes.

use crate::core::currency::{Currency, Payment, Payments};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::Account;

/// Tag 1: the obsolete owner of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseData {
    /// The coin of the address.
    pub currency: Currency,
    /// Where fees are paid to.
    pub payment_address: Vec<u8>,
    /// Who signs, and owns the block.
    pub owner: Account,
    /// Anything.
    pub nonce: u64,
    /// Of the owner.
    pub signature: Vec<u8>,
}

/// Tag 2: an asset is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetData {
    /// 1 to 64 characters.
    pub name: Vec<u8>,
    /// 1 to 1024 characters; the asset id is its hash.
    pub fingerprint: Vec<u8>,
    /// Pairs of key and value, all separated by zero bytes.
    pub metadata: Vec<u8>,
    /// Who signs.
    pub registrant: Account,
    /// Of the registrant.
    pub signature: Vec<u8>,
}

/// Tag 3: a bitmark is issued on an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitmarkIssue {
    /// The asset.
    pub asset_id: AssetId,
    /// Who signs, and owns the bitmark.
    pub owner: Account,
    /// Tells the issues of an owner apart.
    pub nonce: u64,
    /// Of the owner.
    pub signature: Vec<u8>,
}

/// Tag 4: a bitmark goes to a new owner who is not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitmarkTransferUnratified {
    /// What it follows.
    pub link: TxId,
    /// What is to be paid to the former owner, if anything.
    pub escrow: Option<Payment>,
    /// The new owner.
    pub owner: Account,
    /// Of the former owner.
    pub signature: Vec<u8>,
}

/// Tag 5: a bitmark goes to a new owner who agrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitmarkTransferCountersigned {
    /// What it follows.
    pub link: TxId,
    /// What is to be paid to the former owner, if anything.
    pub escrow: Option<Payment>,
    /// The new owner.
    pub owner: Account,
    /// Of the former owner.
    pub signature: Vec<u8>,
    /// Of the new owner.
    pub countersignature: Vec<u8>,
}

/// Tag 6: the owner of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockFoundation {
    /// Of the payment map.
    pub version: u64,
    /// Where fees are paid to.
    pub payments: Payments,
    /// Who signs, and owns the block.
    pub owner: Account,
    /// Anything.
    pub nonce: u64,
    /// Of the owner.
    pub signature: Vec<u8>,
}

/// Tag 7: a block goes to a new owner who agrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockOwnerTransfer {
    /// What it follows.
    pub link: TxId,
    /// What is to be paid to the former owner, if anything.
    pub escrow: Option<Payment>,
    /// Of the payment map.
    pub version: u64,
    /// Where fees are paid to from now on.
    pub payments: Payments,
    /// The new owner.
    pub owner: Account,
    /// Of the former owner.
    pub signature: Vec<u8>,
    /// Of the new owner.
    pub countersignature: Vec<u8>,
}

/// Any record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the struct of its name")]
pub enum Record {
    BaseData(BaseData),
    AssetData(AssetData),
    BitmarkIssue(BitmarkIssue),
    BitmarkTransferUnratified(BitmarkTransferUnratified),
    BitmarkTransferCountersigned(BitmarkTransferCountersigned),
    BlockFoundation(BlockFoundation),
    BlockOwnerTransfer(BlockOwnerTransfer),
}

impl Record {
    /// The tag it starts with.
    #[must_use]
    pub const fn tag(&self) -> u64 {
        match self {
            Self::BaseData(_) => 1,
            Self::AssetData(_) => 2,
            Self::BitmarkIssue(_) => 3,
            Self::BitmarkTransferUnratified(_) => 4,
            Self::BitmarkTransferCountersigned(_) => 5,
            Self::BlockFoundation(_) => 6,
            Self::BlockOwnerTransfer(_) => 7,
        }
    }

    /// Its name in JSON.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::BaseData(_) => "BaseData",
            Self::AssetData(_) => "AssetData",
            Self::BitmarkIssue(_) => "BitmarkIssue",
            Self::BitmarkTransferUnratified(_) => "BitmarkTransferUnratified",
            Self::BitmarkTransferCountersigned(_) => "BitmarkTransferCountersigned",
            Self::BlockFoundation(_) => "BlockFoundation",
            Self::BlockOwnerTransfer(_) => "BlockOwnerTransfer",
        }
    }

    /// The owner it names: of an asset the registrant, of a transfer the new one.
    #[must_use]
    pub const fn owner(&self) -> &Account {
        match self {
            Self::BaseData(record) => &record.owner,
            Self::AssetData(record) => &record.registrant,
            Self::BitmarkIssue(record) => &record.owner,
            Self::BitmarkTransferUnratified(record) => &record.owner,
            Self::BitmarkTransferCountersigned(record) => &record.owner,
            Self::BlockFoundation(record) => &record.owner,
            Self::BlockOwnerTransfer(record) => &record.owner,
        }
    }

    /// What a transfer follows.
    #[must_use]
    pub const fn link(&self) -> Option<TxId> {
        match self {
            Self::BitmarkTransferUnratified(record) => Some(record.link),
            Self::BitmarkTransferCountersigned(record) => Some(record.link),
            Self::BlockOwnerTransfer(record) => Some(record.link),
            _ => None,
        }
    }

    /// The escrow of a transfer.
    #[must_use]
    pub const fn escrow(&self) -> Option<&Payment> {
        match self {
            Self::BitmarkTransferUnratified(record) => record.escrow.as_ref(),
            Self::BitmarkTransferCountersigned(record) => record.escrow.as_ref(),
            Self::BlockOwnerTransfer(record) => record.escrow.as_ref(),
            _ => None,
        }
    }

    /// The signature; of a transfer that of the former owner.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        match self {
            Self::BaseData(record) => &record.signature,
            Self::AssetData(record) => &record.signature,
            Self::BitmarkIssue(record) => &record.signature,
            Self::BitmarkTransferUnratified(record) => &record.signature,
            Self::BitmarkTransferCountersigned(record) => &record.signature,
            Self::BlockFoundation(record) => &record.signature,
            Self::BlockOwnerTransfer(record) => &record.signature,
        }
    }

    pub(super) fn signature_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Self::BaseData(record) => &mut record.signature,
            Self::AssetData(record) => &mut record.signature,
            Self::BitmarkIssue(record) => &mut record.signature,
            Self::BitmarkTransferUnratified(record) => &mut record.signature,
            Self::BitmarkTransferCountersigned(record) => &mut record.signature,
            Self::BlockFoundation(record) => &mut record.signature,
            Self::BlockOwnerTransfer(record) => &mut record.signature,
        }
    }

    /// The new owner's signature, of the kinds that have one.
    #[must_use]
    pub fn countersignature(&self) -> Option<&[u8]> {
        match self {
            Self::BitmarkTransferCountersigned(record) => Some(&record.countersignature),
            Self::BlockOwnerTransfer(record) => Some(&record.countersignature),
            _ => None,
        }
    }

    pub(super) const fn countersignature_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::BitmarkTransferCountersigned(record) => Some(&mut record.countersignature),
            Self::BlockOwnerTransfer(record) => Some(&mut record.countersignature),
            _ => None,
        }
    }

    /// Whether a record of this kind may follow `linked` (`proto/records.md`, section 5.3).
    #[must_use]
    pub const fn may_follow(&self, linked: &Self) -> bool {
        match self {
            Self::BitmarkTransferUnratified(_) | Self::BitmarkTransferCountersigned(_) => {
                matches!(
                    linked,
                    Self::BitmarkIssue(_)
                        | Self::BitmarkTransferUnratified(_)
                        | Self::BitmarkTransferCountersigned(_)
                )
            }
            Self::BlockOwnerTransfer(_) => matches!(
                linked,
                Self::BaseData(_) | Self::BlockFoundation(_) | Self::BlockOwnerTransfer(_)
            ),
            _ => false,
        }
    }
}
