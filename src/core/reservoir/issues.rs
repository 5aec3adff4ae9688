//! Storing a set of issues (`proto/reservoir.md`, section 5). On any error nothing is stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ahead::{self, Told};
use super::caps::Source;
use super::confirmed::Confirmed;
use super::due::Due;
use super::error::Refusal;
use super::members::{Member, Members};
use super::set::{Kind, Set, Verification};
use super::{LIFE_S, Reservoir};
use crate::core::block::Target;
use crate::core::id::{PayId, PayNonce, TxId};
use crate::core::keys::Account;
use crate::core::record::BitmarkIssue;

/// What a client needs to verify its set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuesStored {
    /// What a proof or a payment names.
    pub pay_id: PayId,
    /// Goes into the proof.
    pub pay_nonce: PayNonce,
    /// What the digest of the proof must not exceed.
    pub target: Target,
    /// The issues, in order.
    pub tx_ids: Vec<TxId>,
    /// The same, packed.
    pub packed: Vec<Arc<[u8]>>,
    /// What may be paid instead of a proof. A repeat is not told.
    pub payments: Option<Due>,
    /// The very set was known.
    pub duplicate: bool,
}

impl Reservoir {
    /// Stores a set; `None` stands for an issue that is absent or without an owner.
    pub(super) fn store_issues(
        &mut self,
        issues: Vec<Option<BitmarkIssue>>,
        source: Source,
        confirmed: &Confirmed<'_>,
    ) -> Result<IssuesStored, Refusal> {
        let issues: Vec<_> = issues.iter().map(Option::as_ref).collect();
        self.store(&issues, None, None, source, confirmed)
    }

    /// Stores the set that a message with this digest is. What others check of it is told.
    pub(super) fn store_message(
        &mut self,
        issues: &[BitmarkIssue],
        message: (&[u8], PayId),
        told: Option<&Told<'_>>,
        source: Source,
        confirmed: &Confirmed<'_>,
    ) -> Result<IssuesStored, Refusal> {
        let issues: Vec<_> = issues.iter().map(Some).collect();
        self.store(&issues, Some(message), told, source, confirmed)
    }

    fn store(
        &mut self,
        issues: &[Option<&BitmarkIssue>],
        message: Option<(&[u8], PayId)>,
        told: Option<&Told<'_>>,
        source: Source,
        confirmed: &Confirmed<'_>,
    ) -> Result<IssuesStored, Refusal> {
        if issues.len() > confirmed.chain().rules.issues_max {
            return Err(Refusal::TooManyItems);
        }
        if issues.is_empty() {
            return Err(Refusal::MissingParameters);
        }
        let mut ids = Vec::with_capacity(issues.len());
        let mut all_packed = Vec::with_capacity(issues.len());
        let mut owners = BTreeSet::new();
        let mut seen = false;
        let mut known = None;
        for (number, issue) in issues.iter().enumerate() {
            let issue = issue.ok_or(Refusal::InvalidItem)?;
            let (owner, asset) = (issue.owner, issue.asset_id);
            if owner.testing != confirmed.chain().testing {
                return Err(Refusal::WrongNetwork);
            }
            let (packed, is_checked_now) = match told {
                Some(told) => told.pack(number, issue, &mut self.verifier),
                None => (ahead::pack(issue, &mut self.verifier), true),
            };
            self.checked_here += u64::from(is_checked_now);
            let (packed, id) = packed?;
            // Most sets are of one asset.
            if known != Some(asset) {
                if !self.has_cached_asset(&asset) && !confirmed.has_asset(&asset)? {
                    return Err(Refusal::AssetNotFound);
                }
                known = Some(asset);
            }
            match self.pools.set_of(&id) {
                Some((_, set)) if set.verified.is_none() => seen = true,
                Some(_) => return Err(Refusal::AlreadyExists),
                None if confirmed.has_transaction(&id)? => return Err(Refusal::AlreadyExists),
                None => {}
            }
            owners.insert(owner);
            all_packed.push(packed);
            ids.push((id, asset));
        }
        let members: Members = ids
            .iter()
            .zip(&all_packed)
            .map(|((id, asset), packed)| Member {
                id: *id,
                packed,
                asset: Some(*asset),
                confirmed: false,
            })
            .collect();
        let packed = || all_packed.iter().map(AsRef::as_ref);
        let pay_id = match message {
            Some((data, digest)) => ahead::pay_id(packed(), data, digest),
            None => PayId::of(packed()),
        };
        let mut stored = IssuesStored {
            pay_id,
            pay_nonce: confirmed.pay_nonce(),
            target: confirmed.issue_target(members.len()),
            tx_ids: ids.into_iter().map(|(id, _)| id).collect(),
            packed: all_packed,
            payments: None,
            duplicate: self.pools.sets.contains_key(&pay_id),
        };
        if stored.duplicate {
            return Ok(stored);
        }
        if seen {
            return Err(Refusal::AlreadyExists);
        }
        let assets: BTreeSet<_> = members.iter().filter_map(|member| member.asset).collect();
        let due = Due::for_issues(confirmed, &assets, members.len())?;
        let set = Set {
            kind: Kind::Issues { owners },
            members,
            due: due.clone(),
            source,
            deadline: self.time.saturating_add(LIFE_S),
            verified: None,
        };
        self.room_for(&set)?;
        self.put_new(pay_id, set);
        stored.payments = due;
        Ok(stored)
    }

    /// Whether an owner has as many sets as one may have.
    #[must_use]
    pub fn is_owner_full(&self, owner: &Account) -> bool {
        let many = self.pools.owners.get(owner).copied().unwrap_or_default();
        many >= self.caps.sets_per_owner
    }

    /// # Errors
    /// [`Refusal::OwnerFull`], [`Refusal::Full`]
    pub(super) fn room_for(&mut self, set: &Set) -> Result<(), Refusal> {
        if let Kind::Issues { owners } = &set.kind
            && owners.iter().any(|owner| self.is_owner_full(owner))
        {
            self.full(set.source);
            return Err(Refusal::OwnerFull);
        }
        let kept = set.assets().collect();
        self.admit(set.source, set.room(), &kept)
    }

    /// Puts a new set, verified if it was paid for beforehand.
    pub(super) fn put_new(&mut self, pay_id: PayId, mut set: Set) {
        let paid = self.pools.orphans.get(&pay_id).is_some_and(|orphan| {
            set.due
                .as_ref()
                .is_some_and(|due| due.is_paid_by(&orphan.by_coin()))
        });
        if paid {
            self.pools.take_orphan(&pay_id);
            set.verified = Some((Verification::Payment, self.time));
        }
        self.pools.put_set(pay_id, set);
    }

    /// Moves a pending set to the verified ones, whole.
    pub(super) fn verify(&mut self, pay_id: &PayId, by: Verification) {
        if let Some(mut set) = self.pools.take_set(pay_id) {
            set.verified = Some((by, self.time));
            self.pools.put_set(*pay_id, set);
        }
        self.pools.take_orphan(pay_id);
    }
}
