//! The JSON form of records (`proto/records.md`, section 9): members in their order, texts escaped
//! as the reference escapes them, and read back leniently.

use serde_json::Value;

use super::{
    AssetData, BaseData, BitmarkIssue, BitmarkTransferCountersigned, BitmarkTransferUnratified,
    BlockFoundation, BlockOwnerTransfer, Record, RecordError,
};
use crate::core::currency::{Currency, Payment, Payments};
use crate::core::id::{AssetId, TxId, bytes_from_hex};
use crate::core::keys::Account;
use crate::core::wire::json::{Members, quote};

/// Members written one after the other.
struct Writer(String);

impl Writer {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn raw(mut self, name: &str, value: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&format!("\"{name}\":{value}"));
        self
    }

    fn text(self, name: &str, value: &[u8]) -> Self {
        self.raw(name, &quote(value))
    }

    fn plain(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.raw(name, &format!("\"{value}\""))
    }

    fn hex(self, name: &str, value: &[u8]) -> Self {
        self.plain(name, hex::encode(value))
    }

    fn escrow(self, escrow: Option<&Payment>) -> Self {
        match escrow {
            None => self.raw("escrow", "null"),
            Some(payment) => self.raw("escrow", &payment.to_json()),
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

impl Record {
    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let out = Writer::new();
        match self {
            Self::BaseData(r) => out
                .plain("currency", r.currency)
                .text("paymentAddress", &r.payment_address)
                .plain("owner", r.owner)
                .plain("nonce", r.nonce)
                .hex("signature", &r.signature),
            Self::AssetData(r) => out
                .text("name", &r.name)
                .text("fingerprint", &r.fingerprint)
                .text("metadata", &r.metadata)
                .plain("registrant", r.registrant)
                .hex("signature", &r.signature),
            Self::BitmarkIssue(r) => out
                .plain("assetId", r.asset_id)
                .plain("owner", r.owner)
                .raw("nonce", &r.nonce.to_string())
                .hex("signature", &r.signature),
            Self::BitmarkTransferUnratified(r) => out
                .plain("link", r.link)
                .escrow(r.escrow.as_ref())
                .plain("owner", r.owner)
                .hex("signature", &r.signature),
            Self::BitmarkTransferCountersigned(r) => out
                .plain("link", r.link)
                .escrow(r.escrow.as_ref())
                .plain("owner", r.owner)
                .hex("signature", &r.signature)
                .hex("countersignature", &r.countersignature),
            Self::BlockFoundation(r) => out
                .raw("version", &r.version.to_string())
                .raw("payments", &r.payments.to_json())
                .plain("owner", r.owner)
                .plain("nonce", r.nonce)
                .hex("signature", &r.signature),
            Self::BlockOwnerTransfer(r) => out
                .plain("link", r.link)
                .escrow(r.escrow.as_ref())
                .raw("version", &r.version.to_string())
                .raw("payments", &r.payments.to_json())
                .plain("owner", r.owner)
                .hex("signature", &r.signature)
                .hex("countersignature", &r.countersignature),
        }
        .end()
    }

    /// Reads the JSON text of a record of this type, leniently: names in any case, unknown members
    /// passed over, missing ones empty.
    ///
    /// # Errors
    /// `invalid owner or registrant` where the account is missing; what is wrong with an account, a
    /// link, a coin; `json: …` for members of another kind or an unknown type.
    pub fn from_json(type_name: &str, text: &str) -> Result<Self, RecordError> {
        let value: Value =
            serde_json::from_str(text).map_err(|e| RecordError::Json(e.to_string()))?;
        let members = Reader(Members::of(&value).map_err(RecordError::Json)?);
        Ok(match type_name {
            "BaseData" => Self::BaseData(BaseData {
                currency: members.currency("currency")?,
                payment_address: members.text("paymentAddress")?,
                owner: members.account("owner")?,
                nonce: members.decimal("nonce")?,
                signature: members.hex("signature")?,
            }),
            "AssetData" => Self::AssetData(AssetData {
                name: members.text("name")?,
                fingerprint: members.text("fingerprint")?,
                metadata: members.text("metadata")?,
                registrant: members.account("registrant")?,
                signature: members.hex("signature")?,
            }),
            "BitmarkIssue" => Self::BitmarkIssue(BitmarkIssue {
                asset_id: members.asset_id("assetId")?,
                owner: members.account("owner")?,
                nonce: members.number("nonce")?,
                signature: members.hex("signature")?,
            }),
            "BitmarkTransferUnratified" => {
                Self::BitmarkTransferUnratified(BitmarkTransferUnratified {
                    link: members.link("link")?,
                    escrow: members.escrow()?,
                    owner: members.account("owner")?,
                    signature: members.hex("signature")?,
                })
            }
            "BitmarkTransferCountersigned" => {
                Self::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
                    link: members.link("link")?,
                    escrow: members.escrow()?,
                    owner: members.account("owner")?,
                    signature: members.hex("signature")?,
                    countersignature: members.hex("countersignature")?,
                })
            }
            "BlockFoundation" => Self::BlockFoundation(BlockFoundation {
                version: members.number("version")?,
                payments: members.payments()?,
                owner: members.account("owner")?,
                nonce: members.decimal("nonce")?,
                signature: members.hex("signature")?,
            }),
            "BlockOwnerTransfer" => Self::BlockOwnerTransfer(BlockOwnerTransfer {
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
            None => Err(RecordError::InvalidOwner),
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
