//! Signatures of a manifest's hash, in a text beside the snapshot: the file itself stays the same
//! whoever signs it.
//!
//! A line is `bitmarkd-snapshot-1 ACCOUNT SIGNATURE`, the latter in hex. Empty lines count nothing.

use std::fmt;

use super::{ManifestHash, SnapshotError};
use crate::core::keys::{Account, PrivateKey, PublicKey};

/// What a line begins with.
const WORD: &str = "bitmarkd-snapshot-1";
/// In front of the hash that is signed, so that the signature is one of nothing else.
const DOMAIN: &[u8] = b"bitmarkd snapshot signature 1\n";
/// Signatures of one snapshot.
pub const SIGNATURES_MAX: usize = 64;

/// Who vouches for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whose it is.
    pub account: Account,
    /// Its bytes.
    pub bytes: [u8; 64],
}

fn message(hash: &ManifestHash) -> Vec<u8> {
    [DOMAIN, &hash.0].concat()
}

impl Signature {
    /// Signs a hash; nothing where the key is nobody's.
    #[must_use]
    pub fn make(key: &PrivateKey, hash: &ManifestHash) -> Option<Self> {
        let account = key.account()?;
        let bytes = key.sign(&message(hash)).try_into().ok()?;
        Some(Self { account, bytes })
    }

    /// Whether it is one of this hash.
    #[must_use]
    pub fn is_of(&self, hash: &ManifestHash) -> bool {
        self.account.verify(&message(hash), &self.bytes).is_ok()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WORD} {} {}", self.account, hex::encode(self.bytes))
    }
}

/// The signatures of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signatures(pub Vec<Signature>);

impl Signatures {
    /// Reads a text.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn read(text: &str) -> Result<Self, SnapshotError> {
        let mut all = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let wrong = |why| SnapshotError::Signature { line: at + 1, why };
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            if first != WORD {
                return Err(wrong("it begins with another word"));
            }
            let account = words.next().and_then(|text| Account::from_text(text).ok());
            let account = account.filter(|account| matches!(account.key, PublicKey::Ed25519(_)));
            let account = account.ok_or_else(|| wrong("there is no account"))?;
            let mut bytes = [0; 64];
            hex::decode_to_slice(words.next().unwrap_or_default(), &mut bytes)
                .map_err(|_| wrong("a signature has 128 hex digits"))?;
            if words.next().is_some() {
                return Err(wrong("something follows it"));
            }
            if all.len() >= SIGNATURES_MAX {
                return Err(wrong("there are too many"));
            }
            all.push(Signature { account, bytes });
        }
        Ok(Self(all))
    }

    /// Adds one; a line of the same account goes.
    pub fn add(&mut self, signature: Signature) {
        self.0.retain(|one| one.account != signature.account);
        self.0.push(signature);
    }

    /// The first account of `trusted` that signed this hash. The key counts alone, not the network
    /// that its text names.
    #[must_use]
    pub fn signer(&self, hash: &ManifestHash, trusted: &[Account]) -> Option<Account> {
        let is_trusted = |one: &&Signature| trusted.iter().any(|key| key.key == one.account.key);
        let signed = self.0.iter().filter(is_trusted);
        signed
            .map(|one| (one, one.is_of(hash)))
            .find_map(|(one, is)| is.then_some(one.account))
    }
}

impl fmt::Display for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|one| writeln!(f, "{one}"))
    }
}
