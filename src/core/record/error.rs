//! Why bytes are no record, or a record is not valid: the reference's texts.

use thiserror::Error;

use crate::core::currency::CurrencyError;
use crate::core::id::IdError;
use crate::core::keys::KeyError;

/// A rule that a record breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes end inside a record, or a tag, a length or an escrow mark is wrong.
    #[error("not transaction pack")]
    NotTransactionPack,
    /// A link of a wrong length, an asset id of a wrong length, or bad text of one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// An account or a signature.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A coin, an address, a payment map.
    #[error(transparent)]
    Currency(#[from] CurrencyError),
    /// An account of the other network.
    #[error("wrong network for public key")]
    WrongNetwork,
    /// A signature longer than any.
    #[error("signature too long")]
    SignatureTooLong,
    /// No owner, or one that nobody can be.
    #[error("invalid owner or registrant")]
    InvalidOwner,
    /// An empty name.
    #[error("name too short")]
    NameTooShort,
    /// More than 64 characters.
    #[error("name too long")]
    NameTooLong,
    /// An empty fingerprint.
    #[error("fingerprint too short")]
    FingerprintTooShort,
    /// More than 1024 characters.
    #[error("fingerprint too long")]
    FingerprintTooLong,
    /// More than 2048 characters.
    #[error("metadata too long")]
    MetadataTooLong,
    /// Not pairs of key and value.
    #[error("metadata is not map")]
    MetadataIsNotMap,
    /// JSON of another shape; the text is ours.
    #[error("json: {0}")]
    Json(String),
}

impl RecordError {
    /// Whether it is the signature that is wrong.
    #[must_use]
    pub const fn is_signature(&self) -> bool {
        matches!(self, Self::Key(KeyError::InvalidSignature))
    }
}
