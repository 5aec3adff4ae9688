//! Keys and values of the pools (`proto/blocks.md`, section 7): numbers are eight bytes, big
//! endian, so that keys sort as numbers do.

use crate::core::id::TxId;
use crate::core::keys::Account;

/// A block number as a key.
#[must_use]
pub const fn block(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The block number of a key or value of eight bytes.
#[must_use]
pub fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// Block number, then what is stored.
#[must_use]
pub fn numbered(number: u64, packed: &[u8]) -> Vec<u8> {
    [number.to_be_bytes().as_slice(), packed].concat()
}

/// Splits what [`numbered`] made.
#[must_use]
pub fn split_numbered(value: &[u8]) -> Option<(u64, &[u8])> {
    let (number, packed) = value.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), packed))
}

/// Account and index in its list: pool `K`.
#[must_use]
pub fn ownership(account: &Account, index: u64) -> Vec<u8> {
    behind(account, &index.to_be_bytes())
}

/// Account and transaction: pool `D`.
#[must_use]
pub fn owner_digest(account: &Account, id: &TxId) -> Vec<u8> {
    behind(account, &id.0)
}

/// An account, and what stands behind it.
fn behind(account: &Account, rest: &[u8]) -> Vec<u8> {
    let mut key = account.to_bytes();
    key.reserve_exact(rest.len());
    key.extend_from_slice(rest);
    key
}
