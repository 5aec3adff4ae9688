//! The shared mempool joined to the rest: what the pools hold is told to it, what peers share is
//! offered to the pools a few records at a time, and its messages leave through the outgoing peers
//! (`proto/mempool.md`, section 4).
//!
//! A batch of a peer is a job; jobs take turns, [`TURN`] bundles in each step, so that nothing else
//! waits for long. Their number is bounded by the machine. An acknowledgement leaves after the flush.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Effect, Engine, Importance, Step};
use crate::core::id::{AssetId, PayId};
use crate::core::keys::PeerPublicKey;
use crate::core::ledger::read;
use crate::core::listener::{Reply, Ticket};
use crate::core::overlay::mempool::{self, Bundle, Kind, Locator, Mempool, Verdict};
use crate::core::reservoir::{self, Caps, Command, Part, Refusal, Reservoir, Room, Source};
use crate::core::state::View;
use crate::core::time::Millis;
use crate::core::upstream;

/// Bundles that are offered to the pools in one step, unless they are larger than
/// [`TURN_BYTES`] together, which is about a hundred signatures.
const TURN: usize = 8;
/// See [`TURN`].
const TURN_BYTES: usize = 16 * 1024;
/// Most assets of a bundle; ours have one each.
const ASSETS_MAX: usize = 100;
/// How long a peer may take to answer a message of the overlay (section 4.7).
const ANSWER_MS: Millis = 10_000;

/// The pools as the shared mempool sees them.
struct Shared<'a> {
    reservoir: &'a Reservoir,
    view: &'a dyn View,
}

impl mempool::Pools for Shared<'_> {
    fn payload(&self, locator: &Locator) -> Option<Vec<u8>> {
        match locator {
            Locator::Assets(id) => self.reservoir.cached_asset(id).map(<[u8]>::to_vec),
            Locator::Issues(pay_id) => self.records(pay_id, false),
            Locator::Transfer(pay_id) => self.records(pay_id, true),
            Locator::Proof(pay_id) => self.reservoir.proof_of(pay_id),
        }
    }

    fn needs(&self, locator: &Locator) -> Vec<Locator> {
        match locator {
            Locator::Issues(pay_id) => {
                let assets = self.reservoir.assets_of(pay_id).into_iter();
                let confirmed = |id: &AssetId| read::has_asset(self.view, id).unwrap_or(false);
                assets
                    .filter(|id| self.reservoir.has_cached_asset(id) || !confirmed(id))
                    .map(Locator::Assets)
                    .collect()
            }
            Locator::Proof(pay_id) => vec![Locator::Issues(*pay_id)],
            Locator::Assets(_) | Locator::Transfer(_) => Vec::new(),
        }
    }
}

impl Shared<'_> {
    fn records(&self, pay_id: &PayId, transfer: bool) -> Option<Vec<u8>> {
        let (records, is_transfer) = self.reservoir.set_records(pay_id)?;
        (is_transfer == transfer).then_some(records)
    }
}

/// Bundles of a peer that are being offered to the pools.
#[derive(Debug)]
pub(super) struct Job {
    id: u64,
    peer: Option<PeerPublicKey>,
    bundles: VecDeque<Bundle>,
    verdicts: Vec<Verdict>,
}

/// Most bundles that the pools can hold: a set has a record or more and a proof at most, and what
/// comes back from blocks may be twice as much again.
pub(super) const fn bundles_held_max(caps: &Caps) -> usize {
    let at_rest = caps
        .pending_records
        .saturating_mul(2)
        .saturating_add(caps.assets);
    at_rest.saturating_mul(3)
}

impl Engine {
    /// What it shares with its peers.
    #[must_use]
    pub const fn mempool(&self) -> &Mempool {
        &self.mempool
    }

    /// Whether the invariants of the shared mempool hold against these pools and this store.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check_shared(&self, view: &dyn View) -> Result<(), String> {
        let reservoir = &self.reservoir;
        self.mempool.check_invariants(&Shared { reservoir, view })
    }

    /// Gives the shared mempool an input and does what it wants.
    pub(super) fn share(&mut self, step: &mut Step<'_>, input: mempool::Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            let pools = Shared {
                reservoir: &self.reservoir,
                view: &step.state,
            };
            self.mempool
                .step(step.now.mono, input, &pools, &mut effects);
            for effect in effects {
                self.shared(step, effect, &mut inputs);
            }
        }
    }

    fn shared(
        &mut self,
        step: &mut Step<'_>,
        effect: mempool::Effect,
        inputs: &mut VecDeque<mempool::Input>,
    ) {
        match effect {
            mempool::Effect::Send {
                peer,
                generation,
                payload,
            } => {
                let frames = vec![mempool::COMMAND.as_bytes().to_vec(), payload];
                inputs.extend(self.send_shared(step, peer, generation, frames, ANSWER_MS));
            }
            mempool::Effect::SendPlain {
                peer,
                generation,
                command,
                parameter,
            } => {
                let frames = vec![command.text().as_bytes().to_vec(), parameter];
                let within = self.settings.timing.upstream.timeout_ms;
                inputs.extend(self.send_shared(step, peer, generation, frames, within));
            }
            mempool::Effect::AskInfo { peer, generation } => {
                let within = self.settings.timing.upstream.timeout_ms;
                let frames = vec![b"I".to_vec()];
                inputs.extend(self.send_shared(step, peer, generation, frames, within));
            }
            mempool::Effect::Answer { ticket, payload } => {
                let reply = Reply::shared(payload);
                // What it acknowledges is on the disk then.
                step.after.push(Effect::Reply(Ticket(ticket), reply));
            }
            mempool::Effect::Validate { job, peer, bundles } => self.jobs.push_back(Job {
                id: job,
                peer,
                bundles: bundles.into(),
                verdicts: Vec::new(),
            }),
            mempool::Effect::Penalise { reason, .. } => self.stats.refuse(reason.text()),
            mempool::Effect::Lost(peer) => {
                if let Some(index) = self.place_of(&peer) {
                    let why = "no answers to what is shared".to_owned();
                    self.upstream(step, index, upstream::Input::GiveUp(why));
                }
            }
            mempool::Effect::Notify(_) => self.tell_followers(step),
            mempool::Effect::Security { event, peer, key } => {
                let record =
                    key.map_or_else(String::new, |key| format!(", record {}", hex::encode(key)));
                step.log(
                    Importance::Security,
                    format!("{}: peer {peer}{record}", event.text()),
                );
            }
        }
    }

    fn place_of(&self, peer: &PeerPublicKey) -> Option<usize> {
        self.upstreams.iter().position(|place| {
            let target = place.upstream.target();
            target.is_some_and(|(key, _)| key == *peer) && place.upstream.is_registered()
        })
    }

    /// Sends through the place of a peer; the reply at once, none, where there is no such place.
    fn send_shared(
        &mut self,
        step: &mut Step<'_>,
        peer: PeerPublicKey,
        generation: u64,
        frames: Vec<Vec<u8>>,
        within: Millis,
    ) -> Option<mempool::Input> {
        let Some(index) = self.place_of(&peer) else {
            return Some(mempool::Input::Reply {
                peer,
                generation,
                frames: None,
            });
        };
        if let Some(place) = self.upstreams.get_mut(index) {
            place.sharing = Some((peer, generation));
        }
        self.upstream(step, index, upstream::Input::Share(frames, within));
        None
    }

    /// A place got an answer to what was shared through it, or none.
    pub(super) fn answered_shared(
        &mut self,
        step: &mut Step<'_>,
        index: usize,
        frames: Option<Vec<Vec<u8>>>,
    ) {
        let sharing = self.upstreams.get_mut(index).and_then(|p| p.sharing.take());
        if let Some((peer, generation)) = sharing {
            let reply = mempool::Input::Reply {
                peer,
                generation,
                frames,
            };
            self.share(step, reply);
        }
    }

    /// Tells the shared mempool who came and who went, when a place has changed.
    pub(super) fn tell_registered(&mut self, step: &mut Step<'_>, index: usize) {
        let Some(place) = self.upstreams.get_mut(index) else {
            return;
        };
        let target = place.upstream.target().map(|(key, _)| key);
        let is = target.filter(|_| place.upstream.is_registered());
        let was = std::mem::replace(&mut place.registered, is);
        if was == is {
            return;
        }
        if let Some(gone) = was {
            self.share(step, mempool::Input::LostPeer(gone));
        }
        if let Some(come) = is {
            self.share(step, mempool::Input::NewPeer(come));
        }
    }

    /// Whose a record is to the shared mempool: a peer's, or one of our clients'.
    pub(super) fn origin(&self, key: Option<PeerPublicKey>) -> Option<PeerPublicKey> {
        key.filter(|key| {
            let is_upstream = |place: &super::peers::Place| {
                place.upstream.target().is_some_and(|(of, _)| of == *key)
            };
            self.announce.peers().get(&key.0).is_some()
                || self.upstreams.iter().any(is_upstream)
                || self.subscriptions.iter().any(|one| one.key == *key)
                || self.mempool.knows(key)
        })
    }

    /// Asks all who share their pools with this node to tell their logs again.
    pub(super) fn ask_again_for_shared(&mut self, step: &mut Step<'_>) {
        let known: Vec<_> = self.mempool.standings().map(|(key, _)| *key).collect();
        for key in known {
            self.share(step, mempool::Input::Forgotten(key));
        }
    }

    /// Tells the shared mempool what came into the pools and what left them.
    pub(super) fn tell_touched(&mut self, step: &mut Step<'_>) {
        let origin = self.bringing;
        for part in self.reservoir.take_touched() {
            self.tell_part(step, part, origin);
        }
        // What a peer was told to be taken is gone: it is asked to tell its log again.
        let sources: BTreeSet<Source> = self
            .reservoir
            .take_evicted()
            .into_iter()
            .map(|(_, source)| source)
            .collect();
        if !sources.is_empty() {
            let known = self.mempool.standings().map(|(key, _)| *key);
            let known: Vec<_> = known
                .filter(|key| sources.contains(&Some(super::source_of(key))))
                .collect();
            for key in known {
                self.share(step, mempool::Input::Forgotten(key));
            }
        }
    }

    /// Tells it of everything, at the start: what a peer had brought that is known now is still
    /// that peer's.
    pub(super) fn tell_all_parts(&mut self, step: &mut Step<'_>) {
        let known = self.announce.peers().iter();
        let known = known.map(|(key, _)| PeerPublicKey(*key));
        let configured = self.settings.connect.iter().map(|one| one.key);
        let by_source: BTreeMap<u64, PeerPublicKey> = known
            .chain(configured)
            .map(|key| (super::source_of(&key), key))
            .collect();
        let parts: Vec<Part> = self.reservoir.parts().collect();
        for part in parts {
            let source = self.reservoir.source_of_part(&part);
            let origin = source.and_then(|source| by_source.get(&source).copied());
            self.tell_part(step, part, origin);
        }
    }

    fn tell_part(&mut self, step: &mut Step<'_>, part: Part, origin: Option<PeerPublicKey>) {
        let all = match part {
            Part::Asset(id) => vec![(Locator::Assets(id), self.reservoir.has_cached_asset(&id))],
            Part::Set(pay_id) => {
                let is_transfer = self.reservoir.is_transfer(&pay_id);
                let has_proof = self.reservoir.proof_of(&pay_id).is_some();
                vec![
                    (Locator::Issues(pay_id), is_transfer == Some(false)),
                    (Locator::Transfer(pay_id), is_transfer == Some(true)),
                    (Locator::Proof(pay_id), has_proof),
                ]
            }
        };
        for (locator, is_there) in all {
            let input = if is_there {
                mempool::Input::Present { locator, origin }
            } else {
                mempool::Input::Gone(locator)
            };
            self.share(step, input);
        }
    }

    /// The sets of issues among the bundles that are offered to the pools next.
    pub(super) fn next_of_jobs(&self) -> impl Iterator<Item = &[u8]> {
        let mut bytes = 0_usize;
        let bundles = self.jobs.front().map(|job| &job.bundles);
        let bundles = bundles.into_iter().flatten().take(TURN);
        let of_turn = bundles.take_while(move |bundle| {
            let is_looked_at = bytes < TURN_BYTES;
            bytes = bytes.saturating_add(bundle.payload.len());
            is_looked_at
        });
        of_turn
            .filter(|bundle| bundle.kind == Kind::Issues)
            .map(|bundle| bundle.payload.as_slice())
    }

    /// Offers the next bundles to the pools.
    pub(super) fn work_on_jobs(&mut self, step: &mut Step<'_>) {
        let Some(mut job) = self.jobs.pop_front() else {
            return;
        };
        let mut bytes = 0_usize;
        for _ in 0..TURN {
            if bytes >= TURN_BYTES {
                break;
            }
            let Some(bundle) = job.bundles.pop_front() else {
                break;
            };
            bytes = bytes.saturating_add(bundle.payload.len());
            let verdict = self.offer(step, job.peer, bundle);
            job.verdicts.push(verdict);
            if verdict == Verdict::NoRoom {
                // What stands behind it is not looked at.
                let left = std::mem::take(&mut job.bundles);
                job.verdicts.extend(left.iter().map(|_| Verdict::NoRoom));
            }
        }
        if job.bundles.is_empty() {
            let validated = mempool::Input::Validated {
                job: job.id,
                verdicts: job.verdicts,
            };
            self.share(step, validated);
        } else {
            // The others have their turn first.
            self.jobs.push_back(job);
        }
    }

    fn offer(
        &mut self,
        step: &mut Step<'_>,
        peer: Option<PeerPublicKey>,
        bundle: Bundle,
    ) -> Verdict {
        if peer.is_none() && self.still_waits(step, &bundle) {
            return Verdict::Waits;
        }
        // What was parked is still its sender's.
        let peer = peer.or_else(|| self.mempool.parked_sender(&bundle.key()));
        if bundle.kind != Kind::Assets {
            return self.offer_one(step, peer, bundle);
        }
        let testing = self.settings.chain.testing;
        // A rival of what is here stops none of the others.
        let payload = match reservoir::split_records(&bundle.payload, testing) {
            Ok(assets) if assets.len() > ASSETS_MAX => return Verdict::Invalid,
            // The pools say themselves whether one alone is a rival.
            Ok(assets) if assets.len() == 1 => bundle.payload,
            Ok(assets) => {
                let is_good = |asset: &&[u8]| !self.reservoir.has_rival(asset, testing);
                assets
                    .into_iter()
                    .filter(is_good)
                    .collect::<Vec<_>>()
                    .concat()
            }
            Err(_) => bundle.payload,
        };
        if payload.is_empty() {
            return Verdict::Duplicate;
        }
        let kind = Kind::Assets;
        self.offer_one(step, peer, Bundle { kind, payload })
    }

    /// Whether a bundle that waited needs no other look: what it waits for is still not here. No
    /// signature is checked for that.
    fn still_waits(&self, step: &Step<'_>, bundle: &Bundle) -> bool {
        let testing = self.settings.chain.testing;
        let payload = &bundle.payload;
        match bundle.kind {
            Kind::Assets => false,
            Kind::Issues => reservoir::unpack_issues(payload, testing).is_ok_and(|issues| {
                issues.iter().any(|issue| {
                    let id = &issue.asset_id;
                    let is_absent = !self.reservoir.has_cached_asset(id)
                        && !read::has_asset(&step.state, id).unwrap_or(true);
                    is_absent || self.reservoir.is_owner_full(&issue.owner)
                })
            }),
            Kind::Transfer => {
                let link = reservoir::unpack_transfer(payload, testing);
                let link = link.ok().and_then(|record| record.link());
                link.is_some_and(|link| !read::has_transaction(&step.state, &link).unwrap_or(true))
            }
            Kind::Proof => payload.first_chunk().is_some_and(|pay_id| {
                self.reservoir.set_status(&PayId(*pay_id)) == reservoir::Status::Unknown
            }),
        }
    }

    /// What it takes up of the caps.
    fn room_of(&self, bundle: &Bundle) -> Room {
        let count = || {
            let records = reservoir::split_records(&bundle.payload, self.settings.chain.testing);
            records.map_or(1, |records| records.len())
        };
        let (records, assets) = match bundle.kind {
            Kind::Assets => (0, count()),
            Kind::Issues => (count(), 0),
            Kind::Transfer | Kind::Proof => (1, 0),
        };
        Room {
            records,
            bytes: bundle.payload.len(),
            assets,
        }
    }

    fn offer_one(
        &mut self,
        step: &mut Step<'_>,
        peer: Option<PeerPublicKey>,
        bundle: Bundle,
    ) -> Verdict {
        let command = bundle.kind.command();
        let source = peer.as_ref().map(super::source_of);
        let input = reservoir::Input::Peer {
            command,
            data: bundle.payload.clone(),
            source,
            ticket: 0,
        };
        self.bringing = peer;
        let result = self.pools(step, input);
        self.bringing = None;
        let refusal = match result {
            Some(Ok(_)) => {
                self.stats.taken += 1;
                return Verdict::Accepted;
            }
            Some(Err(refusal)) => refusal,
            None => return Verdict::NoRoom,
        };
        match refusal {
            Refusal::Store(fault) => {
                Self::store_fault(step, &fault);
                Verdict::NoRoom
            }
            Refusal::Synchronising => Verdict::NoRoom,
            // The log of this peer goes on when there is room; each peer has its own. Only what
            // never fits, or would wait for one owner's room, lets the others pass.
            Refusal::Full if self.reservoir.may_fit(source, self.room_of(&bundle)) => {
                Verdict::NoRoom
            }
            Refusal::Full | Refusal::OwnerFull => Verdict::Waits,
            // A rival of what is here is nobody's fault.
            Refusal::AlreadyExists
            | Refusal::NothingNew
            | Refusal::DoubleTransfer
            | Refusal::AssetsAlreadyRegistered => Verdict::Duplicate,
            Refusal::AssetNotFound => Verdict::Waits,
            Refusal::InvalidLink => {
                let testing = self.settings.chain.testing;
                let record = reservoir::unpack_transfer(&bundle.payload, testing).ok();
                let link = record.and_then(|record| record.link());
                let is_confirmed = link
                    .is_some_and(|link| read::has_transaction(&step.state, &link).unwrap_or(false));
                if is_confirmed {
                    Verdict::Invalid
                } else {
                    Verdict::Waits
                }
            }
            Refusal::PayIdAlreadyUsed if command == Command::Proof => {
                let pay_id = bundle.payload.first_chunk().copied().map(PayId);
                match pay_id.map(|pay_id| self.reservoir.set_status(&pay_id)) {
                    // Its issues may come; or a block, which it was made for and which is not here.
                    Some(reservoir::Status::Unknown | reservoir::Status::Pending) => Verdict::Waits,
                    Some(_) => Verdict::Duplicate,
                    None => Verdict::Invalid,
                }
            }
            other => {
                self.stats.refuse(&other.to_string());
                Verdict::Invalid
            }
        }
    }
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
