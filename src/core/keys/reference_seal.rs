//! The secrets of an identity as the reference's client seals them: AES-256-CBC with a key from
//! Argon2i (`proto/rpc.md`, section 8). They are opened here to move an identity over, and sealed
//! to compare the bytes; our own files use [`sealed`](super::sealed).
//!
//! Randomness is given. There is no tag: what a pass phrase opens is right when the key that comes
//! out belongs to the public key. A damaged seed beside a right key is told apart from that.

use aes::Aes256;
use aes::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _};
use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{PrivateKey, Secret, Seed};

const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 5;
const LANES: u32 = 4;
const KEY_SIZE: usize = 32;
const BLOCK: usize = 16;
/// Bytes of a sealed private key: the start value, then seed half and public half.
const SEALED_KEY: usize = BLOCK + 64;
/// Most bytes of a sealed seed; the usual one has 80.
const SEALED_SEED_MAX: usize = 512;

/// Bytes of salt.
pub const SALT_SIZE: usize = 16;
/// Bytes of a start value.
pub const IV_SIZE: usize = BLOCK;

/// Why it stays sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReferenceSealError {
    /// The pass phrase does not give the key of this public key, or the sealed key is damaged.
    #[error("wrong password")]
    Wrong,
    /// The sealed key or seed has a length that the reference never writes.
    #[error("the sealed key or seed has a wrong length")]
    Length,
    /// The key is right, and the seed is none, or not the one of this key.
    #[error("the sealed seed is damaged, or not the one of this key")]
    Seed,
}

/// The sealed secrets of one identity, as they stand in the reference's file, out of hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceSealed {
    /// `private_key_config.salt`.
    pub salt: [u8; SALT_SIZE],
    /// `private_key`.
    pub private_key: Vec<u8>,
    /// `seed`; empty where an older program kept none.
    pub seed: Vec<u8>,
}

fn derive(
    pass_phrase: &[u8],
    salt: &[u8; SALT_SIZE],
) -> Result<Zeroizing<[u8; KEY_SIZE]>, ReferenceSealError> {
    let mut key = Zeroizing::new([0; KEY_SIZE]);
    // What is constant here is always taken; only a pass phrase of 4 GiB is not.
    Params::new(MEMORY_KIB, PASSES, LANES, Some(KEY_SIZE))
        .and_then(|params| {
            Argon2::new(Algorithm::Argon2i, Version::V0x13, params).hash_password_into(
                pass_phrase,
                salt,
                &mut *key,
            )
        })
        .map_err(|_| ReferenceSealError::Wrong)?;
    Ok(key)
}

/// Decrypts what follows the start value; nothing unless that is whole blocks.
fn decrypt(key: &[u8; KEY_SIZE], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (iv, body) = sealed.split_first_chunk::<IV_SIZE>()?;
    let mut text = Zeroizing::new(body.to_vec());
    let mut cipher = cbc::Decryptor::<Aes256>::new(key.into(), iv.into());
    let mut blocks = text.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        cipher.decrypt_block_mut(block.into());
    }
    let is_whole = blocks.into_remainder().is_empty();
    is_whole.then_some(text)
}

/// The start value and the encrypted text, which has whole blocks.
fn encrypt(key: &[u8; KEY_SIZE], iv: &[u8; IV_SIZE], text: &[u8]) -> Vec<u8> {
    let mut sealed = [iv.as_slice(), text].concat();
    let mut cipher = cbc::Encryptor::<Aes256>::new(key.into(), iv.into());
    for block in sealed.chunks_exact_mut(BLOCK).skip(1) {
        cipher.encrypt_block_mut(block.into());
    }
    sealed
}

/// The text of a seed behind its length, filled with zero bytes; a whole block of them where none
/// is needed. No seed has the length 0.
fn framed(seed: Option<&Seed>) -> Zeroizing<Vec<u8>> {
    let text = seed.map(Seed::to_text);
    let text = text.as_ref().map_or("", |text| text.as_str());
    let size = (2 + text.len()) / BLOCK * BLOCK + BLOCK;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    let length = u16::try_from(text.len()).expect("a seed is a short text");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(size, 0);
    bytes
}

/// The seed of a decrypted frame, if there is one.
fn unframed(frame: &[u8]) -> Option<Option<Seed>> {
    let (length, rest) = frame.split_first_chunk::<2>()?;
    let text = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    if text.is_empty() {
        return Some(None);
    }
    let text = std::str::from_utf8(text).ok()?;
    Seed::from_text(text).ok().map(Some)
}

impl ReferenceSealed {
    /// Seals a secret of Ed25519; the start values are those of the key and of the seed. Nothing
    /// for nobody's key.
    #[must_use]
    pub fn seal(
        secret: &Secret,
        pass_phrase: &[u8],
        salt: [u8; SALT_SIZE],
        iv_of_key: &[u8; IV_SIZE],
        iv_of_seed: &[u8; IV_SIZE],
    ) -> Option<Self> {
        let key = derive(pass_phrase, &salt).ok()?;
        let private_key = secret.key();
        Some(Self {
            salt,
            private_key: encrypt(&key, iv_of_key, private_key.ed25519_pair()?),
            seed: encrypt(&key, iv_of_seed, &framed(secret.seed())),
        })
    }

    /// Opens it: the secret whose public key is `public_key`.
    ///
    /// # Errors
    /// See [`ReferenceSealError`].
    pub fn open(
        &self,
        pass_phrase: &[u8],
        public_key: &[u8; 32],
        testing: bool,
    ) -> Result<Secret, ReferenceSealError> {
        if self.private_key.len() != SEALED_KEY || self.seed.len() > SEALED_SEED_MAX {
            return Err(ReferenceSealError::Length);
        }
        let key = derive(pass_phrase, &self.salt)?;
        let pair = decrypt(&key, &self.private_key).ok_or(ReferenceSealError::Length)?;
        let frame = match self.seed.as_slice() {
            // As a frame without a seed.
            [] => Zeroizing::new(vec![0; 2]),
            sealed => decrypt(&key, sealed).ok_or(ReferenceSealError::Length)?,
        };
        let pair = pair.first_chunk().ok_or(ReferenceSealError::Length)?;
        let private_key = PrivateKey::from_ed25519_pair(pair, testing)
            .filter(|_| pair.ends_with(public_key))
            .ok_or(ReferenceSealError::Wrong)?;
        match unframed(&frame).ok_or(ReferenceSealError::Seed)? {
            None => Ok(Secret::Key(private_key)),
            Some(seed) if PrivateKey::from_seed(&seed) == private_key => Ok(Secret::Seed(seed)),
            Some(_) => Err(ReferenceSealError::Seed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_SIZE] = [5; SALT_SIZE];

    fn sealed(secret: &Secret) -> ReferenceSealed {
        ReferenceSealed::seal(secret, b"phrase", SALT, &[1; 16], &[2; 16]).unwrap()
    }

    fn public(secret: &Secret) -> [u8; 32] {
        *secret.key().ed25519_pair().unwrap().last_chunk().unwrap()
    }

    #[test]
    fn a_key_without_a_seed_is_sealed_beside_an_empty_seed() {
        let secret = Secret::Key(PrivateKey::from_ed25519_seed(&[7; 32], false));
        let sealed = sealed(&secret);
        assert_eq!((sealed.private_key.len(), sealed.seed.len()), (80, 32));
        assert_eq!(
            sealed.open(b"phrase", &public(&secret), false),
            Ok(secret.clone())
        );
    }

    #[test]
    fn a_key_beside_nothing_is_one_without_a_seed() {
        let secret = Secret::Key(PrivateKey::from_ed25519_seed(&[7; 32], false));
        let mut sealed = sealed(&secret);
        sealed.seed.clear();
        let key = public(&secret);
        assert_eq!(sealed.open(b"phrase", &key, false), Ok(secret));
        let wrong = sealed.open(b"other", &key, false);
        assert_eq!(wrong, Err(ReferenceSealError::Wrong));
    }

    #[test]
    fn a_wrong_phrase_a_wrong_public_key_and_damage_are_refused() {
        let secret = Secret::Seed(Seed::new(true, [9; 32]));
        let whole = sealed(&secret);
        let key = public(&secret);
        assert_eq!(whole.open(b"phrase", &key, true).unwrap(), secret);
        assert_eq!(
            whole.open(b"other", &key, true),
            Err(ReferenceSealError::Wrong)
        );
        assert_eq!(
            whole.open(b"phrase", &[3; 32], true),
            Err(ReferenceSealError::Wrong)
        );
        // The seed says which network it is of.
        assert_eq!(
            whole.open(b"phrase", &key, false),
            Err(ReferenceSealError::Seed)
        );
        let damaged = |change: &dyn Fn(&mut ReferenceSealed)| {
            let mut sealed = whole.clone();
            change(&mut sealed);
            sealed.open(b"phrase", &key, true).unwrap_err()
        };
        assert_eq!(
            damaged(&|sealed| sealed.private_key[20] ^= 1),
            ReferenceSealError::Wrong
        );
        assert_eq!(
            damaged(&|sealed| sealed.seed[20] ^= 1),
            ReferenceSealError::Seed
        );
    }

    #[test]
    fn lengths_that_are_never_written_are_refused_before_any_work() {
        let lengths = [(79, 80), (81, 80), (0, 80), (80, 528)];
        for (private_key, seed) in lengths {
            let sealed = ReferenceSealed {
                salt: SALT,
                private_key: vec![0; private_key],
                seed: vec![0; seed],
            };
            assert_eq!(
                sealed.open(b"p", &[0; 32], true),
                Err(ReferenceSealError::Length)
            );
        }
        for frame in [&b""[..], &[0], &[0, 15, 1, 2], &[255; 16]] {
            assert_eq!(unframed(frame), None);
        }
    }

    #[test]
    fn a_frame_is_filled_to_whole_blocks_and_never_without_a_zero_byte() {
        assert_eq!(framed(None).as_slice(), [0; 16]);
        let seed = Seed::new(true, [9; 32]);
        let frame = framed(Some(&seed));
        assert_eq!(frame.len() % BLOCK, 0);
        assert_eq!(unframed(&frame), Some(Some(seed)));
    }
}
