//! Accounts: public keys with the network they belong to (`proto/records.md`, sections 4.1, 4.2,
//! 4.4 and 4.6).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{KeyError, Verifier, base58};
use crate::core::wire::varint;

/// Bit 0 of a key code: a public key.
pub(super) const PUBLIC_BIT: u64 = 1;
/// Bit 1 of a key code: a key of a test network.
pub(super) const TESTING_BIT: u64 = 2;
/// Where the algorithm starts in a key code; the bits between are spare.
pub(super) const ALGORITHM_SHIFT: u32 = 4;
/// The algorithm of tests, which signs nothing.
pub(super) const NOTHING: u64 = 0;
/// Ed25519.
pub(super) const ED25519: u64 = 1;

/// A public key by its algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicKey {
    /// Algorithm 0: stands for nobody and proves nothing.
    Nothing([u8; 2]),
    /// Algorithm 1. The bytes need not be a point of the curve.
    Ed25519([u8; 32]),
}

/// A public key and its network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Whether it is of a test network.
    pub testing: bool,
    /// The key.
    pub key: PublicKey,
}

/// Key code and what follows it, checked as far as the code goes.
pub(super) fn read_key_code(
    bytes: &[u8],
    public: bool,
    wrong_kind: KeyError,
) -> Result<(u64, bool, &[u8]), KeyError> {
    let (code, size) = varint::unpack(bytes).ok_or(wrong_kind)?;
    if (code & PUBLIC_BIT != 0) != public {
        return Err(wrong_kind);
    }
    let algorithm = code >> ALGORITHM_SHIFT;
    if algorithm > ED25519 {
        return Err(KeyError::InvalidKeyType);
    }
    let rest = bytes.get(size..).unwrap_or_default();
    Ok((algorithm, code & TESTING_BIT != 0, rest))
}

impl Account {
    /// An Ed25519 account.
    #[must_use]
    pub const fn ed25519(key: [u8; 32], testing: bool) -> Self {
        Self {
            testing,
            key: PublicKey::Ed25519(key),
        }
    }

    fn from_parts(algorithm: u64, testing: bool, key: &[u8]) -> Result<Self, KeyError> {
        let wrong = |_| KeyError::InvalidKeyLength;
        let key = if algorithm == NOTHING {
            PublicKey::Nothing(key.try_into().map_err(wrong)?)
        } else {
            PublicKey::Ed25519(key.try_into().map_err(wrong)?)
        };
        Ok(Self { testing, key })
    }

    /// From the binary form: key code, then the key.
    ///
    /// # Errors
    /// The first fault in the order of `proto/records.md`, section 4.1.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (algorithm, testing, key) = read_key_code(bytes, true, KeyError::NotPublicKey)?;
        Self::from_parts(algorithm, testing, key)
    }

    /// The canonical binary form, 33 bytes for Ed25519.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (algorithm, key): (u64, &[u8]) = match &self.key {
            PublicKey::Nothing(key) => (NOTHING, key),
            PublicKey::Ed25519(key) => (ED25519, key),
        };
        let network = if self.testing { TESTING_BIT } else { 0 };
        let mut bytes = Vec::with_capacity(varint::MAX_SIZE + key.len());
        varint::pack_into(
            algorithm << ALGORITHM_SHIFT | network | PUBLIC_BIT,
            &mut bytes,
        );
        bytes.extend_from_slice(key);
        bytes
    }

    /// From text.
    ///
    /// # Errors
    /// The first fault in the order of `proto/records.md`, sections 4.1 and 4.2.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let decoded = base58::decode(text.as_bytes());
        if decoded.is_empty() {
            return Err(KeyError::CannotDecodeAccount);
        }
        let (algorithm, testing, rest) = read_key_code(&decoded, true, KeyError::NotPublicKey)?;
        let key = checked_key(&decoded, rest)?;
        Self::from_parts(algorithm, testing, key)
    }

    /// Whether every byte of the key is zero: nobody can sign for it.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match &self.key {
            PublicKey::Nothing(key) => key.iter().all(|byte| *byte == 0),
            PublicKey::Ed25519(key) => key.iter().all(|byte| *byte == 0),
        }
    }

    /// Checks a signature by the permissive rule (`proto/records.md`, section 4.6), on which the
    /// validity of blocks depends.
    ///
    /// # Errors
    /// [`KeyError::InvalidSignature`], whatever is wrong.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        Verifier::default().verify(self, message, signature)
    }
}

/// The key of a text form: what is left after the check value, which must agree.
pub(super) fn checked_key<'a>(decoded: &[u8], rest: &'a [u8]) -> Result<&'a [u8], KeyError> {
    let size = rest
        .len()
        .checked_sub(4)
        .filter(|size| *size > 0)
        .ok_or(KeyError::InvalidKeyLength)?;
    if !base58::split_checked(decoded).1 {
        return Err(KeyError::ChecksumMismatch);
    }
    rest.get(..size).ok_or(KeyError::InvalidKeyLength)
}

impl FromStr for Account {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_text(text)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base58::encode_checked(&self.to_bytes()))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({self})")
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_text(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_account_reads_back_from_bytes_and_text(key: [u8; 32], testing: bool) {
            let account = Account::ed25519(key, testing);
            prop_assert_eq!(Account::from_bytes(&account.to_bytes()), Ok(account));
            prop_assert_eq!(Account::from_text(&account.to_string()), Ok(account));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Account::from_bytes(&bytes);
            let _ = Account::from_text(&base58::encode(&bytes));
        }
    }

    #[test]
    fn an_account_of_nobody_proves_nothing() {
        let nobody = Account {
            testing: true,
            key: PublicKey::Nothing([1, 2]),
        };
        assert_eq!(
            nobody.verify(b"m", &[0; 64]),
            Err(KeyError::InvalidSignature)
        );
    }
}
