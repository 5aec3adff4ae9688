//! Coins that records are paid with: codes, addresses, payment maps, payments
//! (`proto/records.md`, section 7).
//!
//! Nothing here talks to a currency's network.

pub mod address;
pub mod amount;
pub mod payment;
pub mod payments;

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

pub use payment::Payment;
pub use payments::Payments;

/// A coin by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Currency {
    /// Code 0, for the genesis records alone.
    #[default]
    Nothing,
    /// Code 1.
    Bitcoin,
    /// Code 2.
    Litecoin,
}

/// What is wrong with a code, an address or a payment. The texts are those of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CurrencyError {
    /// A code or a name that nobody knows, or one that can not be paid with.
    #[error("invalid currency")]
    InvalidCurrency,
    /// More than 64 characters.
    #[error("payment address too long")]
    AddressTooLong,
    /// No Bitcoin address.
    #[error("invalid bitcoin address")]
    InvalidBitcoinAddress,
    /// A Bitcoin address of the other network.
    #[error("bitcoin address for wrong network")]
    BitcoinAddressForWrongNetwork,
    /// No Litecoin address.
    #[error("invalid litecoin address")]
    InvalidLitecoinAddress,
    /// A Litecoin address of the other network.
    #[error("litecoin address for wrong network")]
    LitecoinAddressForWrongNetwork,
    /// A packed map of fewer than two bytes.
    #[error("invalid buffer")]
    InvalidBuffer,
    /// A missing or wrong address length in a packed map.
    #[error("invalid count")]
    InvalidCount,
    /// A version other than 1.
    #[error("invalid Payment version")]
    InvalidPaymentVersion,
    /// The set of coins is not the one of the version.
    #[error("invalid currency address")]
    InvalidCurrencyAddress,
    /// JSON that is no payment.
    #[error("json: {0}")]
    Json(String),
    /// Text that is no amount, or one beyond 64 bits.
    #[error("invalid amount")]
    InvalidAmount,
}

impl Currency {
    /// Every coin that can be paid with, in the order of codes.
    pub const PAYABLE: [Self; 2] = [Self::Bitcoin, Self::Litecoin];

    /// The coin of a code.
    ///
    /// # Errors
    /// [`CurrencyError::InvalidCurrency`]
    pub const fn from_code(code: u64) -> Result<Self, CurrencyError> {
        match code {
            0 => Ok(Self::Nothing),
            1 => Ok(Self::Bitcoin),
            2 => Ok(Self::Litecoin),
            _ => Err(CurrencyError::InvalidCurrency),
        }
    }

    /// Its code.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Bitcoin => 1,
            Self::Litecoin => 2,
        }
    }

    /// Its name in JSON.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Bitcoin => "BTC",
            Self::Litecoin => "LTC",
        }
    }

    /// What one unit of work of a block owner costs, in the coin's smallest unit.
    #[must_use]
    pub const fn fee(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Bitcoin => 10_000,
            Self::Litecoin => 100_000,
        }
    }

    /// Whether one can pay with it.
    #[must_use]
    pub const fn is_payable(self) -> bool {
        !matches!(self, Self::Nothing)
    }

    const fn invalid_address(self) -> CurrencyError {
        match self {
            Self::Bitcoin => CurrencyError::InvalidBitcoinAddress,
            _ => CurrencyError::InvalidLitecoinAddress,
        }
    }

    const fn wrong_network(self) -> CurrencyError {
        match self {
            Self::Bitcoin => CurrencyError::BitcoinAddressForWrongNetwork,
            _ => CurrencyError::LitecoinAddressForWrongNetwork,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        match text.to_ascii_lowercase().as_str() {
            "" => Ok(Self::Nothing),
            "btc" | "bitcoin" => Ok(Self::Bitcoin),
            "ltc" | "litecoin" => Ok(Self::Litecoin),
            _ => Err(CurrencyError::InvalidCurrency),
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}
