//! Unconfirmed records: assets, issues, transfers, proofs, payments (`proto/reservoir.md`).
//!
//! One owner of all pools, so nothing is ever seen half done. A step ends with one batch that
//! holds everything that changed; what is told to anybody stands behind it in the list of effects
//! and is done after the batch is on the disk (section 19). Nothing here reads a clock, a socket
//! or a disk, and no input ends the process.
//!
//! | input | what happens | section |
//! | --- | --- | --- |
//! | [`Input::Peer`] | checked, stored, answered, passed on unchanged if all of it was good | 11 |
//! | [`Input::Client`] | the same for records given as structures | 11 |
//! | [`Input::Payment`] | verifies, or waits for its records | 8 |
//! | [`Input::BlockStored`] | what it confirms leaves, and what it makes impossible | 9 |
//! | [`Input::BlocksTakenOff`] | records come back with their proof or payment | 9, 17 |
//! | [`Input::Wake`] | what has lapsed goes; what is due is sent again | 3, 4, 10 |

mod ahead;
mod assets;
mod blocks;
mod caps;
mod client;
mod clock;
mod codec;
mod confirmed;
pub mod detection;
mod due;
mod error;
mod expiry;
pub mod file;
mod issues;
mod links;
mod members;
mod payments;
mod peer;
mod persist;
mod pools;
mod proofs;
mod relay;
mod set;
mod shown;
#[cfg(test)]
mod tests;
mod transfers;
mod verified;

pub use ahead::{Checks, Found, ToCheck};
pub use caps::{Caps, Room, Source};
pub use client::Request;
pub use confirmed::Confirmed;
pub use due::Due;
pub use error::Refusal;
pub use expiry::SWEEP_MS;
pub use issues::IssuesStored;
pub use payments::SeenPayment;
pub use peer::{split_records, unpack_issues, unpack_transfer};
pub use pools::Sizes;
pub use proofs::ProofStatus;
pub use relay::INTERVAL_MS;
pub use set::{Amounts, Verification};
pub use shown::{ShownMember, ShownSet};
pub use transfers::TransferStored;

use std::collections::BTreeSet;

use super::id::{AssetId, PayId, TxId};
use super::keys::Verifier;
use super::ledger;
use super::record::Record;
use super::state::{Batch, StoreFault};
use super::time::{Millis, Now, UnixSeconds};
use clock::Clock;
use pools::Pools;
use relay::Relay;

/// Life of pending sets, of the links that they take, and of orphan payments.
pub const LIFE_S: u64 = 72 * 3600;
/// Life of an asset that no set uses: two stages of an hour more.
pub const ASSET_LIFE_S: u64 = 2 * (LIFE_S + 3600);

/// Evicted assets that are remembered until they are asked for.
const EVICTED_MAX: usize = 1024;

/// How often things are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From one time that a set is sent to the next.
    pub rebroadcast_ms: Millis,
    /// Between two sweeps of what has lapsed.
    pub sweep_ms: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            rebroadcast_ms: INTERVAL_MS,
            sweep_ms: SWEEP_MS,
        }
    }
}

/// What a message to peers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    /// Packed assets, joined.
    Assets,
    /// The packed issues of one set, joined.
    Issues,
    /// One packed transfer.
    Transfer,
    /// A pay id and a client's nonce.
    Proof,
}

impl Command {
    /// Its name on the wire.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Assets => "assets",
            Self::Issues => "issues",
            Self::Transfer => "transfer",
            Self::Proof => "proof",
        }
    }

    /// The command of this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        [Self::Assets, Self::Issues, Self::Transfer, Self::Proof]
            .into_iter()
            .find(|command| command.text().as_bytes() == name)
    }
}

/// What the pools are made of, as far as it is shared with peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// An asset that no block has.
    Asset(AssetId),
    /// The records of a pay id, with what verified them.
    Set(PayId),
}

/// Ties an answer to what it answers; the caller chooses it.
pub type Ticket = u64;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The node is in mode Normal, or not any more.
    Mode {
        /// Whether it is.
        normal: bool,
    },
    /// A message of a peer.
    Peer {
        /// What it is.
        command: Command,
        /// Its one parameter.
        data: Vec<u8>,
        /// Who sent it.
        source: Source,
        /// For the answer.
        ticket: Ticket,
    },
    /// A client's call.
    Client {
        /// What it asks.
        request: Request,
        /// For the answer.
        ticket: Ticket,
    },
    /// A payment was seen, by a watcher of a coin or through the control socket.
    Payment(SeenPayment),
    /// A block went in.
    BlockStored {
        /// Its number.
        number: u64,
        /// What it confirms.
        confirmed: Vec<ledger::Confirmed>,
    },
    /// A block came off; the confirmed state is the one without it.
    BlocksTakenOff {
        /// Its records, in order.
        returned: Vec<ledger::Returned>,
        /// Whether their signatures were checked by this node. What was not comes back only where it
        /// waited here before.
        is_checked: bool,
    },
    /// [`Reservoir::next_wakeup`] is reached.
    Wake,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The assets of the message: id, and whether it is new.
    Assets(Vec<(AssetId, bool)>),
    /// A set of issues.
    Issues(IssuesStored),
    /// A transfer.
    Transfer(TransferStored),
    /// A proof.
    Proof(ProofStatus),
    /// Assets and a set of issues of a client.
    Created {
        /// The assets: id, and whether it is new.
        assets: Vec<(AssetId, bool)>,
        /// The set, if any issue was given.
        issues: Option<IssuesStored>,
    },
}

/// What is to be done, in this order. What stands behind a batch waits until it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Store this.
    Persist(Batch),
    /// Tell who asked.
    Reply {
        /// As it was given.
        ticket: Ticket,
        /// What became of it.
        result: Result<Answer, Refusal>,
    },
    /// Broadcast to peers: one parameter.
    Relay {
        /// What it is.
        command: Command,
        /// The parameter.
        data: Vec<u8>,
    },
    /// What a block could be made of has changed.
    VerifiedChanged,
    /// A newcomer was refused for want of room (already counted).
    Full {
        /// Who brought it.
        source: Source,
    },
    /// For the log of the operator.
    Log(String),
    /// The store could not be read.
    Fault(StoreFault),
}

/// Where a record is (`proto/reservoir.md`, section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nowhere.
    Unknown,
    /// It waits for a proof or a payment.
    Pending,
    /// It waits for a block.
    Verified,
    /// It is in a block.
    Confirmed,
}

impl Status {
    /// As clients are told.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Pending => "Pending",
            Self::Verified => "Verified",
            Self::Confirmed => "Confirmed",
        }
    }
}

/// All pools of unconfirmed records.
#[derive(Debug, Clone)]
pub struct Reservoir {
    caps: Caps,
    pools: Pools,
    clock: Clock,
    relay: Relay,
    /// Mode Normal.
    normal: bool,
    /// Nothing is handed out while blocks go in or come off.
    held: bool,
    refused_full: u64,
    /// Assets that made room, [`EVICTED_MAX`] at most.
    evicted: Vec<(AssetId, Source)>,
    expired: u64,
    sweep_ms: Millis,
    next_sweep: Millis,
    /// Expiry pauses for one sweep.
    pause: bool,
    /// `now` of the running step, in the seconds of the lives.
    time: UnixSeconds,
    /// The latest of them that is on the disk.
    kept_time: UnixSeconds,
    mono: Millis,
    /// What the running step has to be done.
    effects: Vec<Effect>,
    /// Changed since it was last asked for what is shared with peers.
    touched: BTreeSet<Part>,
    /// What others check of the input that comes next.
    checked: Option<Checks>,
    /// What checks those that nobody else has checked.
    verifier: Verifier,
    /// Signatures of issues that were checked here.
    checked_here: u64,
}

impl Reservoir {
    /// Empty pools.
    #[must_use]
    pub fn new(caps: Caps, timing: Timing, now: Now) -> Self {
        Self {
            caps,
            pools: Pools::default(),
            clock: Clock::new(now),
            relay: Relay::new(timing.rebroadcast_ms),
            normal: false,
            held: false,
            refused_full: 0,
            evicted: Vec::new(),
            expired: 0,
            sweep_ms: timing.sweep_ms.max(1),
            next_sweep: now.mono.saturating_add(timing.sweep_ms),
            pause: false,
            time: now.wall,
            kept_time: 0,
            mono: now.mono,
            effects: Vec::new(),
            touched: BTreeSet::new(),
            checked: None,
            verifier: Verifier::default(),
            checked_here: 0,
        }
    }

    /// Takes one input.
    pub fn step(
        &mut self,
        now: Now,
        input: Input,
        confirmed: &Confirmed<'_>,
        out: &mut Vec<Effect>,
    ) {
        self.begin(now);
        match input {
            Input::Mode { normal } => self.normal = normal,
            Input::Peer {
                command,
                data,
                source,
                ticket,
            } => {
                let result = self.on_peer(command, data, source, confirmed);
                self.effects.push(Effect::Reply { ticket, result });
                self.answer_first();
            }
            Input::Client { request, ticket } => {
                let result = self.on_client(request, confirmed);
                self.effects.push(Effect::Reply { ticket, result });
                self.answer_first();
            }
            Input::Payment(payment) => self.on_payment(payment, confirmed),
            Input::BlockStored {
                number,
                confirmed: records,
            } => self.on_block_stored(number, &records, confirmed),
            Input::BlocksTakenOff {
                returned,
                is_checked,
            } => self.on_blocks_taken_off(returned, is_checked, confirmed),
            Input::Wake => self.on_wake(confirmed),
        }
        self.finish(out);
    }

    /// When [`Input::Wake`] is due.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        let relay = if self.normal { self.relay.next() } else { None };
        Some(relay.map_or(self.next_sweep, |at| at.min(self.next_sweep)))
    }

    fn begin(&mut self, now: Now) {
        if let Some(jump) = self.clock.advance(now) {
            self.pause = true;
            self.effects.push(Effect::Log(format!(
                "the clock jumped forward by {jump} s; nothing expires in the next sweep, and it is followed if it stays there"
            )));
        }
        self.time = self.clock.at(now.mono);
        self.mono = now.mono;
    }

    /// The answer before what is broadcast.
    fn answer_first(&mut self) {
        if let Some(reply) = self.effects.pop() {
            self.effects.insert(0, reply);
        }
    }

    /// Ends a step: the batch first, then the rest.
    fn finish(&mut self, out: &mut Vec<Effect>) {
        let mut batch = persist::changes(
            &mut self.pools,
            &mut self.relay,
            &mut self.touched,
            self.mono,
        );
        self.keep_time(&mut batch);
        if !batch.is_empty() {
            out.push(Effect::Persist(batch));
        }
        out.append(&mut self.effects);
        if std::mem::take(&mut self.pools.verified_changed) {
            out.push(Effect::VerifiedChanged);
        }
    }

    /// Where a record is.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn status(&self, id: &TxId, confirmed: &Confirmed<'_>) -> Result<Status, StoreFault> {
        Ok(match self.pools.set_of(id) {
            Some((_, set)) if set.verified.is_none() => Status::Pending,
            Some(_) => Status::Verified,
            None if confirmed.has_transaction(id)? => Status::Confirmed,
            None => Status::Unknown,
        })
    }

    /// Whether an asset is cached.
    #[must_use]
    pub fn has_cached_asset(&self, id: &AssetId) -> bool {
        self.pools.assets.contains_key(id)
    }

    /// A cached asset, packed.
    #[must_use]
    pub fn cached_asset(&self, id: &AssetId) -> Option<&[u8]> {
        self.pools.assets.get(id).map(|asset| &*asset.packed)
    }

    /// The sizes of the pools; `unverified_tx_index` and `verified_tx` are the node's counters
    /// of pending and verified transactions.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.pools.sizes()
    }

    /// What is taken up of the caps.
    #[must_use]
    pub const fn usage(&self) -> Room {
        self.pools.usage.total()
    }

    /// Whether this much of one source can ever be here, however empty the pools are.
    #[must_use]
    pub fn may_fit(&self, source: Source, room: Room) -> bool {
        let empty = caps::Usage::default();
        empty.of(source).fits(&self.caps, room).is_ok()
    }

    /// The assets that made room for others since this was asked last, with who had brought them.
    pub fn take_evicted(&mut self) -> Vec<(AssetId, Source)> {
        std::mem::take(&mut self.evicted)
    }

    /// Whether another asset with the same fingerprint waits already.
    #[must_use]
    pub fn has_rival(&self, packed: &[u8], testing: bool) -> bool {
        let Ok((record, _)) = Record::unpack(packed, testing) else {
            return false;
        };
        let Record::AssetData(asset) = &record else {
            return false;
        };
        let cached = self.pools.assets.get(&AssetId::of(&asset.fingerprint));
        cached.is_some_and(|cached| !assets::says_the_same(&cached.packed, &record, testing))
    }

    /// How many newcomers were refused for want of room.
    #[must_use]
    pub const fn refused_full(&self) -> u64 {
        self.refused_full
    }

    /// How much has lapsed.
    #[must_use]
    pub const fn expired(&self) -> u64 {
        self.expired
    }

    /// Whether a set of this pay id is here, and how far.
    #[must_use]
    pub fn set_status(&self, pay_id: &PayId) -> Status {
        match self.pools.sets.get(pay_id) {
            Some(set) if set.verified.is_none() => Status::Pending,
            Some(_) => Status::Verified,
            None => Status::Unknown,
        }
    }

    /// Whether exactly these bytes are here, so that their signatures have been checked.
    #[must_use]
    pub fn holds(&self, id: &TxId, record: &Record, packed: &[u8]) -> bool {
        if let Record::AssetData(asset) = record {
            return self.cached_asset(&AssetId::of(&asset.fingerprint)) == Some(packed);
        }
        let set = self.pools.set_of(id).map(|(_, set)| set);
        let mut members = set.into_iter().flat_map(|set| set.members.iter());
        members.any(|member| member.id == *id && member.packed == packed)
    }

    /// The pay id of the set that has this record.
    #[must_use]
    pub fn pay_id_of(&self, id: &TxId) -> Option<PayId> {
        self.pools.set_of(id).map(|(pay_id, _)| pay_id)
    }

    /// The parts that came, changed or went since this was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<Part> {
        std::mem::take(&mut self.touched)
    }

    /// Every part, assets before sets.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let assets = self.pools.assets.keys().map(|id| Part::Asset(*id));
        assets.chain(self.pools.sets.keys().map(|pay_id| Part::Set(*pay_id)))
    }

    /// The records of a set, packed and joined, and whether they are a transfer.
    #[must_use]
    pub fn set_records(&self, pay_id: &PayId) -> Option<(Vec<u8>, bool)> {
        let set = self.pools.sets.get(pay_id)?;
        Some((set.records(), set.link().is_some()))
    }

    /// Whether the set of this pay id is a transfer, if it is here.
    #[must_use]
    pub fn is_transfer(&self, pay_id: &PayId) -> Option<bool> {
        let set = self.pools.sets.get(pay_id);
        set.map(|set| set.link().is_some())
    }

    /// Who brought a part, as far as it is here.
    #[must_use]
    pub fn source_of_part(&self, part: &Part) -> Source {
        match part {
            Part::Asset(id) => self.pools.assets.get(id)?.source,
            Part::Set(pay_id) => self.pools.sets.get(pay_id)?.source,
        }
    }

    /// The message that proves a set, if it was proved.
    #[must_use]
    pub fn proof_of(&self, pay_id: &PayId) -> Option<Vec<u8>> {
        self.pools.sets.get(pay_id)?.proof(pay_id)
    }

    /// The assets that the records of a set need, each once; none for a transfer.
    #[must_use]
    pub fn assets_of(&self, pay_id: &PayId) -> Vec<AssetId> {
        let set = self.pools.sets.get(pay_id);
        set.into_iter().flat_map(set::Set::assets).collect()
    }

    /// What is due for the set of this pay id, if there is a list.
    #[must_use]
    pub fn due(&self, pay_id: &PayId) -> Option<&Due> {
        self.pools.sets.get(pay_id)?.due.as_ref()
    }

    /// Whether it was told that the node is in mode Normal.
    #[must_use]
    pub const fn is_normal(&self) -> bool {
        self.normal
    }

    /// While held, nothing is handed out for blocks.
    pub const fn hold(&mut self, held: bool) {
        self.held = held;
    }
}
