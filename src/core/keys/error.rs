//! What can be wrong with a key, in the reference's words.

use thiserror::Error;

use crate::core::id::IdError;

/// Why bytes or a text are no key, or a signature is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Text that is not base58, or nothing.
    #[error("cannot decode account")]
    CannotDecodeAccount,
    /// Text that is not base58, or nothing.
    #[error("cannot decode private key")]
    CannotDecodePrivateKey,
    /// Text that is not base58, or nothing.
    #[error("cannot decode seed")]
    CannotDecodeSeed,
    /// The key code is missing or says "private".
    #[error("not public key")]
    NotPublicKey,
    /// The key code is missing or says "public".
    #[error("not private key")]
    NotPrivateKey,
    /// An algorithm that nobody knows.
    #[error("invalid key type")]
    InvalidKeyType,
    /// Too few or too many bytes for the algorithm.
    #[error("invalid key length")]
    InvalidKeyLength,
    /// The last four bytes of a text are not the hash of the others.
    #[error("checksum mismatch")]
    ChecksumMismatch,
    /// A seed of a wrong size.
    #[error("invalid seed length")]
    InvalidSeedLength,
    /// A seed of an unknown version.
    #[error("invalid seed header")]
    InvalidSeedHeader,
    /// The signature does not prove what it should.
    #[error("invalid signature")]
    InvalidSignature,
    /// The proofer's signing key file holds neither `SEED:` nor `PRIVATE:`.
    #[error("invalid proof signing key")]
    InvalidProofSigningKey,
    /// Bad digits in a key file.
    #[error(transparent)]
    Digits(#[from] IdError),
    /// No `PUBLIC:` with 64 digits.
    #[error("invalid public key file")]
    InvalidPublicKeyFile,
    /// No `PRIVATE:` with 64 digits.
    #[error("invalid private key file")]
    InvalidPrivateKeyFile,
}
