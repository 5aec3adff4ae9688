//! Private keys and the proofer's signing key file (`proto/records.md`, section 4.5). They are
//! never sent to anybody, and their debug form shows nothing.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use super::account::{ALGORITHM_SHIFT, ED25519, NOTHING, TESTING_BIT, checked_key, read_key_code};
use super::{Account, KeyError, Seed, base58};
use crate::core::wire::varint;

#[derive(Clone, PartialEq, Eq)]
enum Secret {
    Nothing([u8; 2]),
    /// Seed, then the public half as it was read.
    Ed25519(Zeroizing<[u8; 64]>),
}

/// A private key and its network.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey {
    testing: bool,
    secret: Secret,
}

impl PrivateKey {
    /// From 32 bytes of Ed25519 seed (RFC 8032).
    #[must_use]
    pub fn from_ed25519_seed(seed: &[u8; 32], testing: bool) -> Self {
        let pair = SigningKey::from_bytes(seed).to_keypair_bytes();
        Self {
            testing,
            secret: Secret::Ed25519(Zeroizing::new(pair)),
        }
    }

    /// From 64 bytes, seed half and public half; nothing if the halves do not belong together.
    #[must_use]
    pub fn from_ed25519_pair(pair: &[u8; 64], testing: bool) -> Option<Self> {
        let (seed, _) = pair.split_first_chunk::<32>()?;
        let key = Self::from_ed25519_seed(seed, testing);
        (key.ed25519_pair() == Some(pair)).then_some(key)
    }

    /// The key that a seed stands for.
    #[must_use]
    pub fn from_seed(seed: &Seed) -> Self {
        Self::from_ed25519_seed(&seed.ed25519_seed(), seed.is_testing())
    }

    fn from_parts(algorithm: u64, testing: bool, key: &[u8]) -> Result<Self, KeyError> {
        let wrong = |_| KeyError::InvalidKeyLength;
        let secret = if algorithm == NOTHING {
            Secret::Nothing(key.try_into().map_err(wrong)?)
        } else {
            Secret::Ed25519(Zeroizing::new(key.try_into().map_err(wrong)?))
        };
        Ok(Self { testing, secret })
    }

    /// From the binary form: key code, seed, public half.
    ///
    /// # Errors
    /// The first fault in the order of `proto/records.md`, section 4.5.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (algorithm, testing, key) = read_key_code(bytes, false, KeyError::NotPrivateKey)?;
        Self::from_parts(algorithm, testing, key)
    }

    /// From text.
    ///
    /// # Errors
    /// The first fault in the order of `proto/records.md`, section 4.5.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let decoded = Zeroizing::new(base58::decode(text.as_bytes()));
        if decoded.is_empty() {
            return Err(KeyError::CannotDecodePrivateKey);
        }
        let (algorithm, testing, rest) = read_key_code(&decoded, false, KeyError::NotPrivateKey)?;
        let key = checked_key(&decoded, rest)?;
        Self::from_parts(algorithm, testing, key)
    }

    /// From the text of a proofer's signing key file: `SEED:` and a seed, or `PRIVATE:` and the
    /// hex of the binary form.
    ///
    /// # Errors
    /// [`KeyError::InvalidProofSigningKey`], or what is wrong with the seed or the key.
    pub fn from_signing_key_file(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if let Some(seed) = text.strip_prefix("SEED:") {
            return Seed::from_text(seed).map(|seed| Self::from_seed(&seed));
        }
        let digits = text
            .strip_prefix("PRIVATE:")
            .ok_or(KeyError::InvalidProofSigningKey)?;
        let bytes = hex::decode(digits).map_err(|_| KeyError::InvalidProofSigningKey)?;
        Self::from_bytes(&Zeroizing::new(bytes))
    }

    /// The canonical binary form.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let (algorithm, key): (u64, &[u8]) = match &self.secret {
            Secret::Nothing(key) => (NOTHING, key),
            Secret::Ed25519(key) => (ED25519, key.as_slice()),
        };
        let network = if self.testing { TESTING_BIT } else { 0 };
        let mut bytes = varint::pack(algorithm << ALGORITHM_SHIFT | network);
        bytes.extend_from_slice(key);
        Zeroizing::new(bytes)
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(base58::encode_checked(&self.to_bytes()))
    }

    /// Seed half and public half; nobody's key has none.
    #[must_use]
    pub fn ed25519_pair(&self) -> Option<&[u8; 64]> {
        match &self.secret {
            Secret::Nothing(_) => None,
            Secret::Ed25519(pair) => Some(pair),
        }
    }

    /// Whether it is of a test network.
    #[must_use]
    pub const fn is_testing(&self) -> bool {
        self.testing
    }

    /// The account of its public half; nobody's key has none.
    #[must_use]
    pub fn account(&self) -> Option<Account> {
        match &self.secret {
            Secret::Nothing(_) => None,
            Secret::Ed25519(pair) => {
                let (_, public) = pair.split_last_chunk::<32>()?;
                Some(Account::ed25519(*public, self.testing))
            }
        }
    }

    /// The deterministic signature of RFC 8032; nothing for nobody's key.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Nothing(_) => Vec::new(),
            Secret::Ed25519(pair) => {
                let (seed, _) = pair.split_first_chunk::<32>().expect("64 bytes have 32");
                SigningKey::from_bytes(seed).sign(message).to_vec()
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {:?})", self.account())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_signs_its_account_verifies() {
        let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
        let account = key.account().unwrap();
        assert_eq!(account.verify(b"title", &key.sign(b"title")), Ok(()));
        assert_eq!(
            account.verify(b"other", &key.sign(b"title")),
            Err(KeyError::InvalidSignature)
        );
    }

    #[test]
    fn the_signing_key_file_holds_a_seed_or_a_key() {
        let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
        let text = format!(" PRIVATE:{}\n", hex::encode(&*key.to_bytes()));
        assert_eq!(PrivateKey::from_signing_key_file(&text), Ok(key));
        let seed = Seed::new(true, [9; 32]);
        let text = format!("SEED:{}\n", &*seed.to_text());
        assert_eq!(
            PrivateKey::from_signing_key_file(&text),
            Ok(PrivateKey::from_seed(&seed))
        );
        assert_eq!(
            PrivateKey::from_signing_key_file("seed:x"),
            Err(KeyError::InvalidProofSigningKey)
        );
    }

    #[test]
    fn halves_of_two_keys_are_no_key() {
        let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
        let mut pair = *key.ed25519_pair().unwrap();
        assert_eq!(PrivateKey::from_ed25519_pair(&pair, true), Some(key));
        pair[63] ^= 1;
        assert_eq!(PrivateKey::from_ed25519_pair(&pair, true), None);
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
        assert!(!format!("{key:?}").contains(&hex::encode([7; 4])));
    }
}
