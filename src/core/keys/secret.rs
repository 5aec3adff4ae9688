//! What a person may hold of an account: a seed, or the private key alone (`proto/rpc.md`,
//! section 8; `proto/records.md`, section 4.5). It reads the texts that the reference's client
//! takes as a key, and never prints one in its debug form.

use thiserror::Error;
use zeroize::Zeroizing;

use super::{KeyError, PrivateKey, Seed};

/// Hex digits of an Ed25519 seed.
const SEED_DIGITS: usize = 64;
/// Hex digits of an Ed25519 seed and its public key.
const PAIR_DIGITS: usize = 128;

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SecretError {
    /// Neither a seed nor as many digits as a key has.
    #[error(
        "key length is invalid: a seed in base58 is wanted (with or without SEED: before it), or 64 hex digits (an Ed25519 seed), or 128 (the seed, then its public key)"
    )]
    Length,
    /// 128 digits that are no key pair.
    #[error("the last 64 hex digits are not the public key that belongs to the first 64")]
    Halves,
    /// A seed that is none.
    #[error("the seed is damaged: {0}")]
    Seed(KeyError),
    /// A seed of a test network where a live one is wanted, or the other way round.
    #[error("the seed is of {}, not of {}", network(*.0), network(!*.0))]
    Network(bool),
}

const fn network(testing: bool) -> &'static str {
    if testing {
        "a test network"
    } else {
        "the live network"
    }
}

/// A seed, or a key that no seed is known of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// A seed.
    Seed(Seed),
    /// A private key.
    Key(PrivateKey),
}

impl Secret {
    /// From the text of a seed, or from the hex digits of a key, for a test network or the live
    /// one.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn from_text(text: &str, testing: bool) -> Result<Self, SecretError> {
        let text = text.trim();
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && text.len() == SEED_DIGITS {
            let mut seed = Zeroizing::new([0; 32]);
            hex::decode_to_slice(text, &mut *seed).map_err(|_| SecretError::Length)?;
            return Ok(Self::Key(PrivateKey::from_ed25519_seed(&seed, testing)));
        }
        if is_hex && text.len() == PAIR_DIGITS {
            let mut pair = Zeroizing::new([0; 64]);
            hex::decode_to_slice(text, &mut *pair).map_err(|_| SecretError::Length)?;
            let key = PrivateKey::from_ed25519_pair(&pair, testing);
            return key.map(Self::Key).ok_or(SecretError::Halves);
        }
        let seed = Seed::from_text(text.strip_prefix("SEED:").unwrap_or(text));
        let seed = seed.map_err(|error| match error {
            KeyError::CannotDecodeSeed | KeyError::InvalidSeedLength => SecretError::Length,
            other => SecretError::Seed(other),
        })?;
        if seed.is_testing() != testing {
            return Err(SecretError::Network(seed.is_testing()));
        }
        Ok(Self::Seed(seed))
    }

    /// The key that signs.
    #[must_use]
    pub fn key(&self) -> PrivateKey {
        match self {
            Self::Seed(seed) => PrivateKey::from_seed(seed),
            Self::Key(key) => key.clone(),
        }
    }

    /// The seed, where one is known.
    #[must_use]
    pub const fn seed(&self) -> Option<&Seed> {
        match self {
            Self::Seed(seed) => Some(seed),
            Self::Key(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(key: &PrivateKey) -> String {
        hex::encode(key.ed25519_pair().unwrap())
    }

    #[test]
    fn a_seed_is_taken_with_and_without_its_word_and_for_its_own_network_alone() {
        let seed = Seed::new(true, [9; 32]);
        let text = seed.to_text();
        let read = Secret::from_text(&text, true).unwrap();
        assert_eq!(read.seed(), Some(&seed));
        assert_eq!(read.key(), PrivateKey::from_seed(&seed));
        let named = format!(" SEED:{}\n", &*text);
        assert_eq!(Secret::from_text(&named, true), Ok(read));
        assert_eq!(
            Secret::from_text(&text, false),
            Err(SecretError::Network(true))
        );
        assert_eq!(
            SecretError::Network(true).to_string(),
            "the seed is of a test network, not of the live network"
        );
    }

    #[test]
    fn digits_are_a_seed_of_ed25519_or_a_pair_that_belongs_together() {
        let key = PrivateKey::from_ed25519_seed(&[7; 32], false);
        let pair = digits(&key);
        for text in [&pair[..64], &pair, &pair.to_uppercase()] {
            let read = Secret::from_text(text, false).unwrap();
            assert_eq!((read.seed(), read.key()), (None, key.clone()));
        }
        let other = digits(&PrivateKey::from_ed25519_seed(&[8; 32], false));
        let mixed = format!("{}{}", &pair[..64], &other[64..]);
        assert_eq!(Secret::from_text(&mixed, false), Err(SecretError::Halves));
    }

    #[test]
    fn what_is_no_key_says_what_is_wanted() {
        let digits = "0123456789abcdef".repeat(8);
        for text in ["", "SEED:", "hello", &digits[..63], &digits[..66]] {
            let error = Secret::from_text(text, true).unwrap_err();
            assert_eq!(error, SecretError::Length, "{text}");
            assert!(error.to_string().starts_with("key length is invalid: "));
        }
        let mut seed = Seed::new(true, [9; 32]).to_text().to_string();
        seed.pop();
        seed.push('1');
        assert_eq!(
            Secret::from_text(&seed, true),
            Err(SecretError::Seed(KeyError::ChecksumMismatch))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in ".{0,200}", testing: bool) {
            let _ = Secret::from_text(&text, testing);
        }
    }
}
