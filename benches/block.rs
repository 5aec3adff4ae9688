//! A block of 10,000 records without its digest: into the store, and off again. The floor are bare
//! signature checks on all cores, and one bare batch of the same bytes, flushed.

use std::time::Instant;

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::keys::PublicKey;
use bitmarkd::core::ledger::read;
use bitmarkd::core::record::Record;
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};

use crate::bare;
use crate::mix::Mix;
use crate::table::{Reach, Row, Table, median};
use crate::world::World;

/// Records of the block, its foundation among them.
const RECORDS: usize = 10_000;
/// Pairs.
const ROUNDS: usize = 9;
/// Blocks below it.
const BELOW: usize = 3;

/// A bare check: key, message, signature.
pub type Check = ([u8; 32], Vec<u8>, Vec<u8>);

/// Every check that the records need; the store has what they follow.
pub fn checks(store: &Store, records: &[Vec<u8>]) -> Vec<Check> {
    let mut all = Vec::new();
    for packed in records {
        let (record, _) = Record::unpack(packed, true).expect("a record");
        let signer = match record.link() {
            None => *record.owner(),
            Some(link) => {
                let linked = read::owned_record(store, &link, true).expect("a read");
                *linked.expect("it is stored").owner()
            }
        };
        let mut check = |account: &bitmarkd::core::keys::Account, message, signature: &[u8]| {
            let PublicKey::Ed25519(key) = account.key else {
                panic!("a key")
            };
            all.push((key, message, signature.to_vec()));
        };
        check(&signer, record.message(), record.signature());
        if let Some(signature) = record.countersignature() {
            check(record.owner(), record.countersign_message(), signature);
        }
    }
    all
}

/// All of them, on all cores.
pub fn check_all(checks: &[Check]) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in checks.chunks(checks.len().div_ceil(cores)) {
            scope.spawn(move || {
                for (key, message, signature) in part {
                    let key = VerifyingKey::from_bytes(key).expect("a key");
                    let signature = Signature::from_slice(signature).expect("a signature");
                    key.verify(message, &signature).expect("a good one");
                }
            });
        }
    });
}

/// The measure.
pub fn run(table: &mut Table) {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = Store::open(&folder.path().join("ours"), CACHE_BYTES).expect("a store");
    let tree = bare::open(&folder.path().join("bare"));
    let mut world = World::new(opened.store);
    let mut mix = Mix::new();
    for _ in 0..BELOW {
        let applied = world.known_block(mix.block(RECORDS - 1));
        let batch = bare::batch(&applied.batch);
        tree.apply_batch(batch).expect("the disk takes it");
    }
    world.store.flush().expect("the disk takes it");
    tree.flush().expect("the disk takes it");

    let records = mix.block(RECORDS - 1);
    let checks = checks(&world.store, &records);
    let block = world.make(records);
    let mut apply = Vec::new();
    let mut undo = Vec::new();
    let mut parts = Vec::new();
    let seconds = |begin: Instant| begin.elapsed().as_secs_f64() * 1e3;
    for round in 0..=ROUNDS {
        let begin = Instant::now();
        let applied = world
            .ledger
            .apply(&world.store, &block.packed, block.digest, block.time)
            .expect("a good block");
        let decided = seconds(begin);
        world.store.apply(&applied.batch).expect("the disk");
        let put = seconds(begin);
        world.store.flush().expect("the disk");
        let ours = seconds(begin);

        let begin = Instant::now();
        let undone = world.ledger.undo_top(&world.store).expect("it comes off");
        let found = seconds(begin);
        world.store.apply(&undone.batch).expect("the disk");
        world.store.flush().expect("the disk");
        let off = seconds(begin);

        let begin = Instant::now();
        check_all(&checks);
        let checked = seconds(begin);
        tree.apply_batch(bare::batch(&applied.batch))
            .expect("the disk");
        let stored = seconds(begin);
        tree.flush().expect("the disk");
        let floor = seconds(begin);
        tree.apply_batch(bare::batch(&undone.batch))
            .expect("the disk");
        tree.flush().expect("the disk");
        // The first is to warm up.
        if round > 0 {
            apply.push((ours, floor));
            undo.push((off, ours));
            parts.push([
                decided,
                put - decided,
                ours - put,
                checked,
                stored - checked,
                floor - stored,
                found,
                off - found,
            ]);
        }
    }
    assert_eq!(world.ledger.chain().name, DEVNET.name);
    let part = |at: usize| median(parts.iter().map(|one| one[at]));
    table.row(
        Row::of_pairs(
            "block of 10,000 records, apply",
            "ms",
            "signature checks on all cores + one sled batch, flushed",
            &apply,
        )
        .reach(Reach::AtMost(1.5))
        .parameters(format!(
            "{ROUNDS} pairs, {RECORDS} records, {} signatures, {:.1} MB; ours: validate {:.0}, batch {:.0}, flush {:.0}; floor: checks {:.0}, batch {:.0}, flush {:.0}",
            checks.len(),
            block.packed.len() as f64 / 1e6,
            part(0), part(1), part(2), part(3), part(4), part(5),
        )),
    );
    table.row(
        Row::of_pairs(
            "block of 10,000 records, undo",
            "ms",
            "apply of the same round",
            &undo,
        )
        .reach(Reach::AtMost(1.0))
        .parameters(format!(
            "{ROUNDS} pairs; decide {:.0}, batch and flush {:.0}",
            part(6),
            part(7)
        )),
    );
}
