//! The pools against a small confirmed state in memory.

mod bounds;
mod chain;
mod life;
mod property;
mod restart;

use super::*;
use crate::core::chain::LOCAL;
use crate::core::currency::{Currency, Payment, Payments, address};
use crate::core::id::PayId;
use crate::core::keys::PrivateKey;
use crate::core::ledger::Ledger;
use crate::core::ledger::{Item, Ownership, Returned, keys};
use crate::core::record::{AssetData, BitmarkIssue, BitmarkTransferUnratified, Record, sign};
use crate::core::state::{MemoryStore, Pool};

const HOUR_S: u64 = 3600;

fn key(number: u8) -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[number; 32], true)
}

fn asset(name: &str) -> AssetData {
    let mut record = Record::AssetData(AssetData {
        name: name.into(),
        fingerprint: name.into(),
        metadata: Vec::new(),
        registrant: key(1).account().unwrap(),
        signature: Vec::new(),
    });
    sign(&mut record, &key(1)).unwrap();
    match record {
        Record::AssetData(asset) => asset,
        _ => unreachable!(),
    }
}

fn packed_asset(name: &str) -> Vec<u8> {
    Record::AssetData(asset(name)).pack_unchecked()
}

fn issue_of(owner: u8, asset: &str, nonce: u64) -> BitmarkIssue {
    let mut record = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId::of(asset.as_bytes()),
        owner: key(owner).account().unwrap(),
        nonce,
        signature: Vec::new(),
    });
    sign(&mut record, &key(owner)).unwrap();
    match record {
        Record::BitmarkIssue(issue) => issue,
        _ => unreachable!(),
    }
}

fn issue(asset: &str, nonce: u64) -> Vec<u8> {
    Record::BitmarkIssue(issue_of(2, asset, nonce)).pack_unchecked()
}

fn transfer(link: TxId, from: u8, to: u8) -> Vec<u8> {
    let mut record = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
        link,
        escrow: None,
        owner: key(to).account().unwrap(),
        signature: Vec::new(),
    });
    sign(&mut record, &key(from)).unwrap()
}

fn miner() -> Vec<u8> {
    address::encode(111, &[7; 20]).into_bytes()
}

/// What pays for anything whose fees are at most two.
fn payment(pay_id: PayId) -> SeenPayment {
    SeenPayment {
        pay_id,
        currency: Currency::Bitcoin,
        currency_tx_id: vec![1],
        amounts: [(miner(), 20_000)].into(),
    }
}

fn returned(packed: &[Vec<u8>]) -> Vec<Returned> {
    let records = packed.iter().map(|packed| Returned {
        id: TxId::of(packed),
        packed: packed.clone(),
        record: Record::unpack(packed, true).unwrap().0,
    });
    records.collect()
}

/// The pools, a store, and a clock.
struct World {
    ledger: Ledger,
    store: MemoryStore,
    pools: Reservoir,
    now: Now,
    out: Vec<Effect>,
}

impl World {
    fn new() -> Self {
        Self::with(Caps::default())
    }

    fn with(caps: Caps) -> Self {
        let now = Now {
            mono: 0,
            wall: 1_700_000_000,
        };
        let mut world = Self {
            ledger: Ledger::empty(&LOCAL),
            store: MemoryStore::new(),
            pools: Reservoir::new(caps, Timing::default(), now),
            now,
            out: Vec::new(),
        };
        let payments = Payments(
            [
                (Currency::Bitcoin, miner()),
                (
                    Currency::Litecoin,
                    address::encode(111, &[8; 20]).into_bytes(),
                ),
            ]
            .into(),
        );
        let mut batch = Batch::new();
        for block in 2..10_u64 {
            let packed = payments.pack(true).unwrap();
            batch.put(Pool::BlockOwnerPayment, block.to_be_bytes(), packed);
        }
        world.store.apply(&batch);
        world.input(Input::Mode { normal: true });
        world
    }

    fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        let confirmed = Confirmed {
            view: &self.store,
            ledger: &self.ledger,
        };
        self.pools.step(self.now, input, &confirmed, &mut out);
        self.perform(out);
    }

    fn perform(&mut self, out: Vec<Effect>) {
        for (at, effect) in out.iter().enumerate() {
            if let Effect::Persist(batch) = effect {
                assert_eq!(at, 0, "the batch comes first");
                self.store.apply(batch);
            }
        }
        self.out = out;
        assert_eq!(self.pools.pools, self.pools.pools.recounted());
    }

    fn from(&mut self, peer: u64, command: Command, data: Vec<u8>) -> Result<Answer, Refusal> {
        self.input(Input::Peer {
            command,
            data,
            source: Some(peer),
            ticket: 9,
        });
        self.answer()
    }

    fn peer(&mut self, command: Command, data: Vec<u8>) -> Result<Answer, Refusal> {
        self.from(1, command, data)
    }

    fn client(&mut self, request: Request) -> Result<Answer, Refusal> {
        self.input(Input::Client { request, ticket: 9 });
        self.answer()
    }

    fn answer(&self) -> Result<Answer, Refusal> {
        self.out
            .iter()
            .find_map(|effect| match effect {
                Effect::Reply { ticket: 9, result } => Some(result.clone()),
                _ => None,
            })
            .expect("an answer")
    }

    /// A pending set of these issues of one asset; its pay id.
    fn pending(&mut self, asset: &str, nonces: std::ops::Range<u64>) -> PayId {
        let _ = self.peer(Command::Assets, packed_asset(asset));
        let data: Vec<u8> = nonces.flat_map(|nonce| issue(asset, nonce)).collect();
        match self.peer(Command::Issues, data) {
            Ok(Answer::Issues(stored)) => stored.pay_id,
            other => panic!("{other:?}"),
        }
    }

    fn pay(&mut self, pay_id: PayId) {
        self.input(Input::Payment(payment(pay_id)));
    }

    fn wake(&mut self) {
        self.input(Input::Wake);
    }

    /// Goes on and sweeps.
    fn pass(&mut self, seconds: u64) {
        // In steps, as a sweep that finds a jump pauses.
        for _ in 0..seconds / HOUR_S {
            self.now = self.now.plus_ms(HOUR_S * 1000);
            self.wake();
        }
        self.now = self.now.plus_ms(seconds % HOUR_S * 1000);
        self.wake();
    }

    fn status(&self, id: &TxId) -> Status {
        let confirmed = Confirmed {
            view: &self.store,
            ledger: &self.ledger,
        };
        self.pools.status(id, &confirmed).unwrap()
    }

    fn verified(&mut self, limit: usize) -> Vec<crate::core::mining::assembly::Candidate> {
        let mut out = Vec::new();
        let confirmed = Confirmed {
            view: &self.store,
            ledger: &self.ledger,
        };
        let list = self
            .pools
            .verified(self.now, limit, &confirmed, &mut out)
            .unwrap();
        self.perform(out);
        list
    }

    fn relayed(&self) -> Vec<(Command, Vec<u8>)> {
        self.out
            .iter()
            .filter_map(|effect| match effect {
                Effect::Relay { command, data } => Some((*command, data.clone())),
                _ => None,
            })
            .collect()
    }

    /// Writes a confirmed issue of block 5 and its ownership.
    fn confirmed_issue(&mut self, owner: u8, nonce: u64) -> TxId {
        let record = issue_of(owner, "confirmed", nonce);
        let packed = Record::BitmarkIssue(record.clone()).pack_unchecked();
        let id = TxId::of(&packed);
        let mut batch = Batch::new();
        batch.put(Pool::Transactions, id.0, keys::numbered(5, &packed));
        let ownership = Ownership::first(id, 5, Item::Asset(record.asset_id));
        let at = keys::ownership(&record.owner, nonce);
        batch.put(Pool::Ownership, at, ownership.pack());
        let digest = keys::owner_digest(&record.owner, &id);
        batch.put(Pool::OwnerDigest, digest, nonce.to_be_bytes());
        self.store.apply(&batch);
        id
    }

    /// Writes a record into block `block` without telling the pools.
    fn confirm(&mut self, packed: &[u8], block: u64) -> TxId {
        let id = TxId::of(packed);
        let mut batch = Batch::new();
        batch.put(Pool::Transactions, id.0, keys::numbered(block, packed));
        self.store.apply(&batch);
        id
    }

    /// Writes what `owner` holds by a transaction of block `block`.
    fn own(&mut self, owner: u8, id: TxId, block: u64) {
        let account = key(owner).account().unwrap();
        let mut ownership = Ownership::first(id, 5, Item::Asset(AssetId::of(b"confirmed")));
        ownership.last_transfer_block = block;
        let at = 100 + block;
        let mut batch = Batch::new();
        batch.put(
            Pool::Ownership,
            keys::ownership(&account, at),
            ownership.pack(),
        );
        batch.put(
            Pool::OwnerDigest,
            keys::owner_digest(&account, &id),
            at.to_be_bytes(),
        );
        self.store.apply(&batch);
    }

    fn disown(&mut self, owner: u8, id: &TxId) {
        let account = key(owner).account().unwrap();
        let mut batch = Batch::new();
        batch.delete(Pool::OwnerDigest, keys::owner_digest(&account, id));
        self.store.apply(&batch);
    }

    /// A confirmed transfer of an issue of owner 3 to owner 4: the issue, the transfer, packed.
    fn confirmed_transfer(&mut self) -> (TxId, Vec<u8>) {
        let link = self.confirmed_issue(3, 1);
        let packed = transfer(link, 3, 4);
        let id = self.confirm(&packed, 7);
        self.disown(3, &link);
        self.own(4, id, 7);
        (link, packed)
    }

    /// The same, taken off again.
    fn unconfirm_transfer(&mut self, link: TxId, packed: &[u8]) {
        let id = TxId::of(packed);
        self.unconfirm(&id);
        self.disown(4, &id);
        self.own(3, link, 0);
    }

    fn asset_in_block(&mut self, name: &str, is_there: bool) {
        let id = AssetId::of(name.as_bytes());
        let mut batch = Batch::new();
        if is_there {
            batch.put(Pool::Assets, id.0, keys::numbered(7, &packed_asset(name)));
        } else {
            batch.delete(Pool::Assets, id.0);
        }
        self.store.apply(&batch);
    }

    fn unconfirm(&mut self, id: &TxId) {
        let mut batch = Batch::new();
        batch.delete(Pool::Transactions, id.0);
        self.store.apply(&batch);
    }

    fn stored(&mut self, number: u64, confirmed: Vec<ledger::Confirmed>) {
        self.input(Input::BlockStored { number, confirmed });
    }

    fn taken_off(&mut self, packed: &[Vec<u8>]) {
        let returned = returned(packed);
        self.input(Input::BlocksTakenOff {
            returned,
            is_checked: true,
        });
    }

    /// The same with no node running: `before` is the store with the block.
    fn taken_off_while_stopped(&mut self, before: &MemoryStore, packed: &[Vec<u8>]) {
        let view = |view| Confirmed {
            view,
            ledger: &self.ledger,
        };
        let batch = Reservoir::with_returned(
            self.pools.caps,
            self.now,
            returned(packed),
            &view(before),
            &view(&self.store),
        )
        .unwrap();
        self.store.apply(&batch);
        self.pools = self.loaded().0;
    }

    fn loaded(&self) -> (Reservoir, Vec<Effect>) {
        let mut out = Vec::new();
        let confirmed = Confirmed {
            view: &self.store,
            ledger: &self.ledger,
        };
        let pools = Reservoir::load(
            self.pools.caps,
            Timing::default(),
            self.now,
            &confirmed,
            &mut out,
        )
        .unwrap();
        (pools, out)
    }
}

#[test]
fn every_refusal_has_the_text_of_the_notes() {
    for (refusal, text) in [
        (Refusal::MissingParameters, "missing parameters"),
        (Refusal::TooManyItems, "too many items to process"),
        (Refusal::InvalidItem, "invalid item"),
        (Refusal::WrongNetwork, "wrong network for public key"),
        (Refusal::Synchronising, "not available during synchronise"),
        (Refusal::NotAnAsset, "transaction is not an asset"),
        (Refusal::NotAnIssue, "transaction is not an issue"),
        (Refusal::NotATransfer, "transaction is not a transfer"),
        (Refusal::NothingNew, "no new transactions"),
        (
            Refusal::AssetsAlreadyRegistered,
            "assets already registered",
        ),
        (Refusal::AssetNotFound, "asset not found"),
        (Refusal::AlreadyExists, "transaction already exists"),
        (
            Refusal::InvalidLink,
            "link to invalid or unconfirmed transaction",
        ),
        (Refusal::DoubleTransfer, "double transfer attempt"),
        (Refusal::LinksToSelf, "transaction links to self"),
        (Refusal::PayIdAlreadyUsed, "payId already used"),
        (Refusal::InvalidCount, "invalid count"),
        (Refusal::Full, "reservoir is full"),
        (Refusal::OwnerFull, "reservoir is full"),
        (
            crate::core::mining::proof::InvalidNonce.into(),
            "invalid nonce",
        ),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
}

#[test]
fn a_list_is_shown_to_clients_by_coin() {
    let list = Due(vec![vec![Payment {
        currency: Currency::Bitcoin,
        address: b"a".to_vec(),
        amount: 5,
    }]]);
    assert_eq!(
        list.to_json(),
        "{\"BTC\":[{\"currency\":\"BTC\",\"address\":\"a\",\"amount\":\"5\"}]}"
    );
}
