//! A secret under a pass phrase: ChaCha20-Poly1305 with a key from Argon2id. The format is ours
//! alone; [`reference_seal`](super::reference_seal) has the reference's.
//!
//! Randomness is given. A wrong pass phrase and a damaged file cannot be told apart.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// Most memory that a file may ask for, so that opening one does no harm: 1 GiB.
const MEMORY_MAX_KIB: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 64;
const KEY_SIZE: usize = 32;
/// Bytes of randomness for a seal: salt, then nonce.
pub const RANDOM_SIZE: usize = 16 + 12;

/// Why a secret stays sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// The pass phrase is wrong, or the file is damaged.
    #[error("wrong pass phrase, or a damaged file")]
    Wrong,
    /// Not made by this program.
    #[error("an unknown form of sealed secret; it was made by a newer program, or is damaged")]
    Unknown,
}

/// A sealed secret, as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// `argon2id`.
    pub kdf: String,
    /// Memory of the derivation.
    pub memory_kib: u32,
    /// Passes of the derivation.
    pub passes: u32,
    /// Hex.
    pub salt: String,
    /// `chacha20poly1305`.
    pub cipher: String,
    /// Hex.
    pub nonce: String,
    /// Hex.
    pub sealed: String,
}

const KDF: &str = "argon2id";
const CIPHER: &str = "chacha20poly1305";

fn derive(
    pass_phrase: &[u8],
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Result<Zeroizing<[u8; KEY_SIZE]>, SealError> {
    let params =
        Params::new(memory_kib, passes, 1, Some(KEY_SIZE)).map_err(|_| SealError::Unknown)?;
    let mut key = Zeroizing::new([0; KEY_SIZE]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(pass_phrase, salt, &mut *key)
        .map_err(|_| SealError::Unknown)?;
    Ok(key)
}

impl Sealed {
    /// Seals a secret; `about` is not secret, but must be the same when it is opened.
    ///
    /// # Errors
    /// [`SealError::Unknown`] for parameters that the derivation does not take.
    pub fn seal(
        secret: &[u8],
        pass_phrase: &[u8],
        about: &[u8],
        random: &[u8; RANDOM_SIZE],
        memory_kib: u32,
        passes: u32,
    ) -> Result<Self, SealError> {
        let (salt, nonce) = random.split_at(16);
        let key = derive(pass_phrase, salt, memory_kib, passes)?;
        let payload = Payload {
            msg: secret,
            aad: about,
        };
        let sealed = ChaCha20Poly1305::new((&*key).into())
            .encrypt(nonce.into(), payload)
            .map_err(|_| SealError::Unknown)?;
        Ok(Self {
            kdf: KDF.to_owned(),
            memory_kib,
            passes,
            salt: hex::encode(salt),
            cipher: CIPHER.to_owned(),
            nonce: hex::encode(nonce),
            sealed: hex::encode(sealed),
        })
    }

    /// Opens it.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn open(&self, pass_phrase: &[u8], about: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let known = self.kdf == KDF && self.cipher == CIPHER;
        if !known || self.memory_kib > MEMORY_MAX_KIB || self.passes > PASSES_MAX {
            return Err(SealError::Unknown);
        }
        let bytes = |text: &str| hex::decode(text).map_err(|_| SealError::Unknown);
        let nonce: [u8; 12] = bytes(&self.nonce)?
            .try_into()
            .map_err(|_| SealError::Unknown)?;
        let key = derive(
            pass_phrase,
            &bytes(&self.salt)?,
            self.memory_kib,
            self.passes,
        )?;
        let sealed = bytes(&self.sealed)?;
        let payload = Payload {
            msg: &sealed,
            aad: about,
        };
        ChaCha20Poly1305::new((&*key).into())
            .decrypt((&nonce).into(), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealError::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_pass_phrase_and_purpose_open_it() {
        let sealed = Sealed::seal(b"seed", b"phrase", b"me", &[7; RANDOM_SIZE], 64, 1).unwrap();
        assert_eq!(&**sealed.open(b"phrase", b"me").unwrap(), b"seed");
        assert_eq!(sealed.open(b"other", b"me"), Err(SealError::Wrong));
        assert_eq!(sealed.open(b"phrase", b"you"), Err(SealError::Wrong));
    }

    #[test]
    fn a_file_that_asks_for_all_memory_is_not_opened() {
        let mut sealed = Sealed::seal(b"seed", b"p", b"", &[7; RANDOM_SIZE], 64, 1).unwrap();
        sealed.memory_kib = u32::MAX;
        assert_eq!(sealed.open(b"p", b""), Err(SealError::Unknown));
        sealed.memory_kib = 64;
        sealed.nonce = "00".to_owned();
        assert_eq!(sealed.open(b"p", b""), Err(SealError::Unknown));
    }
}
