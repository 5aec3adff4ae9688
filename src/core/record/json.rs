//! The JSON form of records (`proto/records.md`, section 9): members in their order, texts escaped
//! as the reference escapes them. A byte that is no part of a character is lost. Reading is the
//! part of [`super::Draft`].

use super::Record;
use crate::core::currency::Payment;
use crate::core::keys::Account;
use crate::core::wire::json::quote;

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

    fn account(self, name: &str, account: Option<&Account>) -> Self {
        match account {
            None => self.raw(name, "null"),
            Some(account) => self.plain(name, account),
        }
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
        self.to_json_of(Some(self.owner()))
    }

    /// The JSON text with this account, which a draft may lack.
    pub(super) fn to_json_of(&self, account: Option<&Account>) -> String {
        let out = Writer::new();
        match self {
            Self::BaseData(r) => out
                .plain("currency", r.currency)
                .text("paymentAddress", &r.payment_address)
                .account("owner", account)
                .plain("nonce", r.nonce)
                .hex("signature", &r.signature),
            Self::AssetData(r) => out
                .text("name", &r.name)
                .text("fingerprint", &r.fingerprint)
                .text("metadata", &r.metadata)
                .account("registrant", account)
                .hex("signature", &r.signature),
            Self::BitmarkIssue(r) => out
                .plain("assetId", r.asset_id)
                .account("owner", account)
                .raw("nonce", &r.nonce.to_string())
                .hex("signature", &r.signature),
            Self::BitmarkTransferUnratified(r) => out
                .plain("link", r.link)
                .escrow(r.escrow.as_ref())
                .account("owner", account)
                .hex("signature", &r.signature),
            Self::BitmarkTransferCountersigned(r) => out
                .plain("link", r.link)
                .escrow(r.escrow.as_ref())
                .account("owner", account)
                .hex("signature", &r.signature)
                .hex("countersignature", &r.countersignature),
            Self::BlockFoundation(r) => out
                .raw("version", &r.version.to_string())
                .raw("payments", &r.payments.to_json())
                .account("owner", account)
                .plain("nonce", r.nonce)
                .hex("signature", &r.signature),
            Self::BlockOwnerTransfer(r) => out
                .plain("link", r.link)
                .escrow(r.escrow.as_ref())
                .raw("version", &r.version.to_string())
                .raw("payments", &r.payments.to_json())
                .account("owner", account)
                .hex("signature", &r.signature)
                .hex("countersignature", &r.countersignature),
        }
        .end()
    }
}
