//! Batches that the pools are deciding (`proto/mempool.md`, sections 4.4 and 4.5). A batch counts as
//! far as every bundle before is decided: accepted, a duplicate, invalid or parked. It stops before
//! one for which there was no room.

use super::bundle::{Bundle, BundleKey, Verdict};
use super::parking::STRANGERS;
use super::peers::Peer;
use super::security::{Event, Offence};
use super::wire::{Batch, NackCode};
use super::{Effect, Mempool, Notices, mutants};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// A batch that is being decided.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub peer: PeerPublicKey,
    /// The peer's, when it came.
    epoch: u64,
    /// Of the request; `None`: it is the answer to a pull.
    ticket: Option<u64>,
    after: u64,
    upto: u64,
    items: Vec<(u64, BundleKey, Bundle)>,
    /// Bundles of the batch that were decided before.
    repeated: usize,
    /// More would have come if there had been room.
    full: bool,
    /// What had come to the pools when it began.
    arrivals: u64,
}

/// What became of the bundles of a batch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub accepted: usize,
    pub duplicate: usize,
    pub invalid: usize,
    pub parked: usize,
    /// For one of them.
    pub no_room: bool,
}

impl Mempool {
    /// Every bundle of it was decided before: it only moves the cursor.
    pub(super) fn finish_repeated(
        &mut self,
        ticket: u64,
        key: PeerPublicKey,
        batch: &Batch,
        out: &mut Vec<Effect>,
    ) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.remote_done = peer.remote_done.max(batch.upto);
        }
        let repeated = batch.items.len();
        let none = Tally::default();
        self.acknowledge(
            ticket,
            &key,
            batch.epoch,
            batch.upto,
            (&none, repeated),
            out,
        );
    }

    /// The pools decide what is new of a batch; there is a place for it.
    pub(super) fn begin(
        &mut self,
        key: PeerPublicKey,
        ticket: Option<u64>,
        batch: Batch,
        full: bool,
        out: &mut Vec<Effect>,
    ) {
        let job = self.new_job();
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let (all, done) = (batch.items.len(), peer.remote_done);
        peer.jobs += 1;
        peer.pulling |= ticket.is_none();
        let items: Vec<_> = batch
            .items
            .into_iter()
            .filter(|item| item.id > done)
            .map(|item| (item.id, item.bundle.key(), item.bundle))
            .collect();
        let bundles = items.iter().map(|(_, _, bundle)| bundle.clone()).collect();
        let repeated = all.saturating_sub(items.len());
        let running = Job {
            peer: key,
            epoch: batch.epoch,
            ticket,
            after: batch.after,
            upto: batch.upto,
            items,
            repeated,
            full,
            arrivals: self.parking.arrivals(),
        };
        self.jobs.insert(job, running);
        out.push(Effect::Validate {
            job,
            peer: Some(key),
            bundles,
        });
    }

    pub(super) fn on_validated(
        &mut self,
        now: Millis,
        job: u64,
        verdicts: &[Verdict],
        out: &mut Vec<Effect>,
    ) {
        let Some(mut job) = self.jobs.remove(&job) else {
            return;
        };
        let items = std::mem::take(&mut job.items);
        let (tally, decided) = self.settle(now, &job, items, verdicts, out);
        let is_current = self
            .peers
            .get(&job.peer)
            .is_some_and(|peer| peer.remote_epoch == job.epoch);
        if let Some(peer) = self.peers.get_mut(&job.peer) {
            peer.jobs = peer.jobs.saturating_sub(1);
            peer.useful |= tally.accepted > 0;
            if tally.invalid > 0 {
                let pause = if peer.is_known() {
                    self.settings.back_off_ms
                } else {
                    self.settings.back_off_max_ms
                };
                peer.penalised = now.saturating_add(pause);
            }
            peer.pulling &= job.ticket.is_some();
            if is_current && peer.remote_done >= job.after {
                peer.remote_done = peer.remote_done.max(decided);
            }
            if job.full && !tally.no_room {
                peer.next_pull = now;
            }
        }
        let Some(ticket) = job.ticket else { return };
        if is_current {
            let done = self.peers.get(&job.peer).map_or(0, |peer| peer.remote_done);
            let upto = done.min(job.upto);
            let tally = (&tally, job.repeated);
            self.acknowledge(ticket, &job.peer, job.epoch, upto, tally, out);
        } else {
            self.refuse(ticket, job.epoch, NackCode::WrongEpoch, 0, out);
        }
    }

    /// Does what the verdicts ask for; gives back the end of the longest prefix that is decided.
    fn settle(
        &mut self,
        now: Millis,
        job: &Job,
        items: Vec<(u64, BundleKey, Bundle)>,
        verdicts: &[Verdict],
        out: &mut Vec<Effect>,
    ) -> (Tally, u64) {
        let mut tally = Tally::default();
        let mut decided = job.after;
        let known = self.peers.get(&job.peer);
        let holder = known.map(|peer| (peer.holder(), peer.read));
        // A bundle without a verdict is not decided.
        let verdicts = verdicts.iter().copied();
        let verdicts = verdicts.chain(std::iter::repeat(Verdict::NoRoom));
        for ((id, key, bundle), verdict) in items.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Accepted => tally.accepted += 1,
                Verdict::Duplicate => tally.duplicate += 1,
                Verdict::Invalid => {
                    tally.invalid += 1;
                    self.security(now, Event::InvalidBundle, job.peer, Some(key), out);
                }
                Verdict::Waits => {
                    tally.parked += 1;
                    if self.timeline.find(&key).is_none() {
                        let is_known = self.peers.get(&job.peer).is_some_and(Peer::is_known);
                        let share = if is_known { job.peer } else { STRANGERS };
                        let kind = bundle.kind;
                        let dropped = self.parking.park_as(now, job.peer, share, bundle);
                        self.drop_parked(dropped);
                        // What it waits for may have come while the others were decided.
                        if self.parking.arrivals() != job.arrivals {
                            self.parking.want(kind);
                        }
                    }
                }
                Verdict::NoRoom => {
                    tally.no_room = true;
                    self.counters.no_room += 1;
                    continue;
                }
            }
            if matches!(verdict, Verdict::Duplicate | Verdict::Invalid) {
                self.parking.remove(&key);
            }
            if let (Some(locator), Some((holder, read))) = (self.timeline.find(&key), holder) {
                self.timeline.mark(&locator, holder, read);
            }
            if !tally.no_room {
                decided = id;
            }
        }
        if !tally.no_room || mutants::ACK_COUNTS_UNDECIDED {
            decided = job.upto;
        }
        self.count(&tally);
        if tally.invalid > 0 {
            self.counters.penalties += 1;
            out.push(Effect::Penalise {
                peer: job.peer,
                reason: Offence::InvalidBundle,
            });
        }
        (tally, decided)
    }

    fn count(&mut self, tally: &Tally) {
        self.counters.accepted += tally.accepted as u64;
        self.counters.duplicate += tally.duplicate as u64;
        self.counters.invalid += tally.invalid as u64;
        self.counters.waits += tally.parked as u64;
        if tally.accepted > 0 {
            self.news = self.news | Notices::NEW_TRANSACTIONS;
        }
    }
}
