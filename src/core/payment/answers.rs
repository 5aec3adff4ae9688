//! What the REST service of a currency daemon answers (`proto/reservoir.md`, section 15). A block
//! is read one transaction at a time and where it stands, so that of megabytes of JSON only the
//! payments are kept.
//!
//! Bounds: [`BLOCK_TRANSACTIONS_MAX`]; the length of an answer is bounded by who reads it.

use serde::de::{self, DeserializeSeed as _};
use serde::{Deserialize, Deserializer};

use crate::core::currency::Currency;
use crate::core::reservoir::SeenPayment;
use crate::core::reservoir::detection::Transactions;
use crate::core::time::UnixSeconds;

/// More transactions than a block of either coin can have.
pub const BLOCK_TRANSACTIONS_MAX: usize = 100_000;

/// The hash of a block: 64 hex digits and nothing else, since it becomes part of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash(String);

impl Hash {
    /// The digits.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(de::Error::custom("a hash of 64 hex digits is wanted"))
        }
    }
}

/// `chaininfo.json`
#[derive(Debug, Deserialize)]
pub struct ChainInfo {
    pub bestblockhash: Hash,
    #[serde(default)]
    pub chain: Option<String>,
}

/// An entry of `headers/1/HASH.json`
#[derive(Debug, Deserialize)]
pub struct HeaderInfo {
    pub hash: Hash,
    pub confirmations: i64,
    #[serde(default)]
    pub nextblockhash: Option<Hash>,
}

/// `block/HASH.json`
#[derive(Debug, Deserialize)]
pub struct BlockInfo {
    pub hash: Hash,
    pub confirmations: i64,
    pub time: UnixSeconds,
    #[serde(default)]
    pub previousblockhash: Option<Hash>,
    #[serde(default)]
    pub nextblockhash: Option<Hash>,
    tx: Payments,
}

impl BlockInfo {
    /// The payments in all transactions but the first, which makes coins.
    pub fn payments(self, currency: Currency) -> Vec<SeenPayment> {
        let mut payments = self.tx.0;
        for payment in &mut payments {
            payment.currency = currency;
        }
        payments
    }
}

/// The payments of a list of transactions; the coin is not known yet.
#[derive(Debug)]
struct Payments(Vec<SeenPayment>);

impl<'de> Deserialize<'de> for Payments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = Transactions {
            currency: Currency::Nothing,
            passed_over: 1,
            most: BLOCK_TRANSACTIONS_MAX,
        };
        all.deserialize(deserializer).map(Self)
    }
}
