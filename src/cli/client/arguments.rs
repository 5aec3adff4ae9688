//! Ids, accounts and keys on the command line: what is wrong with one, and what is wanted.

use crate::core::id::{PayId, TxId};
use crate::core::keys::{Account, PeerPublicKey};

/// The id of an issue or a transfer.
pub fn tx_id(text: &str) -> Result<TxId, String> {
    text.parse()
        .map_err(|_| "the id of an issue or a transfer is wanted: 64 hex digits".to_owned())
}

/// The id of a payment.
pub fn pay_id(text: &str) -> Result<PayId, String> {
    text.parse()
        .map_err(|_| "a payment id is wanted: 96 hex digits".to_owned())
}

/// An account.
pub fn account(text: &str) -> Result<Account, String> {
    text.parse().map_err(|error| {
        format!("{error}: an account is wanted, not a name (`identity list` shows both)")
    })
}

/// The public key of a node.
pub fn public_key(text: &str) -> Result<PeerPublicKey, String> {
    PeerPublicKey::from_text(text)
        .map_err(|_| "the public key of a node is wanted: 64 hex digits".to_owned())
}
