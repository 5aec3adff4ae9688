//! A record as JSON gives it (`proto/records.md`, section 9): members found leniently, the account
//! perhaps missing.
//!
//! Only a whole draft becomes a record; nothing is verified here.

use serde_json::Value;

use super::{
    AssetData, BaseData, BitmarkIssue, BitmarkTransferCountersigned, BitmarkTransferUnratified,
    BlockFoundation, BlockOwnerTransfer, Record, RecordError,
};
use crate::core::currency::{Currency, Payment, Payments};
use crate::core::id::{AssetId, TxId, bytes_from_hex};
use crate::core::keys::{Account, PublicKey};
use crate::core::wire::json::Members;
use crate::core::wire::surrogates;

/// What stands for a missing account until the draft is refused; it never gets into a record.
const MISSING: Account = Account {
    testing: false,
    key: PublicKey::Nothing([0; 2]),
};

/// A record whose owner or registrant may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    record: Record,
    has_account: bool,
}

impl Draft {
    /// Reads the JSON text of a record of this type, leniently: names in any case, unknown members
    /// passed over, missing ones empty.
    ///
    /// # Errors
    /// What is wrong with an account, a link, a coin; `json: …` for members of another kind or an
    /// unknown type.
    pub fn from_json(type_name: &str, text: &str) -> Result<Self, RecordError> {
        let value: Value = serde_json::from_str(&surrogates::replace_unpaired(text))
            .map_err(|e| RecordError::Json(e.to_string()))?;
        Self::from_value(type_name, &value)
    }

    /// Reads a record of this type that is part of a larger text, as [`Draft::from_json`].
    ///
    /// # Errors
    /// As [`Draft::from_json`].
    pub fn from_value(type_name: &str, value: &Value) -> Result<Self, RecordError> {
        let members = Reader(Members::of(value).map_err(RecordError::Json)?);
        let record = read(type_name, &members)?;
        let account = match record {
            Record::AssetData(_) => "registrant",
            _ => "owner",
        };
        Ok(Self {
            has_account: members.0.get(account).is_some(),
            record,
        })
    }

    /// The JSON text; a missing account is `null`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let account = self.has_account.then(|| self.record.owner());
        self.record.to_json_of(account)
    }

    /// Whether there is an account.
    #[must_use]
    pub const fn has_account(&self) -> bool {
        self.has_account
    }

    /// The asset, if it is one, with nobody of this network for a missing registrant:
    /// verification refuses that as it refuses a missing one.
    #[must_use]
    pub fn into_asset(self, testing: bool) -> Option<AssetData> {
        let Record::AssetData(mut asset) = self.record else {
            return None;
        };
        if !self.has_account {
            asset.registrant = Account { testing, ..MISSING };
        }
        Some(asset)
    }

    /// The record.
    ///
    /// # Errors
    /// As verification would refuse a missing account: `signature too long`, else
    /// `invalid owner or registrant`.
    pub fn into_record(self) -> Result<Record, RecordError> {
        if self.has_account {
            return Ok(self.record);
        }
        self.record.check_signature_sizes()?;
        Err(RecordError::InvalidOwner)
    }
}

impl Record {
    /// Reads the JSON text of a whole record of this type, as [`Draft::from_json`].
    ///
    /// # Errors
    /// As [`Draft::from_json`], then as [`Draft::into_record`].
    pub fn from_json(type_name: &str, text: &str) -> Result<Self, RecordError> {
        Draft::from_json(type_name, text)?.into_record()
    }
}

fn read(type_name: &str, members: &Reader<'_>) -> Result<Record, RecordError> {
    Ok(match type_name {
        "BaseData" => Record::BaseData(BaseData {
            currency: members.currency("currency")?,
            payment_address: members.text("paymentAddress")?,
            owner: members.account("owner")?,
            nonce: members.decimal("nonce")?,
            signature: members.hex("signature")?,
        }),
        "AssetData" => Record::AssetData(AssetData {
            name: members.text("name")?,
            fingerprint: members.text("fingerprint")?,
            metadata: members.text("metadata")?,
            registrant: members.account("registrant")?,
            signature: members.hex("signature")?,
        }),
        "BitmarkIssue" => Record::BitmarkIssue(BitmarkIssue {
            asset_id: members.asset_id("assetId")?,
            owner: members.account("owner")?,
            nonce: members.number("nonce")?,
            signature: members.hex("signature")?,
        }),
        "BitmarkTransferUnratified" => {
            Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
                link: members.link("link")?,
                escrow: members.escrow()?,
                owner: members.account("owner")?,
                signature: members.hex("signature")?,
            })
        }
        "BitmarkTransferCountersigned" => {
            Record::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
                link: members.link("link")?,
                escrow: members.escrow()?,
                owner: members.account("owner")?,
                signature: members.hex("signature")?,
                countersignature: members.hex("countersignature")?,
            })
        }
        "BlockFoundation" => Record::BlockFoundation(BlockFoundation {
            version: members.number("version")?,
            payments: members.payments()?,
            owner: members.account("owner")?,
            nonce: members.decimal("nonce")?,
            signature: members.hex("signature")?,
        }),
        "BlockOwnerTransfer" => Record::BlockOwnerTransfer(BlockOwnerTransfer {
            link: members.link("link")?,
            escrow: members.escrow()?,
            version: members.number("version")?,
            payments: members.payments()?,
            owner: members.account("owner")?,
            signature: members.hex("signature")?,
            countersignature: members.hex("countersignature")?,
        }),
        other => return Err(RecordError::Json(format!("{other:?} is no type of record"))),
    })
}

struct Reader<'a>(Members<'a>);

impl Reader<'_> {
    fn string(&self, name: &str) -> Result<String, RecordError> {
        self.0.text(name).map_err(RecordError::Json)
    }

    fn text(&self, name: &str) -> Result<Vec<u8>, RecordError> {
        Ok(self.string(name)?.into_bytes())
    }

    fn hex(&self, name: &str) -> Result<Vec<u8>, RecordError> {
        Ok(bytes_from_hex(self.string(name)?.as_bytes())?)
    }

    fn currency(&self, name: &str) -> Result<Currency, RecordError> {
        Ok(self.string(name)?.parse()?)
    }

    fn account(&self, name: &str) -> Result<Account, RecordError> {
        match self.0.get(name) {
            None => Ok(MISSING),
            Some(_) => Ok(self.string(name)?.parse()?),
        }
    }

    fn link(&self, name: &str) -> Result<TxId, RecordError> {
        match self.0.get(name) {
            None => Ok(TxId::default()),
            Some(_) => Ok(self.string(name)?.parse()?),
        }
    }

    fn asset_id(&self, name: &str) -> Result<AssetId, RecordError> {
        match self.0.get(name) {
            None => Ok(AssetId::default()),
            Some(_) => Ok(self.string(name)?.parse()?),
        }
    }

    fn number(&self, name: &str) -> Result<u64, RecordError> {
        self.0.get(name).map_or(Ok(0), |value| {
            value
                .as_u64()
                .ok_or_else(|| RecordError::Json(format!("{name} is a number, not {value}")))
        })
    }

    fn decimal(&self, name: &str) -> Result<u64, RecordError> {
        match self.0.get(name) {
            None => Ok(0),
            Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit()) => text
                .parse()
                .map_err(|_| RecordError::Json(format!("{name} is a decimal text"))),
            Some(other) => Err(RecordError::Json(format!(
                "{name} is a decimal text, not {other}"
            ))),
        }
    }

    fn escrow(&self) -> Result<Option<Payment>, RecordError> {
        let escrow = self.0.get("escrow").map(Payment::from_json).transpose()?;
        Ok(escrow)
    }

    fn payments(&self) -> Result<Payments, RecordError> {
        let payments = self
            .0
            .get("payments")
            .map(Payments::from_json)
            .transpose()?;
        Ok(payments.unwrap_or_default())
    }
}
