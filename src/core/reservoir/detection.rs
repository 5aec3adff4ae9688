//! Finding payments in the transactions of a coin (`proto/reservoir.md`, section 13): the JSON of
//! a currency daemon or of the discovery service in, a payment out. Which transactions are
//! looked at, and how they come here, is somebody else's.
//!
//! Values are decimal numbers with or without an exponent, in numbers or in texts; what is no
//! such number, is negative or beyond 64 bits makes the transaction nothing.
//!
//! Only the fields that count are read, where they stand; of the rest nothing is kept, so that
//! what a transaction costs does not depend on what else it holds. Bounds: [`OUTPUTS_MAX`], and
//! the length of each text that is looked at.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;
use thiserror::Error;

use super::payments::{SeenPayment, TEXT_MAX};
use super::set::Amounts;
use crate::core::currency::Currency;
use crate::core::id::PayId;
use crate::core::time::UnixSeconds;

/// `6a30`: no output, 48 bytes follow.
const MARK: &str = "6a30";
/// Characters of an output that names a pay id.
const PROGRAM_MAX: usize = 100;
/// Outputs of a transaction: an output takes at least nine of the million bytes that a block of
/// either coin has for them. What has more is no transaction.
pub const OUTPUTS_MAX: usize = 120_000;
/// Transactions of an answer about the past: far more than pay for anything within 72 hours.
pub const ANSWER_TRANSACTIONS_MAX: usize = 1_000_000;
/// Bytes of a character of a JSON text, at most: an escape of six.
const ESCAPE_MAX: usize = 6;
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
    payment(currency, serde_json::from_slice(transaction).ok()?)
}

/// What the discovery service is asked when the connection to it is there: the coin, and since
/// when. Older payments have nothing to verify.
#[must_use]
pub fn discovery_request(currency: Currency, now: UnixSeconds) -> [Vec<u8>; 2] {
    let since = now.saturating_sub(super::LIFE_S);
    [currency.text().into(), since.to_string().into_bytes()]
}

/// Why an answer about the past tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadAnswer {
    /// Fewer than two frames.
    #[error("the answer has {0} frames and not 2")]
    Frames(usize),
    /// The second frame is something else.
    #[error("the answer is no list of transactions: {0}")]
    NoList(String),
}

/// The payments in an answer of the discovery service about the past: the second frame is a list.
///
/// # Errors
/// [`BadAnswer`]: such an answer is not the same as an empty list.
pub fn discovery_answer(
    currency: Currency,
    frames: &[&[u8]],
) -> Result<Vec<SeenPayment>, BadAnswer> {
    let list = frames.get(1).ok_or(BadAnswer::Frames(frames.len()))?;
    let all = Transactions {
        currency,
        passed_over: 0,
        most: ANSWER_TRANSACTIONS_MAX,
    };
    let mut json = serde_json::Deserializer::from_slice(list);
    all.deserialize(&mut json)
        .and_then(|payments| json.end().map(|()| payments))
        .map_err(|e| BadAnswer::NoList(e.to_string()))
}

/// Reads a list of transactions, one at a time, and keeps the payments in them alone.
#[derive(Debug, Clone, Copy)]
pub struct Transactions {
    /// The coin.
    pub currency: Currency,
    /// So many in front are not looked at.
    pub passed_over: usize,
    /// A longer list is an error.
    pub most: usize,
}

impl<'de> DeserializeSeed<'de> for Transactions {
    type Value = Vec<SeenPayment>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Transactions {
    type Value = Vec<SeenPayment>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of transactions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut payments = Vec::new();
        let mut count = 0_usize;
        while let Some(transaction) = all.next_element::<&RawValue>()? {
            count += 1;
            if count > self.most {
                return Err(de::Error::custom("more transactions than there can be"));
            }
            if count > self.passed_over {
                payments.extend(payment(self.currency, transaction));
            }
        }
        Ok(payments)
    }
}

#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow)]
    txid: &'a RawValue,
    #[serde(borrow)]
    vout: &'a RawValue,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow, rename = "scriptPubKey")]
    script: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Script<'a> {
    #[serde(borrow)]
    hex: Option<&'a RawValue>,
    #[serde(borrow)]
    addresses: Option<&'a RawValue>,
}

/// The payment in one transaction.
#[must_use]
pub fn payment(currency: Currency, transaction: &RawValue) -> Option<SeenPayment> {
    let transaction: Transaction<'_> = object(transaction)?;
    let currency_tx_id = hex::decode(text(transaction.txid, 2 * TEXT_MAX)?).ok()?;
    let mut pay_id = None;
    let mut amounts = Amounts::new();
    for output in list(transaction.vout, OUTPUTS_MAX)? {
        let Some(output) = object::<Output<'_>>(output) else {
            continue;
        };
        let script: Script<'_> = output.script.and_then(object).unwrap_or_default();
        let program = script.hex.and_then(|hex| text(hex, PROGRAM_MAX));
        let program = program.unwrap_or_default();
        let id = program.strip_prefix(MARK);
        if let Some(id) = id.filter(|_| program.len() == PROGRAM_MAX) {
            pay_id = Some(id.parse::<PayId>().ok()?);
        } else if let Some([address]) = script.addresses.and_then(|all| list(all, 1)).as_deref() {
            if !address.get().starts_with('"') {
                return None;
            }
            let units = smallest_units(output.value)?;
            // Nobody is paid at a longer one.
            if let Some(address) = text(address, TEXT_MAX) {
                let sum = amounts.entry(address.into_bytes()).or_insert(0_u64);
                *sum = sum.checked_add(units)?;
            }
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

/// An object with the fields that are wanted. A list with the same values is none.
fn object<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    let is_object = json.get().starts_with('{');
    is_object.then(|| serde_json::from_str(json.get()).ok())?
}

/// A text of at most so many characters.
fn text(json: &RawValue, most: usize) -> Option<String> {
    let is_short = json.get().len() <= most.saturating_mul(ESCAPE_MAX).saturating_add(2);
    let text: String = is_short.then(|| serde_json::from_str(json.get()).ok())??;
    (text.len() <= most).then_some(text)
}

/// A list of at most so many values.
fn list(json: &RawValue, most: usize) -> Option<Vec<&RawValue>> {
    struct UpTo(usize);
    impl<'de> Visitor<'de> for UpTo {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = all.next_element()? {
                if values.len() == self.0 {
                    return Err(de::Error::custom("too many"));
                }
                values.push(value);
            }
            Ok(values)
        }
    }
    let mut json = serde_json::Deserializer::from_str(json.get());
    json.deserialize_seq(UpTo(most)).ok()
}

/// A value in the coin's smallest unit. Every amount of either coin is exact in a double, whose
/// shortest decimal form is read here.
fn smallest_units(value: Option<&RawValue>) -> Option<u64> {
    let Some(value) = value else {
        return Some(0);
    };
    match serde_json::from_str::<Number>(value.get()) {
        Ok(number) => decimal(&number.to_string()),
        Err(_) => decimal(&text(value, TEXT_MAX)?),
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
        let value = serde_json::from_str("83999999.99999999").unwrap();
        assert_eq!(smallest_units(Some(value)), Some(8_399_999_999_999_999));
    }

    fn pays(outputs: &str) -> Option<Amounts> {
        let id = "ab".repeat(48);
        let transaction = format!(
            r#"{{"vout":[{{"scriptPubKey":{{"hex":"6a30{id}"}}}},{outputs}],"txid":"0a"}}"#
        );
        discovery_message(&[b"BTC", transaction.as_bytes()]).map(|payment| payment.amounts)
    }

    #[test]
    fn what_does_not_count_in_a_transaction_may_be_anything() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let good = r#"{"value":"1e-8","scriptPubKey":{"hex":7,"addresses":["a"]}}"#;
        for other in [
            "5".to_owned(),
            "{}".to_owned(),
            r#"[{"addresses":["b"]},1]"#.to_owned(),
            r#"{"scriptPubKey":null,"value":{}}"#.to_owned(),
            r#"{"scriptPubKey":["00",["b"]],"value":1}"#.to_owned(),
            r#"{"value":1,"scriptPubKey":{"addresses":["b","c"]}}"#.to_owned(),
            r#"{"value":1,"scriptPubKey":{"addresses":{}}}"#.to_owned(),
            format!(r#"{{"deep":{deep},"value":1e999}}"#),
            format!(
                r#"{{"value":1,"scriptPubKey":{{"addresses":["{}"]}}}}"#,
                "b".repeat(TEXT_MAX + 1)
            ),
        ] {
            let amounts = pays(&format!("{other},{good}"));
            assert_eq!(amounts, Some([(b"a".to_vec(), 1)].into()), "{other:.80}");
        }
        for nothing in [
            r#"{"value":1,"scriptPubKey":{"addresses":[7]}}"#,
            r#"{"value":-1,"scriptPubKey":{"addresses":["b"]}}"#,
            r#"{"value":[],"scriptPubKey":{"addresses":["b"]}}"#,
        ] {
            assert_eq!(pays(&format!("{nothing},{good}")), None, "{nothing}");
        }
        let positions = br#"["0a",[]]"#;
        assert_eq!(discovery_message(&[b"BTC", positions]), None);
    }

    #[test]
    fn a_transaction_has_no_more_outputs_than_a_block_has_room_for() {
        let good = r#"{"value":1,"scriptPubKey":{"addresses":["a"]}}"#;
        let others = |count| "0,".repeat(count) + good;
        assert!(pays(&others(OUTPUTS_MAX - 2)).is_some());
        assert_eq!(pays(&others(OUTPUTS_MAX - 1)), None);
    }

    #[test]
    fn an_answer_that_is_no_list_is_told_from_an_empty_one() {
        let answer = |frames: &[&[u8]]| discovery_answer(Currency::Bitcoin, frames);
        assert_eq!(answer(&[b"x", b"[]", b"more"]), Ok(Vec::new()));
        assert_eq!(answer(&[b"x", b"[5, {\"txid\":7}]"]), Ok(Vec::new()));
        assert_eq!(answer(&[]), Err(BadAnswer::Frames(0)));
        assert_eq!(answer(&[b"[]"]), Err(BadAnswer::Frames(1)));
        for garbage in [
            &b""[..],
            b"null",
            b"{\"error\":\"no database\"}",
            b"[] []",
            b"[",
            b"[\"\xff\"]",
        ] {
            let told = answer(&[b"x", garbage]);
            assert!(matches!(told, Err(BadAnswer::NoList(_))), "{garbage:?}");
        }
    }

    #[test]
    fn an_unknown_coin_pays_nothing() {
        let transaction = br#"{"txid":"00","vout":[]}"#;
        assert_eq!(discovery_message(&[b"DOGE", transaction]), None);
    }
}
