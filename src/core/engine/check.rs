//! Digests that came with a snapshot, or with imported blocks whose digests were trusted: computed one
//! after the other in the background, upwards, while the node serves. A block whose digest is another
//! goes, with all above it; the connector fetches what is right from the peers.
//!
//! What was checked is kept in the store from time to time, so a restart goes on. Of blocks that went
//! off nothing is known any more; those that come in their place are checked as they come.

use super::blocks::DigestFor;
use super::{Effect, Engine, Importance, Step};
use crate::core::block::{HEADER_BYTES, Header};
use crate::core::connector;
use crate::core::id::BlockDigest;
use crate::core::ledger::checked::{Checked, Look, fault_of};
use crate::core::ledger::{Ledger, LedgerError, keys, read};
use crate::core::overlay::mempool;
use crate::core::reservoir::{self, Confirmed, Reservoir};
use crate::core::state::{Pool, StoreFault, View};
use crate::core::time::Millis;

/// How often what was checked is kept: after so many blocks, or so long.
const KEEP_BLOCKS: u64 = 256;
const KEEP_MS: Millis = 10_000;
/// How often the log tells.
const TELL_MS: Millis = 60_000;
/// Entries that one step changes when blocks go; one block more at most.
const DROP_ENTRIES: usize = 20_000;

/// How far it is.
#[derive(Debug)]
pub(super) struct Check {
    checked: Option<Checked>,
    /// The block that is under way.
    asked: Option<[u8; HEADER_BYTES]>,
    kept: u64,
    kept_at: Millis,
    told_at: Millis,
    /// The lowest block that goes.
    dropping: Option<u64>,
    /// The highest block whose signatures only those vouch for who vouched for the snapshot, as far as
    /// that is known: its digests are not all checked yet, or were not when this node started. Those of
    /// an import were checked as it was made, but nothing in the store tells it from a snapshot.
    unsigned: u64,
}

impl Check {
    pub(super) fn load(view: &dyn View, now: Millis, height: u64) -> Result<Self, StoreFault> {
        let checked = Checked::load(view, height)?;
        Ok(Self {
            checked,
            asked: None,
            kept: checked.map_or(0, |checked| checked.verified),
            kept_at: now,
            told_at: now,
            dropping: None,
            unsigned: checked.map_or(0, |checked| checked.until),
        })
    }

    /// Whether this node checked the signatures of all blocks above this one.
    pub(super) const fn is_signed_above(&self, height: u64) -> bool {
        height >= self.unsigned
    }

    /// Whether blocks are going one after the other.
    pub(super) const fn is_dropping(&self) -> bool {
        self.dropping.is_some()
    }

    /// The blocks above this one went off.
    pub(super) fn taken_off_to(&mut self, height: u64) {
        self.unsigned = self.unsigned.min(height);
        if let Some(checked) = &mut self.checked {
            checked.clamp(height);
        }
    }
}

impl Engine {
    /// Up to which block every digest was computed by this node itself.
    pub(super) fn verified_height(&self) -> u64 {
        let height = self.ledger.height();
        // Of those that are going nothing is right.
        let going = self.check.dropping;
        let height = going.map_or(height, |lowest| height.min(lowest.saturating_sub(1)));
        let checked = self.check.checked.filter(|checked| checked.is_open());
        checked.map_or(height, |checked| checked.verified.min(height))
    }

    /// Has the next digest computed, unless one is under way.
    pub(super) fn check_next(&mut self, step: &mut Step<'_>) {
        if self.check.asked.is_some() || self.check.is_dropping() {
            return;
        }
        let Some(checked) = self.check.checked else {
            return;
        };
        if !checked.is_open() {
            step.state.extend(checked.batch());
            self.check.checked = None;
            step.log(
                Importance::Information,
                format!("all digests up to block {} are checked", checked.until),
            );
            return;
        }
        match checked.look(self.settings.chain, &step.state) {
            Ok(Look::Digest(header, _)) => {
                let header = header.pack();
                self.check.asked = Some(header);
                let request = self.digest_request(DigestFor::Check);
                step.out
                    .push(Effect::CheckDigest(request, Box::new(header)));
            }
            Ok(Look::Bad(why)) => self.drop_from(step, checked.verified.saturating_add(1), &why),
            Err(fault) => step.fault(&fault),
        }
    }

    /// The digest that was asked for.
    pub(super) fn digest_checked(&mut self, step: &mut Step<'_>, computed: BlockDigest) {
        let asked = self.check.asked.take();
        let Some((checked, asked)) = self.check.checked.zip(asked) else {
            return;
        };
        let number = checked.verified.saturating_add(1);
        // Another block may stand there by now.
        let header = Header::unpack(&asked).map(|(header, _)| header);
        if let Some(header) = header.ok().filter(|header| header.number == number)
            && checked.is_open()
        {
            match self.stored_digest(step, &asked, number) {
                Ok(Some(stored)) => {
                    if let Some(why) = fault_of(&header, &stored, &computed) {
                        self.drop_from(step, number, &why);
                        return;
                    }
                    self.digest_is_right(step, number);
                }
                Ok(None) => {}
                Err(fault) => return step.fault(&fault),
            }
        }
        self.check_next(step);
    }

    /// The stored digest of the block with this header, if that is the one which is stored.
    fn stored_digest(
        &self,
        step: &Step<'_>,
        asked: &[u8; HEADER_BYTES],
        number: u64,
    ) -> Result<Option<BlockDigest>, StoreFault> {
        let packed = read::block(&step.state, number)?;
        if packed.is_none_or(|packed| !packed.starts_with(asked)) {
            return Ok(None);
        }
        read::digest(&step.state, number)
    }

    fn digest_is_right(&mut self, step: &mut Step<'_>, number: u64) {
        let now = step.now.mono;
        let Some(checked) = &mut self.check.checked else {
            return;
        };
        checked.verified = number;
        let checked = *checked;
        let is_due = number.saturating_sub(self.check.kept) >= KEEP_BLOCKS
            || now >= self.check.kept_at.saturating_add(KEEP_MS);
        if is_due {
            self.check.kept = number;
            self.check.kept_at = now;
            step.state.extend(checked.batch());
        }
        if now >= self.check.told_at.saturating_add(TELL_MS) {
            self.check.told_at = now;
            step.log(
                Importance::Information,
                format!(
                    "digests are checked up to block {number} of {}",
                    checked.until
                ),
            );
        }
    }

    /// A block is not what it was given out for: it goes, and all above it.
    fn drop_from(&mut self, step: &mut Step<'_>, number: u64, why: &str) {
        let height = self.ledger.height();
        step.log(
            Importance::Warning,
            format!(
                "block {number} is false: {why}; blocks {number} to {height} are dropped and fetched from the peers; what waited here and builds on them goes, too: its owners push it again"
            ),
        );
        if let Some(checked) = &mut self.check.checked {
            checked.clamp(number.saturating_sub(1));
        }
        // Work on what goes is for nothing: its miners are told so.
        self.mine(step, super::mining::Input::Normal(false));
        match step.state.contains(Pool::Undo, &keys::block(number)) {
            Ok(true) => {
                self.check.dropping = Some(number);
                self.drop_blocks(step);
            }
            // What it changed is not kept: the indexes follow from the blocks that stay.
            Ok(false) => self.drop_deep(step, number),
            Err(fault) => step.fault(&fault),
        }
    }

    fn drop_deep(&mut self, step: &mut Step<'_>, number: u64) {
        step.log(
            Importance::Warning,
            format!(
                "the indexes are built again up to block {}; until then questions about blocks alone are answered",
                number.saturating_sub(1)
            ),
        );
        self.check.dropping = Some(number);
        step.out.push(Effect::Rebuild(number));
    }

    /// Takes some of the blocks off that have to go.
    pub(super) fn drop_blocks(&mut self, step: &mut Step<'_>) {
        let Some(number) = self.check.dropping else {
            return;
        };
        let mut returned = Vec::new();
        let mut entries = 0;
        self.branch += 1;
        while self.ledger.height() >= number && entries < DROP_ENTRIES {
            match self.ledger.undo_top(&step.state) {
                Ok(undone) => {
                    entries += undone.batch.len();
                    step.state.extend(undone.batch);
                    returned.push(undone.returned);
                }
                Err(LedgerError::Store(fault)) => return step.fault(&fault),
                Err(error) => {
                    step.log(Importance::Warning, error.to_string());
                    return self.drop_deep(step, number);
                }
            }
        }
        let input = reservoir::Input::BlocksTakenOff {
            returned: returned.into_iter().rev().flatten().collect(),
            is_checked: self.check.is_signed_above(self.ledger.height()),
        };
        self.pools(step, input);
        if self.ledger.height() < number {
            self.dropped(step);
        }
    }

    /// After [`Effect::Rebuild`]: the ledger is another.
    pub(super) fn dropped_deep(&mut self, step: &mut Step<'_>) {
        match Ledger::load(self.settings.chain, &step.state) {
            Ok(mut ledger) => {
                ledger.check_with(self.ledger.checker());
                self.ledger = ledger;
                self.branch += 1;
            }
            Err(error) => return step.fault(&error),
        }
        // As after a start: what built on the blocks that went goes, too.
        let state = Confirmed {
            view: &step.state,
            ledger: &self.ledger,
        };
        let mut effects = Vec::new();
        let loaded = Reservoir::load(
            self.settings.caps,
            self.settings.pools_timing(),
            step.now,
            &state,
            &mut effects,
        );
        match loaded {
            Ok(reservoir) => self.reservoir = reservoir,
            Err(fault) => return step.fault(&fault),
        }
        self.perform_pools(step, effects);
        self.share(step, mempool::Input::ChainChanged);
        self.dropped(step);
    }

    pub(super) fn dropped(&mut self, step: &mut Step<'_>) {
        self.check.dropping = None;
        let height = self.ledger.height();
        self.check.taken_off_to(height);
        step.log(
            Importance::Warning,
            format!("the false blocks are gone; the height is {height} now"),
        );
        self.tell_mining_tip(step);
        let normal = self.connector.mode() == connector::Mode::Normal;
        self.mine(step, super::mining::Input::Normal(normal));
        // What built on them was acknowledged and is gone: where it is right it comes again, with the next
        // that a peer tells, waits for what it builds on, and is checked against that.
        self.ask_again_for_shared(step);
        // It was asked for above another height.
        self.blocks.begin_again();
        self.connect_on_time(step, connector::Input::Fell);
        self.pump(step);
        self.check_next(step);
    }
}
