//! `blocks.json`, `blocks-live.json`, `blocks-crash.json`: blocks into the store and off it again,
//! with every pool compared after each step.
//!
//! Where the recorded state went another way before (a deletion that left things behind), what
//! ours promises is the state of a node that only ever saw the blocks that are still there.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use bitmarkd::core::block::{self, DigestMemory, HEADER_BYTES, Header};
use bitmarkd::core::chain::{BITMARK, Chain, LOCAL};
use bitmarkd::core::id::{BlockDigest, TxId};
use bitmarkd::core::ledger::{Ledger, LedgerError, Rebuild, RebuildStep};
use bitmarkd::core::record::Record;
use bitmarkd::core::state::{MemoryStore, Pool, View};
use serde_json::{Value, json};

use crate::harness::{self, Case};

/// Deletion restores exactly what was there, down to genesis.
const EXACT_UNDO: &str = "undo-restores-exactly";
/// Blocks that end the reference's process.
const CRASHES: &str = "blocks-that-crash-are-refused";

const POOLS: [Pool; 8] = [
    Pool::Blocks,
    Pool::BlockOwnerPayment,
    Pool::BlockOwnerTxIndex,
    Pool::Assets,
    Pool::Transactions,
    Pool::OwnerCount,
    Pool::Ownership,
    Pool::OwnerDigest,
];
/// All recorded blocks are older.
const NOW: u64 = 1_900_000_000;

type Dump = BTreeMap<(usize, String), String>;

#[test]
fn blocks() {
    harness::run_with("blocks.json", |cases| {
        walk(&LOCAL, cases, &World::new(&LOCAL))
    });
}

#[test]
fn blocks_live() {
    harness::run_with("blocks-live.json", |cases| {
        walk(&BITMARK, cases, &World::new(&BITMARK))
    });
}

#[test]
fn blocks_crash() {
    let start = World::new(&LOCAL);
    let digests = RefCell::default();
    for packed in blocks_two_to_four() {
        let digest = digest_of(&LOCAL, &packed, &digests);
        start
            .clone()
            .store(&packed, digest)
            .expect("a shared block goes in");
        start.adopt(&packed, digest);
    }
    harness::run_with("blocks-crash.json", |cases| {
        let mut rest = cases;
        while let Some(first) = rest.first() {
            let group = first.text("group");
            let size = rest
                .iter()
                .take_while(|case| case.text("group") == group)
                .count();
            let (these, others) = rest.split_at(size);
            walk(&LOCAL, these, &start);
            rest = others;
        }
    });
}

/// The blocks that every group of `blocks-crash.json` starts from.
fn blocks_two_to_four() -> Vec<Vec<u8>> {
    let path = format!("{}/proto/vectors/blocks.json", env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    document["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| ["store-2", "store-3", "store-4"].contains(&case["name"].as_str().unwrap()))
        .map(|case| hex::decode(case["block"]["packed_block"].as_str().unwrap()).unwrap())
        .collect()
}

/// A store with its ledger, and the blocks in it.
#[derive(Clone)]
struct World {
    chain: &'static Chain,
    store: RefCell<MemoryStore>,
    blocks: RefCell<Vec<(Vec<u8>, BlockDigest)>>,
}

impl World {
    fn new(chain: &'static Chain) -> Self {
        Self {
            chain,
            store: RefCell::default(),
            blocks: RefCell::default(),
        }
    }

    /// The ledger as a restart would find it.
    fn ledger(&self) -> Ledger {
        Ledger::load(self.chain, &*self.store.borrow()).expect("the store is whole")
    }

    fn store(&self, packed: &[u8], digest: BlockDigest) -> Result<(), LedgerError> {
        let mut ledger = self.ledger();
        let applied = ledger.apply(&*self.store.borrow(), packed, digest, NOW)?;
        self.store.borrow_mut().apply(&applied.batch);
        assert_eq!(
            ledger.tip(),
            self.ledger().tip(),
            "a restart finds the same tip"
        );
        self.blocks.borrow_mut().push((packed.to_vec(), digest));
        Ok(())
    }

    fn adopt(&self, packed: &[u8], digest: BlockDigest) {
        self.store(packed, digest).expect("it went in before");
    }

    fn delete_down_to(&self, number: u64) {
        let mut ledger = self.ledger();
        while ledger.height() >= number.max(2) {
            let undone = ledger
                .undo_top(&*self.store.borrow())
                .expect("undo data is there");
            self.store.borrow_mut().apply(&undone.batch);
            self.blocks.borrow_mut().pop();
            assert_eq!(
                ledger.tip(),
                self.ledger().tip(),
                "a restart finds the same tip"
            );
            assert_eq!(ledger.ring(), self.ledger().ring());
        }
    }

    /// A node that only ever saw these blocks.
    fn fresh(&self) -> Self {
        let fresh = Self::new(self.chain);
        for (packed, digest) in self.blocks.borrow().iter() {
            fresh.adopt(packed, *digest);
        }
        fresh
    }

    fn dump(&self) -> Dump {
        let mut dump = Dump::new();
        for (index, pool) in POOLS.into_iter().enumerate() {
            for (key, value) in self
                .store
                .borrow()
                .scan(pool, &[], &[], usize::MAX)
                .unwrap()
            {
                let value = if pool == Pool::Blocks {
                    "(the packed block)".to_owned()
                } else {
                    hex::encode(value)
                };
                dump.insert((index, hex::encode(key)), value);
            }
        }
        dump
    }

    fn state(&self) -> Value {
        let ledger = self.ledger();
        json!({
            "height": ledger.height(),
            "latest_crc": hex::encode(ledger.ring().latest()),
            "next_number": ledger.height() + 1,
            "previous_block_digest": ledger.tip().digest.to_string(),
        })
    }
}

fn letter(index: usize) -> String {
    char::from(POOLS[index].prefix()).to_string()
}

fn contents(dump: &Dump) -> Value {
    dump.iter()
        .map(|((pool, key), value)| json!({"key": key, "pool": letter(*pool), "value": value}))
        .collect()
}

fn written(before: &Dump, after: &Dump) -> Value {
    after
        .iter()
        .filter(|(at, value)| before.get(at) != Some(value))
        .map(|(at, value)| match before.get(at) {
            Some(old) => {
                json!({"key": at.1, "pool": letter(at.0), "replaces": old, "value": value})
            }
            None => json!({"key": at.1, "pool": letter(at.0), "value": value}),
        })
        .collect()
}

fn removed(before: &Dump, after: &Dump) -> Value {
    before
        .keys()
        .filter(|at| !after.contains_key(at))
        .map(|(pool, key)| json!(format!("{}:{key}", letter(*pool))))
        .collect()
}

fn digest_of(
    chain: &Chain,
    packed: &[u8],
    known: &RefCell<HashMap<Vec<u8>, BlockDigest>>,
) -> BlockDigest {
    let Some(header) = packed.first_chunk::<HEADER_BYTES>() else {
        return BlockDigest([0xff; 32]);
    };
    if let Some(digest) = known.borrow().get(header.as_slice()) {
        return *digest;
    }
    let digest = block::digest(&chain.digest, header, &mut DigestMemory::new());
    known.borrow_mut().insert(header.to_vec(), digest);
    digest
}

fn walk(chain: &'static Chain, cases: &[Case], start: &World) {
    let digests = RefCell::default();
    let mut world = start.clone();
    let mut recorded_differs = false;
    for case in cases {
        match case.text("operation") {
            "none" => {
                case.set_aside("keys", "the keys that the blocks are signed with");
                case.expect_value("keys", &json!(true), &json!(case.has("keys")));
            }
            "store" => {
                let packed = block_fields(chain, case, &digests);
                let digest = digest_of(chain, &packed, &digests);
                world = store(case, world, &packed, digest, recorded_differs);
            }
            "delete_down_to" => {
                let before = world.dump();
                world.delete_down_to(case.input("block_number").as_u64().unwrap());
                let promised = world.fresh();
                recorded_differs |= before != world.dump();
                case.expect("error", "");
                compare(
                    case,
                    &before,
                    &world,
                    &promised,
                    recorded_differs.then_some(EXACT_UNDO),
                );
            }
            "contents" => {
                let promised = world.fresh();
                let rule = recorded_differs.then_some(EXACT_UNDO);
                settle(
                    case,
                    "pools",
                    contents(&world.dump()),
                    contents(&promised.dump()),
                    rule,
                );
                settle(case, "state_after", world.state(), promised.state(), rule);
            }
            "reindex" => reindex(case, &world),
            other => case.fail("operation", format!("{other} is unknown")),
        }
    }
}

/// Compares with the record where that is what ours promises, else by the rule.
fn settle(case: &Case, field: &str, got: Value, promised: Value, rule: Option<&str>) {
    let recorded = case.input(field);
    match rule {
        Some(rule) if *recorded != promised => case.deviates(rule, field, got, promised),
        _ => case.expect(field, got),
    }
}

fn compare(case: &Case, before: &Dump, world: &World, promised: &World, rule: Option<&str>) {
    let (after, promise) = (world.dump(), promised.dump());
    settle(
        case,
        "written",
        written(before, &after),
        written(before, &promise),
        rule,
    );
    settle(
        case,
        "removed",
        removed(before, &after),
        removed(before, &promise),
        rule,
    );
    settle(case, "state_after", world.state(), promised.state(), rule);
}

/// What ours answers to a block that ends the reference's process, by what that died of.
fn refusal(panic: &str) -> &'static str {
    if panic.starts_with("should not occur: ") {
        "missing block owner"
    } else if panic.starts_with("ownership.Transfer: ") {
        "double transfer attempt"
    } else {
        "link to invalid or unconfirmed transaction"
    }
}

fn store(case: &Case, world: World, packed: &[u8], digest: BlockDigest, differs: bool) -> World {
    let before = world.dump();
    let after = World::clone(&world);
    let stored = after.store(packed, digest);
    let error = stored
        .as_ref()
        .err()
        .map(ToString::to_string)
        .unwrap_or_default();
    let recorded = case.input("error").as_str().unwrap().to_owned();
    if case.has("reference_panics") {
        case.input("reference_panics");
        case.deviates(CRASHES, "error", error, refusal(&recorded));
        compare(case, &before, &after, &world, Some(CRASHES));
        return world;
    }
    let rule = differs.then_some(EXACT_UNDO);
    settle(
        case,
        "error",
        json!(error),
        json!(error),
        rule.filter(|_| stored.is_ok()),
    );
    let promised = after.fresh();
    let start = if stored.is_ok() {
        let fresh = after.fresh();
        fresh.delete_down_to(fresh.ledger().height());
        fresh.dump()
    } else {
        before.clone()
    };
    assert_eq!(start, before, "a node that forked is as one that did not");
    compare(case, &before, &after, &promised, rule);
    if stored.is_ok() && !recorded.is_empty() {
        // The record goes on from where this block is not stored.
        return world;
    }
    after
}

/// Checks what the case says about the block itself; gives its bytes.
fn block_fields(
    chain: &Chain,
    case: &Case,
    digests: &RefCell<HashMap<Vec<u8>, BlockDigest>>,
) -> Vec<u8> {
    if !case.has("block") {
        return case.bytes("packed_block");
    }
    let block = case.input("block");
    let packed = hex::decode(block["packed_block"].as_str().unwrap()).unwrap();
    let digest = digest_of(chain, &packed, digests);
    let (header, body) = Header::unpack(&packed).unwrap();
    let got = json!({
        "crc64": format!("{:016x}", block::crc(header.number, &packed)),
        "digest": digest.to_string(),
        "digest_display": digest.display(),
        "foundation_tx_id": block::foundation_id(&digest, header.number).to_string(),
        "header": {
            "difficulty_bits": format!("{:016x}", header.difficulty.0),
            "merkle_root": header.merkle_root.to_string(),
            "nonce": format!("{:016x}", header.nonce),
            "number": header.number.to_string(),
            "previous_block": header.previous_block.to_string(),
            "timestamp": header.timestamp.to_string(),
            "transaction_count": header.transaction_count,
            "version": header.version,
        },
        "header_json": header.to_json(),
        "packed_block": hex::encode(&packed),
        "transactions": transactions(chain, body),
    });
    case.expect_value("block", block, &got);
    packed
}

fn transactions(chain: &Chain, mut body: &[u8]) -> Value {
    let mut all = Vec::new();
    while !body.is_empty() {
        let Ok((record, used)) = Record::unpack(body, chain.testing) else {
            break;
        };
        let (packed, rest) = body.split_at(used);
        all.push(json!({
            "packed": hex::encode(packed),
            "tx_id": TxId::of(packed).to_string(),
            "type": record.type_name(),
        }));
        body = rest;
    }
    Value::Array(all)
}

fn reindex(case: &Case, world: &World) {
    let before = world.dump();
    let again = World::clone(world);
    let mut rebuild = Rebuild::new(world.chain);
    let mut asked = false;
    loop {
        let step = rebuild
            .step(&*again.store.borrow())
            .expect("every block is valid");
        match step {
            RebuildStep::Store(batch) => again.store.borrow_mut().apply(&batch),
            RebuildStep::Digest(number, _) => panic!("the digest of {number} is stored"),
            RebuildStep::Done(batch, ledger) => {
                asked = Rebuild::is_due(&*again.store.borrow()).unwrap() || asked;
                again.store.borrow_mut().apply(&batch);
                assert_eq!(ledger.tip(), again.ledger().tip());
                break;
            }
        }
    }
    case.expect("reindex_required", asked);
    let after = again.dump();
    case.expect("differences_written", written(&before, &after));
    case.expect("differences_removed", removed(&before, &after));
    case.expect("state_after", again.state());
}
