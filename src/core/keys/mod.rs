//! Accounts, private keys and seeds, peer keys, their binary and text forms
//! (`proto/records.md`, section 4; `proto/peer.md`, section 1.3), and how secrets are sealed.
//!
//! Nothing here reads a file or draws a random number.

pub mod account;
pub mod base58;
pub mod error;
pub mod peer_key;
pub mod private_key;
pub mod reference_seal;
pub mod sealed;
pub mod secret;
pub mod seed;
pub mod verifier;

pub use account::{Account, PublicKey};
pub use error::KeyError;
pub use peer_key::{PeerPrivateKey, PeerPublicKey};
pub use private_key::PrivateKey;
pub use secret::{Secret, SecretError};
pub use seed::Seed;
pub use verifier::Verifier;
