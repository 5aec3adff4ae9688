//! The four messages of peers (`proto/reservoir.md`, section 11). One that is good as a whole is
//! passed on as it came; of assets the good ones before a bad one stay, and none makes room for the
//! next.

use std::collections::BTreeSet;

use super::ahead::Told;
use super::caps::Source;
use super::confirmed::Confirmed;
use super::error::Refusal;
use super::issues::IssuesStored;
use super::proofs::ProofStatus;
use super::{Answer, Command, Effect, Reservoir};
use crate::core::id::PayId;
use crate::core::mining::proof::{ClientNonce, InvalidNonce};
use crate::core::record::{BitmarkIssue, Record, RecordError};

impl Reservoir {
    pub(super) fn on_peer(
        &mut self,
        command: Command,
        data: Vec<u8>,
        source: Source,
        confirmed: &Confirmed<'_>,
    ) -> Result<Answer, Refusal> {
        if !self.normal {
            return Err(Refusal::Synchronising);
        }
        if data.is_empty() {
            return Err(Refusal::MissingParameters);
        }
        let answer = match command {
            Command::Assets => self.peer_assets(&data, source, confirmed)?,
            // The very bytes were checked when they came first.
            Command::Transfer if self.is_known(&PayId::of([data.as_slice()]), true) => {
                return Err(Refusal::AlreadyExists);
            }
            Command::Issues => {
                let stored = self.peer_issues(&data, source, confirmed)?;
                if stored.duplicate {
                    return Err(Refusal::AlreadyExists);
                }
                Answer::Issues(stored)
            }
            Command::Transfer => {
                let record = unpack_transfer(&data, confirmed.chain().testing)?;
                let stored = self.store_transfer(&record, source, confirmed)?;
                if stored.duplicate {
                    return Err(Refusal::AlreadyExists);
                }
                Answer::Transfer(stored)
            }
            Command::Proof => {
                let (pay_id, nonce) = data.split_first_chunk().ok_or(InvalidNonce)?;
                let nonce = ClientNonce::new(nonce)?;
                match self.try_proof(&PayId(*pay_id), nonce, confirmed) {
                    ProofStatus::Accepted => Answer::Proof(ProofStatus::Accepted),
                    _ => return Err(Refusal::PayIdAlreadyUsed),
                }
            }
        };
        self.effects.push(Effect::Relay { command, data });
        Ok(answer)
    }

    /// Whether just these records are a set of this kind; of transfers a pending one, for what is
    /// verified is refused in another way.
    fn is_known(&self, digest: &PayId, is_transfer: bool) -> bool {
        self.pools.sets.get(digest).is_some_and(|set| {
            let is_of_kind = set.link().is_some() == is_transfer;
            is_of_kind && !(is_transfer && set.verified.is_some())
        })
    }

    fn peer_issues(
        &mut self,
        data: &[u8],
        source: Source,
        confirmed: &Confirmed<'_>,
    ) -> Result<IssuesStored, Refusal> {
        let checked = self.checked.clone();
        let told = checked.as_deref().and_then(|all| Told::of(all, data));
        let digest = told
            .as_ref()
            .map_or_else(|| PayId::of([data]), Told::digest);
        if self.is_known(&digest, false) {
            return Err(Refusal::AlreadyExists);
        }
        let message = (data, digest);
        match &told {
            Some(one) => {
                let issues = &one.message.issues;
                self.store_message(issues, message, Some(one), source, confirmed)
            }
            None => {
                let issues = unpack_issues(data, confirmed.chain().testing)?;
                self.store_message(&issues, message, None, source, confirmed)
            }
        }
    }

    fn peer_assets(
        &mut self,
        data: &[u8],
        source: Source,
        confirmed: &Confirmed<'_>,
    ) -> Result<Answer, Refusal> {
        let mut assets = Vec::new();
        let mut kept = BTreeSet::new();
        for record in records(data, confirmed.chain().testing) {
            let Record::AssetData(asset) = record? else {
                return Err(Refusal::NotAnAsset);
            };
            // No set has more, and each costs a check of its signature.
            if assets.len() >= confirmed.chain().rules.issues_max {
                return Err(Refusal::TooManyItems);
            }
            let cached = self.cache_asset(asset, source, &kept, confirmed)?;
            kept.insert(cached.0);
            assets.push(cached);
        }
        if assets.iter().any(|(_, new)| *new) {
            Ok(Answer::Assets(assets))
        } else {
            Err(Refusal::NothingNew)
        }
    }
}

/// The records of a message, one by one; none behind one that can not be read.
fn records(data: &[u8], testing: bool) -> impl Iterator<Item = Result<Record, RecordError>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let read = Record::unpack(rest, testing);
        rest = match &read {
            Ok((_, used)) => rest.get(*used..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(read.map(|(record, _)| record))
    })
}

/// Reads the issues of a set. The bytes bound their number: one has more than 100.
///
/// # Errors
/// The first record that can not be read or is something else.
pub fn unpack_issues(data: &[u8], testing: bool) -> Result<Vec<BitmarkIssue>, Refusal> {
    records(data, testing)
        .map(|record| match record? {
            Record::BitmarkIssue(issue) => Ok(issue),
            _ => Err(Refusal::NotAnIssue),
        })
        .collect()
}

/// The records of a message, each by itself.
///
/// # Errors
/// Bytes that are no record.
pub fn split_records(data: &[u8], testing: bool) -> Result<Vec<&[u8]>, Refusal> {
    let mut rest = data;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (_, used) = Record::unpack(rest, testing)?;
        let (one, left) = rest
            .split_at_checked(used)
            .filter(|(one, _)| !one.is_empty())
            .ok_or(Refusal::MissingParameters)?;
        all.push(one);
        rest = left;
    }
    Ok(all)
}

/// Reads one transfer; what stands behind it is not looked at.
///
/// # Errors
/// Bytes that are no record, or no transfer.
pub fn unpack_transfer(data: &[u8], testing: bool) -> Result<Record, Refusal> {
    let (record, _) = Record::unpack(data, testing)?;
    if record.link().is_some() {
        Ok(record)
    } else {
        Err(Refusal::NotATransfer)
    }
}
