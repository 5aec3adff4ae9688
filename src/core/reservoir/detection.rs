//! Finding payments in the transactions of a coin (`proto/reservoir.md`, section 13): the JSON of
//! a currency daemon or of the discovery service in, a payment out. Which transactions are
//! looked at, and how they come here, is somebody else's.
//!
//! Values are decimal numbers with or without an exponent, in numbers or in texts; what is no
//! such number, is negative or beyond 64 bits makes the transaction nothing.

use serde_json::Value;

use super::payments::SeenPayment;
use super::set::Amounts;
use crate::core::currency::Currency;
use crate::core::id::PayId;
use crate::core::time::UnixSeconds;

/// `6a30`: no output, 48 bytes follow.
const MARK: &str = "6a30";
/// Decimals that count; what stands behind them does not.
const DECIMALS: i64 = 8;

/// The payment in a message of the discovery service: the coin's name and one transaction.
/// Nothing for any other number of frames, an unknown coin, or a transaction that pays for
/// nothing.
#[must_use]
pub fn discovery_message(frames: &[&[u8]]) -> Option<SeenPayment> {
    let [currency, transaction] = frames else {
        return None;
    };
    let currency = match *currency {
        b"BTC" => Currency::Bitcoin,
        b"LTC" => Currency::Litecoin,
        _ => return None,
    };
    payment(currency, &serde_json::from_slice(transaction).ok()?)
}

/// What the discovery service is asked when the connection to it is there: the coin, and since
/// when. Older payments have nothing to verify.
#[must_use]
pub fn discovery_request(currency: Currency, now: UnixSeconds) -> [Vec<u8>; 2] {
    let since = now.saturating_sub(super::LIFE_S);
    [currency.text().into(), since.to_string().into_bytes()]
}

/// The payments in an answer of the discovery service about the past: the second frame is a list.
#[must_use]
pub fn discovery_answer(currency: Currency, frames: &[&[u8]]) -> Vec<SeenPayment> {
    let list = frames
        .get(1)
        .and_then(|list| serde_json::from_slice(list).ok());
    let Some(Value::Array(list)) = list else {
        return Vec::new();
    };
    list.iter()
        .filter_map(|transaction| payment(currency, transaction))
        .collect()
}

/// The payment in one transaction.
#[must_use]
pub fn payment(currency: Currency, transaction: &Value) -> Option<SeenPayment> {
    let currency_tx_id = hex::decode(transaction.get("txid")?.as_str()?).ok()?;
    let mut pay_id = None;
    let mut amounts = Amounts::new();
    for output in transaction.get("vout")?.as_array()? {
        let script = output.get("scriptPubKey").unwrap_or(&Value::Null);
        let program = script
            .get("hex")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Some(id) = program.strip_prefix(MARK).filter(|_| program.len() == 100) {
            pay_id = Some(id.parse::<PayId>().ok()?);
        } else if let Some([address]) = script
            .get("addresses")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            let address = address.as_str()?.as_bytes().to_vec();
            let sum = amounts.entry(address).or_insert(0_u64);
            *sum = sum.checked_add(smallest_units(output.get("value"))?)?;
        }
    }
    let pay_id = pay_id.filter(|_| !amounts.is_empty())?;
    Some(SeenPayment {
        pay_id,
        currency,
        currency_tx_id,
        amounts,
    })
}

/// A value in the coin's smallest unit. Every amount of either coin is exact in a double, whose
/// shortest decimal form is read here.
fn smallest_units(value: Option<&Value>) -> Option<u64> {
    match value {
        None | Some(Value::Null) => Some(0),
        Some(Value::Number(number)) => decimal(&number.to_string()),
        Some(Value::String(text)) => decimal(text),
        Some(_) => None,
    }
}

fn decimal(text: &str) -> Option<u64> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = [whole, fraction].concat();
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // How many of the digits stand before the end of the decimals that count.
    let places = i64::try_from(whole.len())
        .ok()?
        .checked_add(exponent)?
        .checked_add(DECIMALS)?;
    let mut units = 0_u64;
    let mut read = 0;
    for byte in all.bytes().take(usize::try_from(places.max(0)).ok()?) {
        units = units.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        read += 1;
    }
    if units == 0 {
        return Some(0);
    }
    for _ in read..places.max(0) {
        units = units.checked_mul(10)?;
    }
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_numbers_they_are() {
        for (text, units) in [
            ("0", Some(0)),
            ("1", Some(100_000_000)),
            ("0.0001", Some(10_000)),
            ("0.00005000", Some(5_000)),
            ("1e-7", Some(10)),
            ("1E+2", Some(10_000_000_000)),
            ("0.123456789", Some(12_345_678)),
            ("1e-9", Some(0)),
            ("0e999999999", Some(0)),
            ("1e999999999", None),
            ("1e99999999999999999999", None),
            ("184467440738", None),
            ("-1", None),
            ("1,5", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(decimal(text), units, "{text}");
        }
    }

    #[test]
    fn a_large_amount_of_a_daemon_is_exact() {
        let value: Value = serde_json::from_str("83999999.99999999").unwrap();
        assert_eq!(smallest_units(Some(&value)), Some(8_399_999_999_999_999));
    }

    #[test]
    fn an_unknown_coin_pays_nothing() {
        let transaction = br#"{"txid":"00","vout":[]}"#;
        assert_eq!(discovery_message(&[b"DOGE", transaction]), None);
    }
}
