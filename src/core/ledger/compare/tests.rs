//! What is explained, and what is not.

use super::*;
use crate::core::id::{AssetId, TxId};
use crate::core::ledger::Item;
use crate::core::state::{Batch, MemoryStore};

const ACCOUNT: [u8; ACCOUNT_BYTES] = [0x13; ACCOUNT_BYTES];

fn held(index: u64, block: u64) -> Batch {
    let ownership = Ownership {
        last_transfer: TxId([7; 32]),
        last_transfer_block: block,
        issue: TxId([6; 32]),
        issue_block: 2,
        item: Item::Asset(AssetId([5; 64])),
    };
    let index = keys::block(index);
    let mut batch = Batch::new();
    batch.put(
        Pool::Ownership,
        [&ACCOUNT, &index[..]].concat(),
        ownership.pack(),
    );
    batch.put(Pool::OwnerDigest, [&ACCOUNT, &[7; 32][..]].concat(), index);
    batch
}

fn store(count: u64, held: Batch) -> MemoryStore {
    let mut store = MemoryStore::new();
    let mut batch = Batch::new();
    batch.put(Pool::OwnerCount, ACCOUNT, keys::block(count));
    for number in 2..1000_u64 {
        batch.put(Pool::BlockOwnerPayment, keys::block(number), [1]);
        batch.put(Pool::Assets, keys::block(number), [2]);
    }
    batch.put(Pool::BlockOwnerTxIndex, [3; 32], keys::block(2));
    batch.extend(held);
    store.apply(&batch);
    store
}

fn put(store: &mut MemoryStore, pool: Pool, key: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(pool, key, value);
    store.apply(&batch);
}

fn outcome(ours: &MemoryStore, theirs: &MemoryStore) -> (u64, u64) {
    let compared = compare(ours, theirs, 999, &mut || ()).unwrap();
    assert_eq!(
        compared.first.len() as u64,
        compared.different.min(TOLD_MAX as u64)
    );
    (compared.explained, compared.different)
}

#[test]
fn equal_stores_are_compared_whole_and_say_the_same() {
    let ours = store(4, held(3, 9));
    let mut heard = 0;
    let compared = compare(&ours, &ours.clone(), 999, &mut || heard += 1).unwrap();
    assert_eq!((compared.explained, compared.different), (0, 0));
    let counts: Vec<u64> = compared.compared.iter().map(|(_, count)| *count).collect();
    assert_eq!(counts, [998, 0, 1, 1, 1, 998]);
    assert_eq!(heard, counts.iter().sum::<u64>());
}

#[test]
fn what_a_fork_leaves_behind_is_explained() {
    let ours = store(4, held(3, 9));
    assert_eq!(outcome(&ours, &store(6, held(5, 0))), (2, 0));
    let mut theirs = ours.clone();
    put(
        &mut theirs,
        Pool::BlockOwnerPayment,
        &keys::block(1000),
        b"x",
    );
    assert_eq!(outcome(&ours, &theirs), (1, 0), "of a block that is gone");
    put(
        &mut theirs,
        Pool::BlockOwnerTxIndex,
        &[9; 32],
        &keys::block(1000),
    );
    put(&mut theirs, Pool::BlockOwnerPayment, &keys::block(2), b"x");
    assert_eq!(
        outcome(&ours, &theirs),
        (3, 0),
        "and its transfer of block 2"
    );
}

#[test]
fn an_entry_that_is_left_over_excuses_one_block_below_the_one_that_it_names() {
    let ours = store(4, held(3, 9));
    let left_over = |number| {
        let mut theirs = ours.clone();
        let value = keys::block(number);
        put(&mut theirs, Pool::BlockOwnerTxIndex, &[9; 32], &value);
        put(&mut theirs, Pool::BlockOwnerPayment, &keys::block(5), b"x");
        theirs
    };
    assert_eq!(outcome(&ours, &left_over(6)), (2, 0));
    assert_eq!(outcome(&ours, &left_over(5)), (1, 1), "not above it");
    let mut theirs = left_over(6);
    put(&mut theirs, Pool::BlockOwnerPayment, &keys::block(4), b"x");
    assert_eq!(outcome(&ours, &theirs), (2, 1), "one alone");
    let mut theirs = ours.clone();
    put(&mut theirs, Pool::BlockOwnerTxIndex, &[9; 32], b"none");
    assert_eq!(outcome(&ours, &theirs), (0, 1), "none at all");
}

#[test]
fn a_higher_count_needs_gaps_to_match() {
    let ours = store(1, held(0, 9));
    assert_eq!(outcome(&ours, &store(2, held(1, 9))), (2, 0));
    let outside = outcome(&ours, &store(2, held(7, 9)));
    assert_eq!(outside, (0, 2), "the entry lies above the count");
    let mut theirs = store(2, held(0, 9));
    let second = [&ACCOUNT, &keys::block(1)[..]].concat();
    put(&mut theirs, Pool::Ownership, &second, b"one more");
    assert_eq!(outcome(&ours, &theirs).0, 0, "both places are taken");
    assert_eq!(
        outcome(&store(4, held(3, 9)), &store(6, held(2, 9))),
        (1, 1),
        "nothing moves forward"
    );
}

#[test]
fn everything_else_is_a_difference() {
    let ours = store(4, held(3, 9));
    for theirs in [
        store(4, held(2, 9)),
        store(4, held(3, 0)),
        store(6, held(5, 8)),
        store(3, held(3, 9)),
    ] {
        assert_eq!(outcome(&ours, &theirs).1, 1);
    }
    assert_eq!(outcome(&ours, &store(4, Batch::new())).1, 1, "nothing held");
    for (pool, key) in [
        (Pool::Assets, keys::block(5)),
        (Pool::Assets, keys::block(5000)),
        (Pool::Transactions, keys::block(5)),
        (Pool::BlockOwnerPayment, keys::block(5)),
    ] {
        let mut theirs = ours.clone();
        put(&mut theirs, pool, &key, b"else");
        assert_eq!(outcome(&ours, &theirs), (0, 1), "{pool:?}");
        assert_eq!(outcome(&theirs, &ours), (0, 1), "{pool:?}");
    }
    let mut theirs = ours.clone();
    let mut lost = Batch::new();
    lost.delete(Pool::OwnerDigest, [&ACCOUNT, &[7; 32][..]].concat());
    theirs.apply(&lost);
    assert_eq!(
        outcome(&ours, &theirs).1,
        2,
        "an ownership nothing leads to"
    );
}

#[test]
fn only_the_first_differences_are_kept() {
    let ours = store(4, held(3, 9));
    let mut theirs = ours.clone();
    for number in 2..500_u64 {
        put(&mut theirs, Pool::Assets, &keys::block(number), b"else");
    }
    let compared = compare(&ours, &theirs, 999, &mut || ()).unwrap();
    assert_eq!((compared.different, compared.first.len()), (498, TOLD_MAX));
    assert_eq!(compared.first[0].key, keys::block(2));
}
