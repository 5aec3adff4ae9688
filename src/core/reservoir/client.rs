//! The calls of clients, who give structures instead of bytes (`proto/reservoir.md`, section 11).
//! Only what was accepted is broadcast.

use std::collections::BTreeSet;

use super::confirmed::Confirmed;
use super::error::Refusal;
use super::proofs::ProofStatus;
use super::{Answer, Command, Effect, Reservoir};
use crate::core::id::PayId;
use crate::core::mining::proof::ClientNonce;
use crate::core::record::{AssetData, BitmarkIssue, BitmarkTransferUnratified, Record};

/// What a client asks. `None` stands for a record that is absent or has no owner.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// `Bitmarks.Create`
    Create {
        /// Assets to cache.
        assets: Vec<Option<AssetData>>,
        /// One set.
        issues: Vec<Option<BitmarkIssue>>,
    },
    /// `Bitmarks.Proof`
    Proof {
        /// What it proves.
        pay_id: PayId,
        /// The nonce.
        nonce: Vec<u8>,
    },
    /// `Bitmark.Transfer`, `BlockOwner.Transfer`
    Transfer(Box<Option<Record>>),
}

impl Reservoir {
    pub(super) fn on_client(
        &mut self,
        request: Request,
        confirmed: &Confirmed<'_>,
    ) -> Result<Answer, Refusal> {
        match request {
            Request::Create { assets, issues } => self.create(assets, issues, confirmed),
            Request::Proof { pay_id, nonce } => {
                self.check_mode()?;
                let nonce = ClientNonce::new(&nonce)?;
                let data = [pay_id.0.as_slice(), nonce.as_bytes()].concat();
                let status = self.try_proof(&pay_id, nonce, confirmed);
                if status == ProofStatus::Accepted {
                    self.send(Command::Proof, data);
                }
                Ok(Answer::Proof(status))
            }
            Request::Transfer(record) => {
                self.check_mode()?;
                let record = ratified((*record).ok_or(Refusal::InvalidItem)?);
                if record.owner().testing != confirmed.chain().testing {
                    return Err(Refusal::WrongNetwork);
                }
                let stored = self.store_transfer(&record, None, confirmed)?;
                if !stored.duplicate {
                    self.send(Command::Transfer, stored.packed.clone());
                }
                Ok(Answer::Transfer(stored))
            }
        }
    }

    fn create(
        &mut self,
        assets: Vec<Option<AssetData>>,
        issues: Vec<Option<BitmarkIssue>>,
        confirmed: &Confirmed<'_>,
    ) -> Result<Answer, Refusal> {
        let most = confirmed.chain().rules.issues_max;
        if assets.len() > most || issues.len() > most {
            return Err(Refusal::TooManyItems);
        }
        if assets.is_empty() && issues.is_empty() {
            return Err(Refusal::MissingParameters);
        }
        self.check_mode()?;
        let mut cached = Vec::new();
        let mut kept = BTreeSet::new();
        let mut failed = Ok(());
        for asset in assets {
            let result = asset
                .ok_or(Refusal::InvalidItem)
                .and_then(|asset| self.cache_asset(asset, None, &kept, confirmed));
            match result {
                Ok(asset) => {
                    kept.insert(asset.0);
                    cached.push(asset);
                }
                Err(refusal) => {
                    failed = Err(refusal);
                    break;
                }
            }
        }
        // What stays cached is known to peers, whatever becomes of the rest.
        let new = cached.iter().filter(|(_, new)| *new);
        let packed: Vec<u8> = new
            .filter_map(|(id, _)| self.cached_asset(id))
            .flatten()
            .copied()
            .collect();
        if !packed.is_empty() {
            self.send(Command::Assets, packed);
        }
        failed?;
        let stored = if issues.is_empty() {
            None
        } else {
            Some(self.store_issues(issues, None, confirmed)?)
        };
        if let Some(new) = stored.as_ref().filter(|stored| !stored.duplicate) {
            self.send(Command::Issues, new.packed.concat());
        }
        Ok(Answer::Created {
            assets: cached,
            issues: stored,
        })
    }

    const fn check_mode(&self) -> Result<(), Refusal> {
        if self.normal {
            Ok(())
        } else {
            Err(Refusal::Synchronising)
        }
    }

    pub(super) fn send(&mut self, command: Command, data: Vec<u8>) {
        self.effects.push(Effect::Relay { command, data });
    }
}

/// An empty countersignature makes an unratified transfer.
fn ratified(record: Record) -> Record {
    match record {
        Record::BitmarkTransferCountersigned(record) if record.countersignature.is_empty() => {
            Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
                link: record.link,
                escrow: record.escrow,
                owner: record.owner,
                signature: record.signature,
            })
        }
        record => record,
    }
}
