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

#[cfg(test)]
mod tests {
    use rand::{Rng as _, RngCore as _, SeedableRng as _, seq::SliceRandom as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::core::record::tests::samples;

    const ROUNDS: usize = 20_000;

    fn is_past_the_first_field(bytes: &[u8], testing: bool) -> bool {
        let cursor = Cursor::new(bytes);
        let mut fields = Fields { cursor, testing };
        match fields.cursor.clipped(1, MOST) {
            Some(1) => fields.currency().is_ok(),
            Some(2) => fields.bytes().is_ok(),
            Some(3) => fields.bytes().is_ok_and(|id| id.len() == AssetId::SIZE),
            Some(4 | 5 | 7) => fields.link().is_ok(),
            Some(6) => fields.version().is_ok(),
            _ => false,
        }
    }

    fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
        let at = rng.gen_range(0..bytes.len().max(1));
        match rng.gen_range(0..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.r#gen()),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *[0, 1, 0x7f, 0x80, 0xff, rng.r#gen()].choose(rng).unwrap();
                }
            }
        }
    }

    /// What is read is within its bytes, and everything else can be done with it.
    fn look_at(bytes: &[u8], testing: bool) {
        let Ok((record, used)) = Record::unpack(bytes, testing) else {
            return;
        };
        assert!(used <= bytes.len());
        let canonical = record.pack_unchecked();
        assert!(canonical.len() <= used, "canonical bytes are the shortest");
        let again = Record::unpack(&canonical, testing);
        assert_eq!(again, Ok((record.clone(), canonical.len())));
        let _ = (record.pack(record.owner()), record.unsigned(record.owner()));
        let _ = Record::from_json(record.type_name(), &record.to_json());
    }

    #[test]
    fn random_bytes_and_mutated_records_are_read_without_harm() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let samples = samples();
        let (mut past, mut mutated_past) = (0, 0);
        for round in 0..ROUNDS {
            let mut bytes = vec![0; rng.gen_range(0..300)];
            rng.fill_bytes(&mut bytes);
            if let (Some(tag), true) = (bytes.first_mut(), round % 2 == 0) {
                *tag = rng.gen_range(1..=7);
            }
            let testing = rng.r#gen();
            past += usize::from(is_past_the_first_field(&bytes, testing));
            look_at(&bytes, testing);

            let (_, mut bytes) = samples.choose(&mut rng).unwrap().clone();
            for _ in 0..rng.gen_range(1..=3) {
                mutate(&mut bytes, &mut rng);
            }
            mutated_past += usize::from(is_past_the_first_field(&bytes, true));
            look_at(&bytes, true);
        }
        let share = 100 * (past + mutated_past) / (2 * ROUNDS);
        assert!(
            share >= 30,
            "only {share} % got past the first field: random {past}, mutated {mutated_past} of {ROUNDS} each"
        );
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        for (record, packed) in samples() {
            for length in 0..packed.len() {
                let cut = Record::unpack(&packed[..length], true);
                let name = record.type_name();
                assert_eq!(cut, Err(RecordError::NotTransactionPack), "{name} {length}");
            }
        }
    }

    #[test]
    fn what_follows_a_record_is_not_looked_at() {
        for (record, mut packed) in samples() {
            let size = packed.len();
            packed.extend([0xff; 9]);
            assert_eq!(Record::unpack(&packed, true), Ok((record, size)));
        }
    }

    #[test]
    fn an_account_of_the_other_network_is_refused() {
        for (record, packed) in samples() {
            let refused = Record::unpack(&packed, false).unwrap_err().to_string();
            let expected = match record {
                // Its payments come before its owner.
                Record::BlockFoundation(_) | Record::BlockOwnerTransfer(_) => {
                    "bitcoin address for wrong network"
                }
                _ => "wrong network for public key",
            };
            assert_eq!(refused, expected);
        }
    }

    #[test]
    fn an_escrow_mark_is_one_byte_of_zero_or_one() {
        for mark in [&[2_u8][..], &[0x80, 0], &[0xff]] {
            let bytes = [&[4, 32], &[7; 32][..], mark, &[0; 99]].concat();
            let read = Record::unpack(&bytes, true);
            assert_eq!(read, Err(RecordError::NotTransactionPack));
        }
    }
}
