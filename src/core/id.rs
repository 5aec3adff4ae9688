//! Identifiers and digests with their text forms (`proto/records.md`, section 6).
//!
//! Every one is a fixed run of bytes in the order in which its hash puts them out; only
//! `display` turns that order round, as logs and screens of the reference do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha3::{Digest as _, Sha3_256, Sha3_384, Sha3_512};
use thiserror::Error;

/// Why a text or a run of bytes is no identifier. The texts are those of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    /// Wrong length of a digest, a link, or (sic) the text of an asset id.
    #[error("not link")]
    NotLink,
    /// Wrong length of an asset id in bytes.
    #[error("not asset id")]
    NotAssetId,
    /// Wrong length of a payment id.
    #[error("not a pay id")]
    NotPayId,
    /// Wrong length of a payment nonce.
    #[error("not a pay nonce")]
    NotPayNonce,
    /// Text with an odd number of digits.
    #[error("encoding/hex: odd length hex string")]
    OddLength,
    /// A byte that is no hexadecimal digit.
    #[error("encoding/hex: invalid byte: {}", invalid_byte(*.0))]
    InvalidByte(u8),
}

fn invalid_byte(byte: u8) -> String {
    let character = char::from(byte);
    if character.is_control() || byte == 0xa0 || byte == 0xad {
        format!("U+{byte:04X}")
    } else {
        format!("U+{byte:04X} '{character}'")
    }
}

/// Bytes of hexadecimal text of any even length.
///
/// # Errors
/// The first byte that is no digit, else an odd count, as the reference words them.
pub fn bytes_from_hex(text: &[u8]) -> Result<Vec<u8>, IdError> {
    if let Some(byte) = text.iter().find(|byte| !byte.is_ascii_hexdigit()) {
        // An odd last byte is looked at only if it is the stray one.
        return Err(IdError::InvalidByte(*byte));
    }
    hex::decode(text).map_err(|_| IdError::OddLength)
}

fn array_from_hex<const N: usize>(text: &str, length: IdError) -> Result<[u8; N], IdError> {
    if text.len() / 2 != N {
        return Err(length);
    }
    bytes_from_hex(text.as_bytes())?
        .try_into()
        .map_err(|_| length)
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $size:literal, $text_error:expr, $bytes_error:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $size]);

        impl $name {
            /// Size in bytes.
            pub const SIZE: usize = $size;

            /// From exactly as many bytes as it has.
            ///
            /// # Errors
            /// The reference's text for a wrong length.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| $bytes_error)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                array_from_hex(text, $text_error).map(Self)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self([0; $size])
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

identifier!(
    /// A transaction id, which is also a link to a transaction and a node of the merkle tree.
    TxId, 32, IdError::NotLink, IdError::NotLink
);
identifier!(
    /// The digest of a block's header, in the order in which Argon2 puts it out.
    BlockDigest, 32, IdError::NotLink, IdError::NotLink
);
identifier!(
    /// An asset id: which document, whoever registered it.
    AssetId, 64, IdError::NotLink, IdError::NotAssetId
);
identifier!(
    /// What a payment or a proof of work pays for.
    PayId, 48, IdError::NotPayId, IdError::NotPayId
);
identifier!(
    /// Ties a proof of work to a recent block.
    PayNonce, 8, IdError::NotPayNonce, IdError::NotPayNonce
);

/// Hexadecimal in reversed byte order, the reference's form on screens and in logs.
fn reversed(bytes: &[u8; 32]) -> String {
    let mut bytes = *bytes;
    bytes.reverse();
    hex::encode(bytes)
}

impl TxId {
    /// The id of a packed record: every byte of it, signatures included.
    #[must_use]
    pub fn of(packed: &[u8]) -> Self {
        Self(Sha3_256::digest(packed).into())
    }

    /// The reversed form of screens and logs.
    #[must_use]
    pub fn display(&self) -> String {
        reversed(&self.0)
    }

    /// Reads the reversed form; blanks in front of it are passed over, as the reference does.
    ///
    /// # Errors
    /// As for the other form.
    pub fn from_display(text: &str) -> Result<Self, IdError> {
        let mut id: Self = text.trim_start().parse()?;
        id.0.reverse();
        Ok(id)
    }
}

impl BlockDigest {
    /// The reversed form of screens and logs.
    #[must_use]
    pub fn display(&self) -> String {
        reversed(&self.0)
    }
}

impl AssetId {
    /// The id of what has this fingerprint.
    #[must_use]
    pub fn of(fingerprint: &[u8]) -> Self {
        Self(Sha3_512::digest(fingerprint).into())
    }
}

impl PayId {
    /// The id of packed records, in their order; where one ends and the next begins does not
    /// enter it.
    #[must_use]
    pub fn of<'a>(packed: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha3_384::new();
        for record in packed {
            hash.update(record);
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens_show_the_bytes_of_a_transaction_id_in_reverse() {
        let id = TxId::of(b"");
        assert!(id.to_string().starts_with("a7ffc6f8bf1e"));
        assert!(id.display().starts_with("4a43f8804b0a"));
        assert_eq!(TxId::from_display(&id.display()), Ok(id));
    }

    #[test]
    fn one_digit_too_many_passes_the_length_test_and_fails_as_odd() {
        let text = "0".repeat(65);
        assert_eq!(text.parse::<TxId>(), Err(IdError::OddLength));
        assert_eq!("0".repeat(66).parse::<TxId>(), Err(IdError::NotLink));
    }

    #[test]
    fn a_bad_digit_is_named() {
        let text = "g".repeat(64);
        let error = text.parse::<TxId>().unwrap_err().to_string();
        assert_eq!(error, "encoding/hex: invalid byte: U+0067 'g'");
    }
}
