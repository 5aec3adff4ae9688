//! Looking things up in a store of a million records (`RECORDS=…`: of so many): a provenance of a
//! thousand steps, and the first page of an owner with a tenth of all issues. The floor are as many
//! bare reads of the same keys in the same files, and a bare scan of the same page.

use std::hint::black_box;
use std::time::Instant;

use bitmarkd::core::ledger::keys;
use bitmarkd::core::ledger::read::{self, Step};
use bitmarkd::core::state::{Pool, View as _};
use bitmarkd::shell::store::{CACHE_BYTES, Store};

use crate::bare;
use crate::fixture::{self, Fixture};
use crate::mix::{Mix, TRAIL};
use crate::table::{Reach, Row, Table};

/// Pairs.
const ROUNDS: usize = 31;
/// Entries of a page, as clients of JSON-RPC get at most.
const PAGE: usize = 100;

fn us(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1e6
}

/// The measure.
pub fn run(table: &mut Table) {
    let records = fixture::records();
    let fixture = Fixture::of(records);
    // Two copies: neither has the other's pages in its cache.
    let (_ours, path) = fixture.copy();
    let store = Store::open(&path, CACHE_BYTES).expect("a store").store;
    let (_bare, path) = fixture.copy();
    let tree = bare::open(&path);
    let mix = Mix::from(fixture.facts.made.clone());

    let first = mix.trail();
    let steps = read::provenance(&store, &first, true, TRAIL).expect("a read");
    let reads: Vec<Vec<u8>> = steps
        .iter()
        .map(|step| match step {
            Step::Transaction(id, _) => bare::key(Pool::Transactions, &id.0),
            Step::Asset(id, _) => bare::key(Pool::Assets, &id.0),
        })
        .collect();
    let bare_reads = |keys: &[Vec<u8>]| {
        for key in keys {
            black_box(tree.get(key).expect("a read").expect("it is there"));
        }
    };
    let provenance = || {
        us(|| {
            let steps = read::provenance(&store, &first, true, TRAIL).expect("a read");
            assert_eq!(steps.len(), reads.len());
        })
    };
    provenance();
    bare_reads(&reads);
    let pairs: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| (provenance(), us(|| bare_reads(&reads))))
        .collect();
    table.row(
        Row::of_pairs(
            &format!("provenance of {} steps", reads.len()),
            "us",
            "as many bare reads",
            &pairs,
        )
        .reach(Reach::AtMost(5.0))
        .parameters(format!("{ROUNDS} pairs, {records} records")),
    );

    let owner = mix.crowded();
    let page = || {
        us(|| {
            let page = read::owned(&store, owner, 0, PAGE).expect("a read");
            assert_eq!(page.len(), PAGE);
            black_box(page);
        })
    };
    let start = bare::key(Pool::Ownership, &keys::ownership(owner, 0));
    let scan = || {
        let mut count = 0;
        for entry in tree.range(start.clone()..).take(PAGE) {
            black_box(entry.expect("a read"));
            count += 1;
        }
        assert_eq!(count, PAGE);
    };
    page();
    scan();
    let pairs: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (page(), us(scan))).collect();
    let count = store
        .get(Pool::OwnerCount, &owner.to_bytes())
        .expect("a read");
    let owned = count.and_then(|value| keys::number(&value)).unwrap_or(0);
    table.row(
        Row::of_pairs(
            &format!("first page of an owner with {owned} bitmarks"),
            "us",
            "one bare scan",
            &pairs,
        )
        .reach(Reach::AtMost(5.0))
        .parameters(format!("{ROUNDS} pairs, {PAGE} entries, {records} records")),
    );
}
