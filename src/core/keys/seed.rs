//! Seeds: the short text from which a private key is made (`proto/records.md`, section 4.5).

use std::fmt;

use crypto_secretbox::aead::AeadInPlace as _;
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305};
use zeroize::Zeroizing;

use super::{KeyError, base58};

const HEADER: [u8; 3] = [0x5a, 0xfe, 0x01];
const TESTING: u8 = 1;
const LIVE: u8 = 0;
const CORE_SIZE: usize = 32;
const DECODED_SIZE: usize = HEADER.len() + 1 + CORE_SIZE + 4;

/// A seed and its network.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed {
    /// As read; 1 is testing, all else is live.
    network: u8,
    core: Zeroizing<[u8; CORE_SIZE]>,
}

impl Seed {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(testing: bool, core: [u8; CORE_SIZE]) -> Self {
        Self {
            network: if testing { TESTING } else { LIVE },
            core: Zeroizing::new(core),
        }
    }

    /// From text.
    ///
    /// # Errors
    /// The first fault in the order of `proto/records.md`, section 4.5.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let decoded = Zeroizing::new(base58::decode(text.as_bytes()));
        if decoded.is_empty() {
            return Err(KeyError::CannotDecodeSeed);
        }
        if decoded.len() != DECODED_SIZE {
            return Err(KeyError::InvalidSeedLength);
        }
        let (payload, agrees) = base58::split_checked(&decoded);
        let rest = payload
            .strip_prefix(&HEADER)
            .ok_or(KeyError::InvalidSeedHeader)?;
        if !agrees {
            return Err(KeyError::ChecksumMismatch);
        }
        let (network, core) = rest.split_first().ok_or(KeyError::InvalidSeedLength)?;
        let core: [u8; CORE_SIZE] = core.try_into().map_err(|_| KeyError::InvalidSeedLength)?;
        Ok(Self {
            network: *network,
            core: Zeroizing::new(core),
        })
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let payload = [&HEADER, [self.network].as_slice(), self.core.as_slice()].concat();
        Zeroizing::new(base58::encode_checked(&Zeroizing::new(payload)))
    }

    /// Whether it is of a test network.
    #[must_use]
    pub const fn is_testing(&self) -> bool {
        self.network == TESTING
    }

    /// The Ed25519 seed: a secretbox of the number 999 under the core, tag first.
    #[must_use]
    pub fn ed25519_seed(&self) -> Zeroizing<[u8; 32]> {
        let mut text = [0_u8; 16];
        text[14..].copy_from_slice(&999_u16.to_be_bytes());
        let cipher = XSalsa20Poly1305::new((&*self.core).into());
        let tag = cipher
            .encrypt_in_place_detached(&[0; 24].into(), b"", &mut text)
            .expect("16 bytes are not too many");
        let mut seed = Zeroizing::new([0; 32]);
        seed[..16].copy_from_slice(&tag);
        seed[16..].copy_from_slice(&text);
        seed
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}
