//! Why something is not taken, in the reference's words (`proto/reservoir.md`, sections 4 to 8 and
//! 11).

use thiserror::Error;

use crate::core::ledger::LedgerError;
use crate::core::mining::proof::InvalidNonce;
use crate::core::record::RecordError;
use crate::core::state::StoreFault;

/// A rule that a submission breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A record that is none, or not valid.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nothing was sent.
    #[error("missing parameters")]
    MissingParameters,
    /// The mode is not Normal.
    #[error("not available during synchronise")]
    NotAvailable,
    /// Another kind of record.
    #[error("transaction is not an asset")]
    NotAnAsset,
    /// Another kind of record.
    #[error("transaction is not an issue")]
    NotAnIssue,
    /// Another kind of record.
    #[error("transaction is not a transfer")]
    NotATransfer,
    /// All of it was here before.
    #[error("no new transactions")]
    NoNewTransactions,
    /// It was here before, or overlaps with what was.
    #[error("transaction already exists")]
    AlreadyExists,
    /// Another asset has the fingerprint.
    #[error("assets already registered")]
    AssetsAlreadyRegistered,
    /// An issue of an asset that nobody knows.
    #[error("asset not found")]
    AssetNotFound,
    /// More than a hundred.
    #[error("too many items to process")]
    TooManyItems,
    /// A member without an owner.
    #[error("invalid item")]
    InvalidItem,
    /// The link is not confirmed, or of a kind that cannot be followed.
    #[error("link to invalid or unconfirmed transaction")]
    InvalidLink,
    /// The link is spoken for, or spent.
    #[error("double transfer attempt")]
    DoubleTransfer,
    /// A transfer of itself.
    #[error("transaction links to self")]
    LinksToSelf,
    /// A nonce of a wrong length.
    #[error(transparent)]
    Nonce(#[from] InvalidNonce),
    /// A proof that is not accepted.
    #[error("payId already used")]
    PayIdUsed,
    /// Fewer records are wanted than none.
    #[error("invalid count")]
    InvalidCount,
    /// No room.
    #[error("reservoir is full")]
    Full,
    /// The former owner's payment is in no coin.
    #[error("invalid currency")]
    InvalidCurrency,
}

/// Why a step did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReservoirError {
    /// A rule is broken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The index contradicts itself.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<RecordError> for ReservoirError {
    fn from(error: RecordError) -> Self {
        Self::Refused(error.into())
    }
}
