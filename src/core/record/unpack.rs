//! Reading a record from bytes (`proto/records.md`, section 5.4): fields in order, the first
//! failure wins. What follows the record is not looked at. Nothing is verified.

use super::{
    AssetData, BaseData, BitmarkIssue, BitmarkTransferCountersigned, BitmarkTransferUnratified,
    BlockFoundation, BlockOwnerTransfer, Record, RecordError,
};
use crate::core::currency::{Currency, CurrencyError, Payment, Payments, payments};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::Account;
use crate::core::wire::cursor::Cursor;

/// Longest field of bytes, and highest tag.
const MOST: u64 = 8192;

const ESCROW_ABSENT: u8 = 0;
const ESCROW_PRESENT: u8 = 1;

struct Fields<'a> {
    cursor: Cursor<'a>,
    testing: bool,
}

impl Fields<'_> {
    fn number(&mut self) -> Result<u64, RecordError> {
        self.cursor.varint().ok_or(RecordError::NotTransactionPack)
    }

    fn bytes_from(&mut self, least: u64) -> Result<&[u8], RecordError> {
        self.cursor
            .field(least, MOST)
            .ok_or(RecordError::NotTransactionPack)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, RecordError> {
        self.bytes_from(1).map(<[u8]>::to_vec)
    }

    fn currency(&mut self) -> Result<Currency, RecordError> {
        Ok(Currency::from_code(self.number()?)?)
    }

    fn account(&mut self) -> Result<Account, RecordError> {
        let account = Account::from_bytes(self.bytes_from(1)?)?;
        if account.testing == self.testing {
            Ok(account)
        } else {
            Err(RecordError::WrongNetwork)
        }
    }

    fn link(&mut self) -> Result<TxId, RecordError> {
        Ok(TxId::from_bytes(self.bytes_from(1)?)?)
    }

    fn escrow(&mut self) -> Result<Option<Payment>, RecordError> {
        match self.cursor.byte() {
            Some(ESCROW_ABSENT) => Ok(None),
            Some(ESCROW_PRESENT) => Ok(Some(Payment {
                currency: self.currency()?,
                address: self.bytes()?,
                amount: self.number()?,
            })),
            _ => Err(RecordError::NotTransactionPack),
        }
    }

    fn version(&mut self) -> Result<u64, RecordError> {
        let version = self.number()?;
        if version == payments::VERSION {
            Ok(version)
        } else {
            Err(CurrencyError::InvalidCurrencyAddress.into())
        }
    }

    fn payments(&mut self) -> Result<Payments, RecordError> {
        let testing = self.testing;
        let map = Payments::unpack(self.bytes_from(1)?, testing)?;
        if map.is_complete() {
            Ok(map)
        } else {
            Err(CurrencyError::InvalidCurrencyAddress.into())
        }
    }
}

impl Record {
    /// Reads the record that `bytes` start with, and how many bytes it takes.
    ///
    /// # Errors
    /// The first failure; the end of the bytes inside the record is `not transaction pack`.
    pub fn unpack(bytes: &[u8], testing: bool) -> Result<(Self, usize), RecordError> {
        let mut fields = Fields {
            cursor: Cursor::new(bytes),
            testing,
        };
        let tag = fields
            .cursor
            .clipped(1, MOST)
            .ok_or(RecordError::NotTransactionPack)?;
        let record = read(tag, &mut fields)?;
        Ok((record, fields.cursor.used()))
    }
}

// Struct fields are read in the order in which they are written here.
fn read(tag: u64, fields: &mut Fields<'_>) -> Result<Record, RecordError> {
    Ok(match tag {
        1 => Record::BaseData(BaseData {
            currency: fields.currency()?,
            payment_address: fields.bytes()?,
            owner: fields.account()?,
            nonce: fields.number()?,
            signature: fields.bytes()?,
        }),
        2 => Record::AssetData(AssetData {
            name: fields.bytes()?,
            fingerprint: fields.bytes()?,
            metadata: fields.bytes_from(0)?.to_vec(),
            registrant: fields.account()?,
            signature: fields.bytes()?,
        }),
        3 => Record::BitmarkIssue(BitmarkIssue {
            asset_id: AssetId::from_bytes(fields.bytes_from(1)?)?,
            owner: fields.account()?,
            nonce: fields.number()?,
            signature: fields.bytes()?,
        }),
        4 => Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
            link: fields.link()?,
            escrow: fields.escrow()?,
            owner: fields.account()?,
            signature: fields.bytes()?,
        }),
        5 => Record::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
            link: fields.link()?,
            escrow: fields.escrow()?,
            owner: fields.account()?,
            signature: fields.bytes()?,
            countersignature: fields.bytes()?,
        }),
        6 => Record::BlockFoundation(BlockFoundation {
            version: fields.version()?,
            payments: fields.payments()?,
            owner: fields.account()?,
            nonce: fields.number()?,
            signature: fields.bytes()?,
        }),
        7 => Record::BlockOwnerTransfer(BlockOwnerTransfer {
            link: fields.link()?,
            escrow: fields.escrow()?,
            version: fields.version()?,
            payments: fields.payments()?,
            owner: fields.account()?,
            signature: fields.bytes()?,
            countersignature: fields.bytes()?,
        }),
        _ => return Err(RecordError::NotTransactionPack),
    })
}
