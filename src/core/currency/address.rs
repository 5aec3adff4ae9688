//! Coin addresses (`proto/records.md`, section 7.2).

use sha2::{Digest as _, Sha256};

use super::{Currency, CurrencyError};
use crate::core::keys::base58;
use crate::core::wire::text;

/// Most characters of an address.
pub const MAX_CHARACTERS: usize = 64;

const HASH_SIZE: usize = 20;
const CHECK_SIZE: usize = 4;

/// What an address says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// The version byte.
    pub version: u8,
    /// The hash of the key or script.
    pub hash: [u8; HASH_SIZE],
    /// Whether it is of a test network.
    pub testing: bool,
}

/// The network of a version byte; nothing when the coin does not have it.
const fn network(currency: Currency, version: u8) -> Option<bool> {
    match (currency, version) {
        (Currency::Bitcoin, 0 | 5) | (Currency::Litecoin, 5 | 48 | 50) => Some(false),
        (Currency::Bitcoin | Currency::Litecoin, 111 | 196) => Some(true),
        _ => None,
    }
}

fn check_value(bytes: &[u8]) -> [u8; CHECK_SIZE] {
    let hash: [u8; 32] = Sha256::digest(Sha256::digest(bytes)).into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

/// Decodes an address of a coin that can be paid with.
///
/// # Errors
/// `invalid … address`
pub fn decode(currency: Currency, address: &[u8]) -> Result<Decoded, CurrencyError> {
    let invalid = || currency.invalid_address();
    let bytes = base58::decode(address);
    let (payload, check) = bytes.split_last_chunk::<CHECK_SIZE>().ok_or_else(invalid)?;
    let (version, hash) = payload.split_first().ok_or_else(invalid)?;
    let hash = <[u8; HASH_SIZE]>::try_from(hash).map_err(|_| invalid())?;
    if check_value(payload) != *check {
        return Err(invalid());
    }
    let testing = network(currency, *version).ok_or_else(invalid)?;
    Ok(Decoded {
        version: *version,
        hash,
        testing,
    })
}

/// Checks that an address is one of the coin and of the network.
///
/// # Errors
/// The first fault in the order of the notes.
pub fn check(currency: Currency, address: &[u8], testing: bool) -> Result<(), CurrencyError> {
    if text::characters(address) > MAX_CHARACTERS {
        return Err(CurrencyError::AddressTooLong);
    }
    if !currency.is_payable() {
        return Ok(());
    }
    if decode(currency, address)?.testing != testing {
        return Err(currency.wrong_network());
    }
    Ok(())
}

/// The text of an address.
#[must_use]
pub fn encode(version: u8, hash: &[u8; HASH_SIZE]) -> String {
    let mut bytes = vec![version];
    bytes.extend_from_slice(hash);
    let check = check_value(&bytes);
    bytes.extend_from_slice(&check);
    base58::encode(&bytes)
}

/// The Litecoin address with the hash of a Bitcoin one, for blocks of an obsolete form.
///
/// # Errors
/// [`CurrencyError::InvalidBitcoinAddress`]
pub fn litecoin_from_bitcoin(address: &[u8]) -> Result<String, CurrencyError> {
    let decoded = decode(Currency::Bitcoin, address)?;
    let version = match decoded.version {
        0 => 48,
        other => other,
    };
    Ok(encode(version, &decoded.hash))
}
