//! Why something does not go into the pools: the texts of `proto/reservoir.md`, one variant a
//! rule. Nothing is decided here.

use thiserror::Error;

use crate::core::mining::proof::InvalidNonce;
use crate::core::record::RecordError;
use crate::core::state::StoreFault;

/// A rule that a submission breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The record itself, or its bytes.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// An empty message, an empty set.
    #[error("missing parameters")]
    MissingParameters,
    /// More than one set may have.
    #[error("too many items to process")]
    TooManyItems,
    /// A record or its owner is absent.
    #[error("invalid item")]
    InvalidItem,
    /// An account of the other network.
    #[error("wrong network for public key")]
    WrongNetwork,
    /// The node is not in mode Normal.
    #[error("not available during synchronise")]
    Synchronising,
    /// Something else among the assets.
    #[error("transaction is not an asset")]
    NotAnAsset,
    /// Something else among the issues.
    #[error("transaction is not an issue")]
    NotAnIssue,
    /// Something else than a transfer.
    #[error("transaction is not a transfer")]
    NotATransfer,
    /// Every asset of the message is known.
    #[error("no new transactions")]
    NothingNew,
    /// Another asset with the same fingerprint waits already.
    #[error("assets already registered")]
    AssetsAlreadyRegistered,
    /// Neither confirmed nor cached.
    #[error("asset not found")]
    AssetNotFound,
    /// Known, or part of something known.
    #[error("transaction already exists")]
    AlreadyExists,
    /// The link is not confirmed, or can not be followed by this record.
    #[error("link to invalid or unconfirmed transaction")]
    InvalidLink,
    /// The link is taken, by a pending transfer or on the chain.
    #[error("double transfer attempt")]
    DoubleTransfer,
    /// The record is its own link.
    #[error("transaction links to self")]
    LinksToSelf,
    /// A block that a fee is due to names nobody who gets it. The reference ends here.
    #[error("missing block owner")]
    MissingBlockOwner,
    /// A client nonce outside of 8 to 64 bytes, or a message too short for a pay id.
    #[error(transparent)]
    Nonce(#[from] InvalidNonce),
    /// A proof from a peer that verifies nothing.
    #[error("payId already used")]
    PayIdAlreadyUsed,
    /// Fewer than one record is asked for.
    #[error("invalid count")]
    InvalidCount,
    /// Records go only while none are handed out. The reference ends here.
    #[error("reservoir delete tx id when not locked")]
    DeleteIdUnlocked,
    /// The same, by link. The reference ends here.
    #[error("reservoir delete link when not locked")]
    DeleteLinkUnlocked,
    /// A bound is reached; what is inside stays.
    #[error("reservoir is full")]
    Full,
    /// An owner of the set has as many sets as one may have.
    #[error("reservoir is full")]
    OwnerFull,
    /// The store can not be read: a fault of this machine.
    #[error(transparent)]
    Store(#[from] StoreFault),
}
