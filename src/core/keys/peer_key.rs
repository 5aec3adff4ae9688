//! Keys of peers: raw Curve25519, their key files (`proto/peer.md`, section 1.3) and what a pair
//! of them agrees on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use x25519_dalek::{PublicKey, StaticSecret};

use super::KeyError;
use crate::core::id::bytes_from_hex;

const PUBLIC_TAG: &str = "PUBLIC:";
const PRIVATE_TAG: &str = "PRIVATE:";

/// A peer's public key: its name among peers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerPublicKey(pub [u8; 32]);

impl PeerPublicKey {
    /// From the text of a public key file.
    ///
    /// # Errors
    /// Another tag, bad digits, or too few or too many of them.
    pub fn from_file(text: &str) -> Result<Self, KeyError> {
        match read_file(text)? {
            (Half::Public, key) => Ok(Self(key)),
            (Half::Private, _) => Err(KeyError::InvalidPublicKeyFile),
        }
    }

    /// The text of its file.
    #[must_use]
    pub fn to_file(&self) -> String {
        format!("{PUBLIC_TAG}{self}\n")
    }

    /// From 64 hexadecimal digits, with or without the tag of a key file.
    ///
    /// # Errors
    /// [`KeyError::InvalidPublicKeyFile`]
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        digits(text.strip_prefix(PUBLIC_TAG).unwrap_or(text))
            .map(Self)
            .ok_or(KeyError::InvalidPublicKeyFile)
    }

    /// From exactly 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

enum Half {
    Public,
    Private,
}

/// Reads a key file of either kind. No known tag is told as a wrong public key, whichever was
/// wanted.
fn read_file(text: &str) -> Result<(Half, [u8; 32]), KeyError> {
    let text = text.trim();
    let (half, digits, wrong) = if let Some(digits) = text.strip_prefix(PUBLIC_TAG) {
        (Half::Public, digits, KeyError::InvalidPublicKeyFile)
    } else if let Some(digits) = text.strip_prefix(PRIVATE_TAG) {
        (Half::Private, digits, KeyError::InvalidPrivateKeyFile)
    } else {
        return Err(KeyError::InvalidPublicKeyFile);
    };
    let bytes = bytes_from_hex(digits.as_bytes())?;
    Ok((half, bytes.try_into().map_err(|_| wrong)?))
}

fn digits(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

impl fmt::Display for PeerPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PeerPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerPublicKey({self})")
    }
}

impl FromStr for PeerPublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_text(text)
    }
}

impl Serialize for PeerPublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerPublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_text(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A peer's private key.
#[derive(Clone)]
pub struct PeerPrivateKey(StaticSecret);

impl PeerPrivateKey {
    /// From 32 bytes, random ones for a new key.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// From the text of a private key file.
    ///
    /// # Errors
    /// [`KeyError::InvalidPrivateKeyFile`] for a public one or digits that are wrong;
    /// [`KeyError::InvalidPublicKeyFile`], as the reference has it, where there is no known tag.
    pub fn from_file(text: &str) -> Result<Self, KeyError> {
        match read_file(text)? {
            (Half::Private, key) => Ok(Self::from_bytes(key)),
            (Half::Public, _) => Err(KeyError::InvalidPrivateKeyFile),
        }
    }

    /// The text of its file.
    #[must_use]
    pub fn to_file(&self) -> String {
        format!("{PRIVATE_TAG}{}\n", hex::encode(self.0.as_bytes()))
    }

    /// The raw bytes, for the CURVE settings of a socket.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Its public half.
    #[must_use]
    pub fn public_key(&self) -> PeerPublicKey {
        PeerPublicKey(PublicKey::from(&self.0).to_bytes())
    }

    /// What both ends of a link can compute and nobody else.
    #[must_use]
    pub fn agree(&self, other: &PeerPublicKey) -> [u8; 32] {
        self.0.diffie_hellman(&PublicKey::from(other.0)).to_bytes()
    }
}

impl fmt::Debug for PeerPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerPrivateKey(of {})", self.public_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_read_back_and_tell_each_other_apart() {
        let private = PeerPrivateKey::from_bytes([3; 32]);
        let public = private.public_key();
        assert_eq!(PeerPublicKey::from_file(&public.to_file()), Ok(public));
        let read = PeerPrivateKey::from_file(&private.to_file()).unwrap();
        assert_eq!(read.public_key(), public);
        assert_eq!(
            PeerPublicKey::from_file(&private.to_file()),
            Err(KeyError::InvalidPublicKeyFile)
        );
        let refused = |text: &str| PeerPrivateKey::from_file(text).unwrap_err();
        assert_eq!(refused(&public.to_file()), KeyError::InvalidPrivateKeyFile);
        assert_eq!(refused("nothing"), KeyError::InvalidPublicKeyFile);
        assert_eq!(refused("PRIVATE:00"), KeyError::InvalidPrivateKeyFile);
    }

    #[test]
    fn both_ends_agree() {
        let (a, b) = (
            PeerPrivateKey::from_bytes([3; 32]),
            PeerPrivateKey::from_bytes([4; 32]),
        );
        assert_eq!(a.agree(&b.public_key()), b.agree(&a.public_key()));
    }
}
