//! One payment: coin, address, amount (`proto/records.md`, sections 7.6 and 9). An escrow is one.

use serde_json::Value;

use super::{Currency, CurrencyError};
use crate::core::wire::json::{Members, quote};

/// What is to be paid to whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Payment {
    /// The coin.
    pub currency: Currency,
    /// The address, as bytes of text.
    pub address: Vec<u8>,
    /// In the coin's smallest unit.
    pub amount: u64,
}

impl Payment {
    /// `{"currency":…,"address":…,"amount":"…"}`
    #[must_use]
    pub fn to_json(&self) -> String {
        format!(
            "{{\"currency\":\"{}\",\"address\":{},\"amount\":\"{}\"}}",
            self.currency,
            quote(&self.address),
            self.amount
        )
    }

    /// Reads the JSON form leniently: names in any case, unknown members passed over, missing
    /// ones empty.
    ///
    /// # Errors
    /// `json: …` where a member is of another kind; [`CurrencyError::InvalidCurrency`].
    pub fn from_json(value: &Value) -> Result<Self, CurrencyError> {
        let members = Members::of(value).map_err(CurrencyError::Json)?;
        let text = |name| members.text(name).map_err(CurrencyError::Json);
        let currency = text("currency")?.parse()?;
        let address = text("address")?.into_bytes();
        let amount = match members.get("amount") {
            None => 0,
            Some(Value::String(digits)) => decimal(digits).ok_or_else(|| {
                CurrencyError::Json(format!("{digits:?} is no amount of at most 64 bits"))
            })?,
            Some(other) => {
                return Err(CurrencyError::Json(format!(
                    "the amount is a decimal text, not {other}"
                )));
            }
        };
        Ok(Self {
            currency,
            address,
            amount,
        })
    }
}

fn decimal(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}
