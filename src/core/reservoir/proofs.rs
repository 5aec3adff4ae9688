//! Proofs of work for sets of issues (`proto/reservoir.md`, section 7). The check itself is
//! `core::mining::proof`.

use super::Reservoir;
use super::confirmed::Confirmed;
use super::set::{Kind, Verification};
use crate::core::id::PayId;
use crate::core::mining::proof::{self, ClientNonce};

/// What became of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofStatus {
    /// The set is verified by it.
    Accepted,
    /// It proves nothing, or not for this kind of record.
    Invalid,
    /// No pending set has this pay id.
    NotFound,
}

impl ProofStatus {
    /// As clients are told.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Invalid => "Invalid",
            Self::NotFound => "NotFound",
        }
    }
}

impl Reservoir {
    pub(super) fn try_proof(
        &mut self,
        pay_id: &PayId,
        nonce: ClientNonce,
        confirmed: &Confirmed<'_>,
    ) -> ProofStatus {
        let set = match self.pools.sets.get(pay_id) {
            Some(set) if set.verified.is_none() => set,
            _ => return ProofStatus::NotFound,
        };
        if matches!(set.kind, Kind::Transfer { .. }) {
            return ProofStatus::Invalid;
        }
        let target = confirmed.issue_target(set.members.len());
        if proof::check(pay_id, confirmed.pay_nonces(), &nonce, &target).is_none() {
            return ProofStatus::Invalid;
        }
        self.verify(pay_id, Verification::Proof(nonce));
        ProofStatus::Accepted
    }
}
