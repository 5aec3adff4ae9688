//! Blocks on their way into the ledger: a bounded queue, one at a time, no digest computed twice;
//! those of blocks that wait for others below them are computed ahead
//! (`proto/blocks.md`, sections 8, 10 and 12; `proto/peer.md`, section 15).
//!
//! A branch that replaces ours goes in whole or not at all: it is tried on a copy, and stored as
//! one batch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::peers::header_bytes;
use super::{Effect, Engine, Importance, Source, Step};
use crate::core::block::{BlockError, HEADER_BYTES, Header};
use crate::core::connector;
use crate::core::id::{BlockDigest, TxId};
use crate::core::ledger::{Applied, LedgerError};
use crate::core::mining::machine as mining;
use crate::core::record::Record;
use crate::core::reservoir;
use crate::core::state::Overlay;
use crate::core::time::Millis;

/// Blocks that wait (`proto/peer.md`, section 5).
pub const QUEUE_MAX: usize = 50;
/// Their bytes.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Those of them that one source sent as news.
pub const QUEUE_OF_SOURCE: usize = QUEUE_MAX / 4;
/// How long no news of blocks are taken from a source that sent a false one.
const BLAME_MS: Millis = 600_000;
/// Such sources.
const BLAMED_MAX: usize = 1024;
/// Digests that are remembered.
const DIGESTS_MAX: usize = 512;

/// What a digest is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DigestFor {
    Block(HeaderBytes),
    Mining(u64),
    /// One that came with its block.
    Check,
}

/// Where a block came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A message: passed on when it is in.
    News(Source),
    /// Our own miner: likewise.
    Local,
    /// Fetched by the connector, who is told; not passed on.
    Fetched,
}

#[derive(Debug)]
enum Work {
    One {
        packed: Vec<u8>,
        origin: Origin,
    },
    Branch {
        common: u64,
        blocks: Vec<Vec<u8>>,
        /// Of the blocks in front, each checked against its header.
        digests: Vec<BlockDigest>,
    },
}

impl Work {
    /// Whether the connector waits for what becomes of it.
    const fn is_of_connector(&self) -> bool {
        match self {
            Self::One { origin, .. } => matches!(origin, Origin::Fetched),
            Self::Branch { .. } => true,
        }
    }

    fn is_news_of(&self, source: Source) -> bool {
        matches!(self, Self::One { origin: Origin::News(of), .. } if *of == source)
    }

    fn bytes(&self) -> usize {
        match self {
            Self::One { packed, .. } => packed.len(),
            Self::Branch { blocks, .. } => blocks.iter().map(Vec::len).sum(),
        }
    }
}

type HeaderBytes = [u8; HEADER_BYTES];

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    waiting: VecDeque<Work>,
    bytes: usize,
    current: Option<Work>,
    /// What is being computed, and whether a block waits for it, or did.
    asked: BTreeMap<HeaderBytes, bool>,
    /// The one of them that the first block waits for.
    missing: Option<HeaderBytes>,
    is_pumping: bool,
    digests: BTreeMap<HeaderBytes, BlockDigest>,
    order: VecDeque<HeaderBytes>,
    /// Sources that sent a false block, and until when no more are taken from them.
    blamed: BTreeMap<Source, Millis>,
}

impl Pipeline {
    fn remember(&mut self, header: HeaderBytes, digest: BlockDigest) {
        if self.digests.insert(header, digest).is_none() {
            self.order.push_back(header);
        }
        while self.order.len() > DIGESTS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.digests.remove(&oldest);
            }
        }
    }

    /// Takes a block of news if there is room for it.
    fn push_news(&mut self, packed: Vec<u8>, source: Source) -> bool {
        let of_source = self
            .waiting
            .iter()
            .filter(|work| work.is_news_of(source))
            .count();
        let bytes = self.bytes.saturating_add(packed.len());
        let has_room = self.waiting.len() < QUEUE_MAX
            && of_source < QUEUE_OF_SOURCE
            && bytes <= QUEUE_BYTES_MAX;
        if has_room {
            self.bytes = bytes;
            let origin = Origin::News(source);
            self.waiting.push_back(Work::One { packed, origin });
        }
        has_room
    }

    /// A block of this source was false: its others are dropped, and more are not taken for a while.
    /// Those who have been longest in the table make room.
    fn blame(&mut self, source: Source, now: Millis) {
        self.waiting.retain(|work| !work.is_news_of(source));
        self.bytes = self.waiting.iter().map(Work::bytes).sum();
        self.blamed.retain(|_, until| *until > now);
        if self.blamed.len() >= BLAMED_MAX {
            let first = self.blamed.iter().min_by_key(|(_, until)| **until);
            if let Some(first) = first.map(|(source, _)| *source) {
                self.blamed.remove(&first);
            }
        }
        self.blamed.insert(source, now.saturating_add(BLAME_MS));
    }

    pub(super) fn is_blamed(&self, source: Source, now: Millis) -> bool {
        self.blamed.get(&source).is_some_and(|until| *until > now)
    }

    /// After a false chain was dropped: forgets what the connector waits for, and whom that chain blamed.
    /// Digests stay known.
    pub(super) fn begin_again(&mut self) {
        self.blamed.clear();
        self.waiting.retain(|work| !work.is_of_connector());
        self.bytes = self.waiting.iter().map(Work::bytes).sum();
        if self
            .current
            .take_if(|work| work.is_of_connector())
            .is_some()
        {
            self.missing = None;
        }
    }

    fn push_first(&mut self, work: Work) {
        self.bytes += work.bytes();
        self.waiting.push_front(work);
    }

    fn pop(&mut self) -> Option<Work> {
        let work = self.waiting.pop_front()?;
        self.bytes -= work.bytes();
        Some(work)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.current.is_some())
    }
}

impl Engine {
    /// A block message in mode Normal.
    pub(super) fn block_news(&mut self, step: &mut Step<'_>, packed: Vec<u8>, source: Source) {
        if self.blocks.is_blamed(source, step.now.mono) {
            self.stats.refuse("block of a source that sent a false one");
            return;
        }
        // What cannot go in now costs no place in the queue.
        if let Err(error) = self.ledger.precheck(&packed, step.now.wall) {
            self.refused_news(step, &packed, &error);
            return;
        }
        if !self.blocks.push_news(packed, source) {
            self.stats.refuse("block queue is full");
        }
        self.pump(step);
    }

    /// A block of our own miner: whether it is in. Its work is done and its miner waits to be told so,
    /// when it is on the disk: it goes in at once, before all that waits, even for the digest of
    /// another.
    #[must_use]
    pub(super) fn mined(
        &mut self,
        step: &mut Step<'_>,
        packed: Vec<u8>,
        digest: BlockDigest,
    ) -> bool {
        // What it builds on is about to go.
        if self.check.is_dropping() {
            return false;
        }
        if let Some(header) = header_bytes(&packed) {
            self.blocks.remember(header, digest);
        }
        let origin = Origin::Local;
        let work = Work::One { packed, origin };
        let was_pumping = std::mem::replace(&mut self.blocks.is_pumping, true);
        let result = self.put(step, &work);
        let is_in = result.is_ok();
        self.finish(step, work, result);
        self.blocks.is_pumping = was_pumping;
        self.pump(step);
        is_in
    }

    /// A block for the connector.
    pub(super) fn fetched(&mut self, step: &mut Step<'_>, packed: Vec<u8>) {
        // The connector has one under way at most; news never keep it out.
        let origin = Origin::Fetched;
        self.blocks.push_first(Work::One { packed, origin });
        self.pump(step);
    }

    /// A branch for the connector.
    pub(super) fn switch(&mut self, step: &mut Step<'_>, common: u64, blocks: Vec<Vec<u8>>) {
        // The connector has one at most, and bounded it.
        self.blocks.push_first(Work::Branch {
            common,
            blocks,
            digests: Vec::new(),
        });
        self.pump(step);
    }

    /// The number of the next digest to ask for.
    pub(super) fn digest_request(&mut self, purpose: DigestFor) -> u64 {
        let request = self.next_digest;
        self.next_digest += 1;
        self.stats.digests += 1;
        self.digests.insert(request, purpose);
        request
    }

    pub(super) fn digest(&mut self, step: &mut Step<'_>, request: u64, digest: BlockDigest) {
        match self.digests.remove(&request) {
            Some(DigestFor::Mining(request)) => {
                self.mine(step, mining::Input::Digest { request, digest });
            }
            Some(DigestFor::Block(header)) => {
                self.blocks.asked.remove(&header);
                self.blocks.missing = self.blocks.missing.filter(|missing| *missing != header);
                self.blocks.remember(header, digest);
                self.pump(step);
            }
            Some(DigestFor::Check) => self.digest_checked(step, digest),
            None => {}
        }
    }

    /// Has a digest computed before it is wanted.
    pub(super) fn prepare(&mut self, step: &mut Step<'_>, header: Box<HeaderBytes>) {
        let has_room = (self.blocks.asked.len() as u64) < connector::AHEAD;
        let is_known = self.blocks.digests.contains_key(&*header);
        if has_room && !is_known && !self.blocks.asked.contains_key(&*header) {
            self.blocks.asked.insert(*header, false);
            let request = self.digest_request(DigestFor::Block(*header));
            step.out.push(Effect::PrepareDigest(request, header));
        }
    }

    /// Has a digest computed that the first block waits for.
    fn want_digest(&mut self, step: &mut Step<'_>, header: Box<HeaderBytes>) {
        match self.blocks.asked.insert(*header, true) {
            None => {
                let request = self.digest_request(DigestFor::Block(*header));
                step.out.push(Effect::Digest(request, header));
            }
            Some(false) => step.out.push(Effect::HurryDigest(header)),
            Some(true) => {}
        }
    }

    /// Goes on with the queue as far as digests are known.
    pub(super) fn pump(&mut self, step: &mut Step<'_>) {
        // Nothing is put on blocks that are about to go.
        if self.check.is_dropping() {
            return;
        }
        // What a block that is in leads to comes here again; the loop below goes on with it.
        if !std::mem::replace(&mut self.blocks.is_pumping, true) {
            self.pump_all(step);
            self.blocks.is_pumping = false;
        }
    }

    fn pump_all(&mut self, step: &mut Step<'_>) {
        while self.blocks.missing.is_none() && !self.check.is_dropping() && step.fault.is_none() {
            let Some(mut work) = self.blocks.current.take().or_else(|| self.blocks.pop()) else {
                return;
            };
            match self.missing_digest(step, &mut work) {
                Err(error) => self.finish(step, work, Err(error.into())),
                Ok(Some(header)) => {
                    self.blocks.missing = Some(header);
                    self.blocks.current = Some(work);
                    self.want_digest(step, Box::new(header));
                }
                Ok(None) => {
                    let result = self.put(step, &work);
                    self.finish(step, work, result);
                }
            }
        }
    }

    /// The header whose digest is wanted next; cheap checks come first.
    fn missing_digest(
        &self,
        step: &Step<'_>,
        work: &mut Work,
    ) -> Result<Option<HeaderBytes>, BlockError> {
        let unknown = |packed: &[u8]| {
            header_bytes(packed).filter(|header| !self.blocks.digests.contains_key(header))
        };
        match work {
            Work::One { packed, .. } => {
                self.ledger.precheck(packed, step.now.wall)?;
                Ok(unknown(packed))
            }
            Work::Branch {
                blocks, digests, ..
            } => {
                // Each digest is checked before the next is spent, and kept with the branch.
                while let Some(packed) = blocks.get(digests.len()) {
                    let (header, _) = Header::unpack(packed)?;
                    header.check(self.settings.chain, step.now.wall)?;
                    let known =
                        header_bytes(packed).and_then(|bytes| self.blocks.digests.get(&bytes));
                    match known {
                        Some(digest) if header.proves(digest) => digests.push(*digest),
                        Some(_) => return Err(BlockError::HeaderDifficulty),
                        None => return Ok(unknown(packed)),
                    }
                }
                Ok(None)
            }
        }
    }

    /// The digest of a header that was asked for; one that is not known proves nothing.
    fn digest_known(&self, packed: &[u8]) -> Result<BlockDigest, BlockError> {
        header_bytes(packed)
            .and_then(|header| self.blocks.digests.get(&header).copied())
            .ok_or(BlockError::HeaderDifficulty)
    }

    fn put(&mut self, step: &mut Step<'_>, work: &Work) -> Result<(), LedgerError> {
        match work {
            Work::One { packed, .. } => {
                let digest = self.digest_known(packed)?;
                let pools = &self.reservoir;
                let is_known =
                    |id: &TxId, record: &Record, packed: &[u8]| pools.holds(id, record, packed);
                let applied = self.ledger.apply_known(
                    &step.state,
                    packed,
                    digest,
                    step.now.wall,
                    &is_known,
                )?;
                self.applied(step, applied);
                self.tell_mining_tip(step);
                Ok(())
            }
            Work::Branch {
                common,
                blocks,
                digests,
            } => self.put_branch(step, *common, blocks, digests),
        }
    }

    fn put_branch(
        &mut self,
        step: &mut Step<'_>,
        common: u64,
        blocks: &[Vec<u8>],
        digests: &[BlockDigest],
    ) -> Result<(), LedgerError> {
        let mut ledger = self.ledger.clone();
        let mut trial = Overlay::with(&step.state, crate::core::state::Batch::new());
        let mut returned = Vec::new();
        while ledger.height() > common {
            let undone = ledger.undo_top(&trial)?;
            trial.extend(undone.batch);
            returned.push(undone.returned);
        }
        let mut all = Vec::new();
        let is_checked = self.check.is_signed_above(common);
        // Those of the blocks that came off were checked when these went in, unless a snapshot brought
        // them.
        let off = returned.iter().flatten().filter(|_| is_checked);
        let off: BTreeSet<TxId> = off.map(|one| one.id).collect();
        let pools = &self.reservoir;
        let is_known = |id: &TxId, record: &Record, packed: &[u8]| {
            off.contains(id) || pools.holds(id, record, packed)
        };
        for (packed, digest) in blocks.iter().zip(digests) {
            let applied = ledger.apply_known(&trial, packed, *digest, step.now.wall, &is_known)?;
            trial.extend(applied.batch);
            all.push((applied.tip.number, applied.confirmed));
        }
        // News may have gone in while digests were computed: the first seen stays.
        if ledger.height() <= self.ledger.height() {
            return Err(BlockError::PreviousDigest.into());
        }
        let batch = trial.into_batch();
        step.state.extend(batch);
        step.log(
            Importance::Warning,
            format!(
                "switched to a longer branch: blocks {} to {} were taken off, the height is {} now",
                common + 1,
                self.ledger.height(),
                ledger.height()
            ),
        );
        self.ledger = ledger;
        self.check.taken_off_to(common);
        self.branch += 1;
        // Lowest first, as they were made; against the chain as it is now.
        let returned = returned.into_iter().rev().flatten().collect();
        let input = reservoir::Input::BlocksTakenOff {
            returned,
            is_checked,
        };
        self.pools(step, input);
        for (number, confirmed) in all {
            self.pools(step, reservoir::Input::BlockStored { number, confirmed });
            self.stats.blocks += 1;
        }
        self.tell_mining_tip(step);
        Ok(())
    }

    fn applied(&mut self, step: &mut Step<'_>, applied: Applied) {
        let Applied {
            batch,
            confirmed,
            tip,
        } = applied;
        step.state.extend(batch);
        self.stats.blocks += 1;
        let records = confirmed.len();
        let number = tip.number;
        self.pools(step, reservoir::Input::BlockStored { number, confirmed });
        step.log(
            Importance::Information,
            format!(
                "block {number} with {records} records, digest {}",
                tip.digest.display()
            ),
        );
    }

    fn finish(&mut self, step: &mut Step<'_>, work: Work, result: Result<(), LedgerError>) {
        if let Err(LedgerError::Store(fault)) = &result {
            Self::store_fault(step, fault);
            return;
        }
        match work {
            Work::Branch { .. } => {
                let input = match result {
                    Ok(()) => connector::Input::Switched,
                    Err(e) => connector::Input::Refused(e.to_string()),
                };
                self.connect_on_time(step, input);
            }
            Work::One { packed, origin } => match (result, origin) {
                (Ok(()), Origin::Fetched) => {
                    self.connect_on_time(step, connector::Input::Applied);
                }
                (Ok(()), Origin::News(_) | Origin::Local) => {
                    self.relay(step, vec![b"block".to_vec(), packed]);
                    self.connect_on_time(step, connector::Input::Changed);
                }
                (Err(e), Origin::Fetched) => {
                    self.connect_on_time(step, connector::Input::Refused(e.to_string()));
                }
                (Err(LedgerError::Refused(error)), origin) => {
                    if let Origin::News(source) = origin
                        && is_of_source(&error)
                    {
                        self.blocks.blame(source, step.now.mono);
                    }
                    if origin == Origin::Local {
                        let text = format!("a block of our own miner is refused: {error}");
                        step.log(Importance::Warning, text);
                    }
                    self.refused_news(step, &packed, &error);
                }
                (Err(e), _) => step.log(Importance::Warning, format!("a block: {e}")),
            },
        }
    }

    fn refused_news(&mut self, step: &mut Step<'_>, packed: &[u8], error: &BlockError) {
        self.stats.refuse(&error.to_string());
        step.log(Importance::Detail, format!("block refused: {error}"));
        let ahead = matches!(error, BlockError::PreviousDigest)
            && Header::unpack(packed).is_ok_and(|(header, _)| header.number > self.ledger.height());
        if ahead {
            self.connect_on_time(step, connector::Input::Hint);
        }
    }
}

/// Whether what is wrong with a block is the fault of whoever passed it on. Everybody stores a block before
/// he passes it on (`proto/blocks.md`, section 12), and none that breaks a rule is stored: no work, other
/// records than those that the work is for, a false signature are none that an honest source did not see. One
/// header with work brings any number of false blocks behind it, each of which costs as much as a good
/// one. Only the clock and the tip of a source may be others, and what it has stored: a node of the
/// reference that went through a fork has other indexes (section 10), and a block whose records are those
/// of its work comes once. A false chain of ours may have been the measure, so that nobody stays blamed when
/// one is dropped.
const fn is_of_source(error: &BlockError) -> bool {
    let is_of_place = matches!(
        error,
        BlockError::PreviousDigest | BlockError::HeaderTimestamp
    );
    let is_of_stores = matches!(
        error,
        BlockError::AlreadyExists
            | BlockError::DoubleTransfer
            | BlockError::LinkUnknown
            | BlockError::InvalidOwner
    );
    // Nor are these of the block: our store lacks something.
    let is_ours = matches!(error, BlockError::NotFound | BlockError::RingOrder { .. });
    !is_of_place && !is_of_stores && !is_ours
}
