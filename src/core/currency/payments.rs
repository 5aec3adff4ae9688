//! The map from coin to address that a block's owner publishes (`proto/records.md`, sections 7.3
//! and 7.4). It has at most one entry a coin.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Currency, CurrencyError, address};
use crate::core::wire::cursor::Cursor;
use crate::core::wire::json::{Members, quote};
use crate::core::wire::varint;

/// Longest address in a packed map.
pub const MAX_ADDRESS: u64 = 255;
/// The one version of today.
pub const VERSION: u64 = 1;

/// Addresses by coin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Payments(pub BTreeMap<Currency, Vec<u8>>);

impl Payments {
    /// The packed form, in the order of codes.
    ///
    /// # Errors
    /// A wrong address; [`CurrencyError::InvalidCurrency`] when an entry can not be written.
    pub fn pack(&self, testing: bool) -> Result<Vec<u8>, CurrencyError> {
        let mut out = Vec::new();
        let mut written = 0;
        for currency in Currency::PAYABLE {
            let Some(text) = self.0.get(&currency).filter(|text| !text.is_empty()) else {
                continue;
            };
            address::check(currency, text, testing)?;
            pack_entry(currency, text, &mut out);
            written += 1;
        }
        if written != self.0.len() {
            return Err(CurrencyError::InvalidCurrency);
        }
        Ok(out)
    }

    /// The packed form with nothing checked.
    #[must_use]
    pub fn pack_unchecked(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (currency, text) in &self.0 {
            pack_entry(*currency, text, &mut out);
        }
        out
    }

    /// Reads a packed map to its end; a repeated coin replaces the one before.
    ///
    /// # Errors
    /// The first fault in the order of the notes.
    pub fn unpack(bytes: &[u8], testing: bool) -> Result<Self, CurrencyError> {
        if bytes.len() < 2 {
            return Err(CurrencyError::InvalidBuffer);
        }
        let mut map = BTreeMap::new();
        let mut cursor = Cursor::new(bytes);
        while cursor.remaining() > 0 {
            let code = cursor.varint().ok_or(CurrencyError::InvalidCurrency)?;
            let currency = Currency::from_code(code)?;
            if !currency.is_payable() {
                return Err(CurrencyError::InvalidCurrency);
            }
            let text = cursor
                .field(1, MAX_ADDRESS)
                .ok_or(CurrencyError::InvalidCount)?;
            address::check(currency, text, testing)?;
            map.insert(currency, text.to_vec());
        }
        Ok(Self(map))
    }

    /// Whether exactly the coins of today's version are there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.0.keys().eq(Currency::PAYABLE.iter())
    }

    /// The check of a map with its version.
    ///
    /// # Errors
    /// [`CurrencyError::InvalidPaymentVersion`], a wrong address, or
    /// [`CurrencyError::InvalidCurrencyAddress`] for the wrong set of coins.
    pub fn check(&self, version: u64, testing: bool) -> Result<(), CurrencyError> {
        if version != VERSION {
            return Err(CurrencyError::InvalidPaymentVersion);
        }
        for (currency, text) in &self.0 {
            address::check(*currency, text, testing)?;
        }
        if self.is_complete() {
            Ok(())
        } else {
            Err(CurrencyError::InvalidCurrencyAddress)
        }
    }

    /// `{"BTC":…,"LTC":…}`
    #[must_use]
    pub fn to_json(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(currency, text)| format!("\"{currency}\":{}", quote(text)))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// Reads the JSON form; coins by any of their names. `null` is the empty map.
    ///
    /// # Errors
    /// `json: …`, or [`CurrencyError::InvalidCurrency`].
    pub fn from_json(value: &Value) -> Result<Self, CurrencyError> {
        let members = Members::of(value).map_err(CurrencyError::Json)?;
        let mut map = BTreeMap::new();
        for (name, value) in members.iter() {
            let currency: Currency = name.parse()?;
            let text = match value {
                Value::String(text) => text.clone().into_bytes(),
                Value::Null => Vec::new(),
                other => {
                    return Err(CurrencyError::Json(format!(
                        "the address is a text, not {other}"
                    )));
                }
            };
            map.insert(currency, text);
        }
        Ok(Self(map))
    }
}

fn pack_entry(currency: Currency, text: &[u8], out: &mut Vec<u8>) {
    varint::pack_into(currency.code(), out);
    varint::pack_into(u64::try_from(text.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..120), testing: bool) {
            if let Ok(map) = Payments::unpack(&bytes, testing) {
                let again = Payments::unpack(&map.pack(testing).unwrap(), testing);
                prop_assert_eq!(again, Ok(map));
            }
        }

        #[test]
        fn a_map_packs_and_unpacks(bitcoin: [u8; 20], litecoin: [u8; 20]) {
            let map = Payments(BTreeMap::from([
                (Currency::Bitcoin, address::encode(111, &bitcoin).into_bytes()),
                (Currency::Litecoin, address::encode(196, &litecoin).into_bytes()),
            ]));
            let packed = map.pack(true).unwrap();
            prop_assert_eq!(map.check(VERSION, true), Ok(()));
            prop_assert_eq!(Payments::unpack(&packed, true), Ok(map));
        }
    }
}
