//! How large a store of a million records is, beside a bare tree with the same keys, values and
//! flushes, and beside the bare bytes. `RECORDS=…` takes fewer.

use crate::fixture::{self, Fixture};
use crate::table::{Reach, Row, Table};

/// The measure.
pub fn run(table: &mut Table) {
    let records = fixture::records();
    let fixture = Fixture::of(records);
    let ours = fixture.facts.sizes.0 as f64 / 1e6;
    let bare = fixture.facts.sizes.1 as f64 / 1e6;
    let raw = fixture.facts.raw as f64 / 1e6;
    let parameters = format!(
        "{} blocks, {records} records, {} entries, written with a cache of {} MiB",
        fixture.facts.blocks,
        fixture.facts.entries,
        fixture::BUILD_CACHE >> 20
    );
    table.row(
        Row::of_pairs(
            &format!("store size, {records} records"),
            "MB",
            "bare tree, same keys, values and flushes",
            &[(ours, bare)],
        )
        .reach(Reach::AtMost(1.1))
        .parameters(parameters.clone()),
    );
    table.row(
        Row::of_pairs(
            &format!("store size over raw bytes, {records} records"),
            "MB",
            "keys and values",
            &[(ours, raw)],
        )
        .reach(Reach::AtMost(2.5))
        .parameters(parameters + "; see store-size.md"),
    );
}
