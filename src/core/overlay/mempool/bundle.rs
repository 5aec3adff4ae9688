//! Bundles: what one position of a timeline holds, where it is in the pools, and what became of one
//! that a peer sent (`proto/mempool.md`, section 4.1). Plain data; nothing here reads a record.

use sha3::{Digest as _, Sha3_256};

use crate::core::id::{AssetId, PayId};
use crate::core::reservoir::Command;

/// What a bundle is; the number is that of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Packed assets, joined.
    Assets = 1,
    /// The packed issues of one pay id, in their order.
    Issues = 2,
    /// One packed transfer.
    Transfer = 3,
    /// A pay id and a client's nonce.
    Proof = 4,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Assets, Self::Issues, Self::Transfer, Self::Proof];

    /// Its number on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// The kind of this number, if there is one.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }

    /// The plain command that carries it to a node of the reference (section 4.6).
    #[must_use]
    pub const fn command(self) -> Command {
        match self {
            Self::Assets => Command::Assets,
            Self::Issues => Command::Issues,
            Self::Transfer => Command::Transfer,
            Self::Proof => Command::Proof,
        }
    }
}

/// SHA3-256 of kind and payload: tells two bundles apart.
pub type BundleKey = [u8; 32];

/// The key of a bundle of this kind with these bytes.
#[must_use]
pub fn key_of(kind: Kind, payload: &[u8]) -> BundleKey {
    Sha3_256::new()
        .chain_update([kind.byte()])
        .chain_update(payload)
        .finalize()
        .into()
}

/// A bundle with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What it is.
    pub kind: Kind,
    /// The one parameter that its plain command would have.
    pub payload: Vec<u8>,
}

impl Bundle {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> BundleKey {
        key_of(self.kind, &self.payload)
    }
}

/// Where a bundle is in the pools, which own its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locator {
    /// One cached asset.
    Assets(AssetId),
    /// The issues of a pay id.
    Issues(PayId),
    /// The transfer of a pay id.
    Transfer(PayId),
    /// The proof for the issues of a pay id.
    Proof(PayId),
}

impl Locator {
    /// What is there.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Assets(_) => Kind::Assets,
            Self::Issues(_) => Kind::Issues,
            Self::Transfer(_) => Kind::Transfer,
            Self::Proof(_) => Kind::Proof,
        }
    }
}

/// The pools of unconfirmed records, as this machine sees them.
pub trait Pools {
    /// The bytes of a bundle as section 4.1 lists them; `None`: it is there no more.
    fn payload(&self, locator: &Locator) -> Option<Vec<u8>>;

    /// The unconfirmed bundles that must come before it: of issues their assets that no block has,
    /// of a proof its issues; of others none. One that is missing from the pools and from the
    /// chain is named too: what needs it is then not ready.
    fn needs(&self, locator: &Locator) -> Vec<Locator>;
}

/// What the pools said to a bundle that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the pools now.
    Accepted,
    /// It was there.
    Duplicate,
    /// It can never be.
    Invalid,
    /// Something that it needs is missing; it may be tried again.
    Waits,
    /// There was no room for it: nothing is decided, nor for what stands behind it.
    NoRoom,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_digest_of_the_kind_and_the_payload() {
        let bundle = Bundle {
            kind: Kind::Issues,
            payload: b"abc".to_vec(),
        };
        let digest: [u8; 32] = Sha3_256::digest(b"\x02abc").into();
        assert_eq!(bundle.key(), digest);
        assert_ne!(key_of(Kind::Transfer, b"abc"), digest);
    }

    #[test]
    fn kinds_have_the_numbers_of_the_wire_and_no_others() {
        for (byte, name) in [(1, "assets"), (2, "issues"), (3, "transfer"), (4, "proof")] {
            let kind = Kind::from_byte(byte).unwrap();
            assert_eq!(kind.byte(), byte);
            assert_eq!(kind.command().text(), name);
        }
        for byte in (5..=255).chain([0]) {
            assert_eq!(Kind::from_byte(byte), None);
        }
    }
}
