//! `reservoir-store.json`: the reference's file of pending and verified records, read and written
//! (`proto/reservoir.md`, section 12).

use bitmarkd::core::id::AssetId;
use bitmarkd::core::reservoir::file::{CacheFile, FileError};
use serde_json::{Value, json};

use crate::harness::{self, Case};
use crate::reservoir_scenarios::{World, tx_id};

#[test]
fn reservoir_store() {
    harness::run("reservoir-store.json", |case| match case.text("kind") {
        "restore" => restore(case),
        "backup" => backup(case),
        other => case.fail("kind", format!("unknown kind {other}")),
    });
}

fn world(case: &Case) -> World {
    let network = if case.has("network") {
        case.text("network")
    } else {
        "testing"
    };
    World::new(network, case.input("storage_before"))
}

fn read(world: &World, file: &mut CacheFile, bytes: Option<&[u8]>) -> Result<(), FileError> {
    world
        .with(|pools, confirmed, out| file.restore(bytes, world.now, pools, confirmed, out))
        .0
}

fn result(result: Result<(), FileError>) -> Value {
    match result {
        Ok(()) => json!({}),
        Err(FileError::Missing) => json!({"error": format!("open FILE: {}", FileError::Missing)}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn restore(case: &Case) {
    let world = world(case);
    let mut file = CacheFile::default();
    if !case.has("file") {
        // No file is given: it is read for the second time.
        let _ = read(&world, &mut file, Some(&[]));
        case.expect("result", result(read(&world, &mut file, Some(&[]))));
        return;
    }
    let bytes = (!case.input("file").is_null()).then(|| case.bytes("file"));
    case.expect("result", result(read(&world, &mut file, bytes.as_deref())));
    case.expect("pools_after", world.pools());
    for (field, fingerprint) in [
        ("asset_one_cached", b"fp-one"),
        ("asset_two_cached", b"fp-two"),
    ] {
        let id = AssetId::of(fingerprint);
        case.expect(field, world.reservoir.borrow().has_cached_asset(&id));
    }
    let status: Vec<Value> = case
        .input("status_after")
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| {
            let id = tx_id(&entry["tx_id"]);
            json!({"status": world.status(&id), "tx_id": id})
        })
        .collect();
    case.expect("status_after", status);
}

fn backup(case: &Case) {
    let world = world(case);
    let mut file = CacheFile::default();
    if !case.has("file") {
        // Nothing was read before.
        let written = file.backup(&world.reservoir.borrow());
        case.expect("result", result(written.map(|_| ())));
        return;
    }
    let _ = read(&world, &mut file, None);
    world.play(case, case.input("steps"));
    let written = file.backup(&world.reservoir.borrow());
    case.expect("result", result(written.clone().map(|_| ())));
    let written = written.unwrap_or_default();
    case.expect("file", hex::encode(&written));
    let mut records = Vec::new();
    let mut rest = written.as_slice();
    while let [letter, high, low, data @ ..] = rest {
        let (data, after) = data.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        let letter = char::from(*letter).to_string();
        records.push(json!({"data": hex::encode(data), "letter": letter}));
        rest = after;
    }
    case.expect("records", records);
    case.set_aside("file_mode", "the shell writes files; all of them are 0600");
}
