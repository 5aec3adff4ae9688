//! Sets of issues (`proto/reservoir.md`, sections 5 and 7).

use std::collections::BTreeSet;

use super::payments::Alternatives;
use super::{
    Confirmed, Kind, LIFE_S, Member, ProofStatus, Refusal, Reservoir, ReservoirError, Set, Source,
    State, Verified, payments,
};
use crate::core::block::Target;
use crate::core::block::difficulty::issue_target;
use crate::core::id::{PayId, PayNonce, TxId};
use crate::core::ledger::read;
use crate::core::mining::proof::{self, ClientNonce};
use crate::core::record::{BitmarkIssue, Record, RecordError};
use crate::core::time::Now;

/// The answer to a set of issues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIssues {
    /// What it is paid for under.
    pub pay_id: PayId,
    /// Where a proof starts from.
    pub pay_nonce: PayNonce,
    /// What a proof has to meet.
    pub target: Target,
    /// The transactions.
    pub ids: Vec<TxId>,
    /// The canonical bytes of all.
    pub packed: Vec<u8>,
    /// How it can be paid for instead, if all assets are confirmed in one block.
    pub payments: Option<Alternatives>,
    /// Whether it was here before.
    pub duplicate: bool,
}

impl Reservoir {
    /// Takes a set of issues, in this order.
    ///
    /// # Errors
    /// The rule that it breaks; nothing has changed then.
    pub fn store_issues(
        &mut self,
        now: Now,
        issues: Vec<BitmarkIssue>,
        source: Source,
        state: Confirmed<'_>,
    ) -> Result<StoredIssues, ReservoirError> {
        self.clock.see(now);
        let count = issues.len();
        if count > self.chain.rules.issues_max {
            return Err(Refusal::TooManyItems.into());
        }
        if count == 0 {
            return Err(Refusal::MissingParameters.into());
        }
        let mut members: Vec<Member> = Vec::with_capacity(count);
        let mut assets = BTreeSet::new();
        let mut owners = BTreeSet::new();
        let mut seen = false;
        for issue in issues {
            let (owner, asset) = (issue.owner, issue.asset_id);
            if owner.testing != self.chain.testing {
                return Err(RecordError::WrongNetwork.into());
            }
            let packed = Record::BitmarkIssue(issue).pack(&owner)?;
            if !self.has_asset(&asset) && !read::has_asset(state.view, &asset)? {
                return Err(Refusal::AssetNotFound.into());
            }
            let id = TxId::of(&packed);
            match self.index.get(&id).and_then(|known| self.sets.get(known)) {
                Some(set) if set.is_pending() => seen = true,
                Some(_) => return Err(Refusal::AlreadyExists.into()),
                None => {}
            }
            if read::has_transaction(state.view, &id)? {
                return Err(Refusal::AlreadyExists.into());
            }
            assets.insert(asset);
            owners.insert(owner);
            members.push(Member {
                id,
                packed: packed.into(),
                present: true,
            });
        }
        let pay_id = PayId::of(members.iter().map(|member| &*member.packed));
        let ids: Vec<TxId> = members.iter().map(|member| member.id).collect();
        let packed: Vec<u8> = members.iter().flat_map(|m| m.packed.to_vec()).collect();
        // One issue twice in a set is one transaction.
        let mut first = BTreeSet::new();
        for member in &mut members {
            member.present = first.insert(member.id);
        }
        let mut answer = StoredIssues {
            pay_id,
            pay_nonce: state.ledger.ring().latest(),
            target: issue_target(self.chain, count),
            ids,
            packed,
            payments: None,
            duplicate: false,
        };
        if let Some(set) = self.sets.get(&pay_id) {
            answer.payments.clone_from(&set.payments);
            answer.duplicate = true;
            return Ok(answer);
        }
        if seen {
            return Err(Refusal::AlreadyExists.into());
        }
        answer.payments = payments::for_issues(&assets, count, state, self.chain)?;
        self.room_for(
            source,
            first.len(),
            answer.packed.len(),
            owners.iter().copied(),
        )?;
        let paid = self.take_orphan(&pay_id, answer.payments.as_ref());
        let set = Set {
            kind: Kind::Issues { assets },
            members,
            state: if paid {
                State::Verified(Verified::Payment)
            } else {
                State::Pending
            },
            payments: answer.payments.clone(),
            deadline: self.clock.now().saturating_add(LIFE_S),
            number: 0,
            source,
            owners,
            next_broadcast: 0,
        };
        self.insert(now, pay_id, set);
        Ok(answer)
    }

    /// Tries a proof for a set.
    pub fn try_proof(
        &mut self,
        now: Now,
        pay_id: &PayId,
        nonce: &ClientNonce,
        state: Confirmed<'_>,
    ) -> ProofStatus {
        self.clock.see(now);
        let Some(set) = self.sets.get(pay_id).filter(|set| set.is_pending()) else {
            return ProofStatus::NotFound;
        };
        if !matches!(set.kind, Kind::Issues { .. }) {
            return ProofStatus::Invalid;
        }
        let target = issue_target(self.chain, set.members.len());
        let nonces = state.ledger.ring().candidates();
        if proof::check(pay_id, nonces, nonce, &target).is_none() {
            return ProofStatus::Invalid;
        }
        self.set_verified(pay_id, Verified::Proof(nonce.clone()));
        ProofStatus::Accepted
    }
}
