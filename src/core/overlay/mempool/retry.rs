//! Parked bundles are tried anew (`proto/mempool.md`, section 4.1): one piece at a time, each a
//! job like those of peers, so that however many there are others have their turn.

use super::bundle::{BundleKey, Verdict};
use super::{Effect, Mempool};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// Who sent a bundle that is being tried anew; its place may have been taken meanwhile.
pub(super) fn sender(
    retry: &Option<(u64, Vec<(BundleKey, PeerPublicKey)>)>,
    key: &BundleKey,
) -> Option<PeerPublicKey> {
    let (_, pieces) = retry.as_ref()?;
    let mut pieces = pieces.iter();
    pieces.find(|(of, _)| of == key).map(|(_, from)| *from)
}

impl Mempool {
    /// Whether a piece may be tried now.
    pub(super) fn may_retry(&self) -> bool {
        self.normal && self.retry.is_none() && self.jobs_running() < self.inbound_total()
    }

    /// Messages and pieces that are being decided.
    pub(super) fn jobs_running(&self) -> usize {
        self.jobs.len() + usize::from(self.retry.is_some())
    }

    pub(super) const fn inbound_total(&self) -> usize {
        self.settings.shared_mempool_max_concurrent_inbound_syncs
    }

    /// Offers the next piece to the pools, if one is due.
    pub(super) fn try_parked(&mut self, now: Millis, out: &mut Vec<Effect>) {
        if !self.may_retry() || self.parking.due().is_none_or(|due| now < due) {
            return;
        }
        let (keys, bundles): (Vec<_>, Vec<_>) = self
            .parking
            .piece(
                now,
                self.settings.shared_mempool_tick_interval_ms,
                usize::from(self.settings.shared_mempool_batch_size),
                usize::try_from(self.settings.batch_bytes).unwrap_or(usize::MAX),
            )
            .into_iter()
            .map(|(key, from, bundle)| ((key, from), bundle))
            .unzip();
        if bundles.is_empty() {
            return;
        }
        let job = self.new_job();
        self.retry = Some((job, keys));
        out.push(Effect::Validate {
            job,
            peer: None,
            bundles,
        });
    }

    /// What the pools said to a piece.
    pub(super) fn on_retried(&mut self, now: Millis, verdicts: &[Verdict]) {
        let Some((_, keys)) = self.retry.take() else {
            return;
        };
        self.unlocked.clear();
        let pause = self.settings.back_off_max_ms;
        for ((key, from), verdict) in keys.iter().zip(verdicts) {
            match verdict {
                Verdict::Accepted => {
                    // Usually it is on the timeline by now, and was taken off here then.
                    self.parking.remove(key);
                    if self.timeline.find(key).is_none() {
                        self.unlocked.insert(*key, *from);
                    }
                    self.news = self.news | super::Notices::NEW_TRANSACTIONS;
                    self.counters.accepted += 1;
                }
                Verdict::Duplicate => {
                    self.parking.remove(key);
                    self.counters.duplicate += 1;
                }
                Verdict::Invalid => {
                    self.parking.remove(key);
                    self.counters.invalid += 1;
                }
                Verdict::Waits => self.counters.waits += 1,
                Verdict::NoRoom => {
                    self.counters.no_room += 1;
                    self.parking.give_up(now, pause);
                }
            }
        }
    }
}
