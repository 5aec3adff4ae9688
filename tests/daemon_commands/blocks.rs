//! Commands on the store of a stopped node: saved, loaded, shown, deleted, built again.

use bitmarkd::core::block::{DigestMemory, Header, digest};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::ledger::Rebuild;
use bitmarkd::core::state::{Batch, Entry, Pool, View as _};
use serde_json::Value;

use crate::branch::{self, file_of};
use crate::place::{Place, out, told};

/// Blocks 2 up to `height`.
fn chain_up_to(height: u64) -> Vec<Vec<u8>> {
    branch::chain_up_to(height, "asset of block")
}

#[test]
fn blocks_that_were_saved_load_into_an_empty_store_alone() {
    let blocks = chain_up_to(5);
    let place = Place::loaded(&blocks);
    assert_eq!(place.saved(), file_of(&blocks));
    let stderr = told(place.run(&["load", "chain"]));
    assert!(
        stderr.starts_with("bitmarkd: not overwriting existing data: the height is 5"),
        "{stderr}"
    );
    assert!(!place.path("saved.partial").exists());
    let stderr = told(place.run(&["save", "chain"]));
    assert!(stderr.contains("chain is there already"), "{stderr}");
    assert_eq!(
        std::fs::read(place.path("chain")).unwrap(),
        file_of(&blocks)
    );

    let empty = Place::new();
    assert_eq!(
        told(empty.run(&["save", "saved"])),
        "bitmarkd: nothing to save\n"
    );
    assert!(!empty.path("data").exists(), "looking makes nothing");
    assert!(!empty.path("saved").exists());
    told(empty.run(&["load", "chain"]));
    assert!(!empty.path("data").exists());
}

#[test]
fn a_block_that_breaks_a_rule_is_told_and_those_before_it_stay() {
    let mut blocks = chain_up_to(5);
    *blocks[2].last_mut().unwrap() ^= 1;
    let place = Place::new();
    std::fs::write(place.path("chain"), file_of(&blocks)).unwrap();
    let stderr = told(place.run(&["load-blocks", "chain"]));
    assert!(
        stderr.contains("2 blocks were refused, first the block at place 3 of the file: "),
        "{stderr}"
    );
    assert_eq!(place.saved(), file_of(&blocks[..2]));
}

#[test]
fn a_file_that_ends_early_or_is_no_block_file_is_told() {
    let mut file = file_of(&chain_up_to(3));
    file.pop();
    let place = Place::new();
    std::fs::write(place.path("short"), file).unwrap();
    let stderr = told(place.run(&["load-blocks", "short"]));
    assert!(
        stderr.contains("short: behind block 2: the file ends"),
        "{stderr}"
    );
    let other = Place::new();
    let stderr = told(other.run(&["load-blocks", "node.toml"]));
    assert!(stderr.contains("no block is as long"), "{stderr}");
}

#[test]
fn blocks_are_shown_as_json_closed_by_an_empty_object() {
    let blocks = chain_up_to(4);
    let place = Place::loaded(&blocks);
    let shown = out(&place.run(&["block", "2", "4"]).success());
    let all: Value = serde_json::from_str(&shown).unwrap();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(all[3], serde_json::json!({}));
    for (block, packed) in all.iter().zip(&blocks) {
        let (header, _) = Header::unpack(packed).unwrap();
        let expected = digest(&DEVNET.digest, &header.pack(), &mut DigestMemory::new());
        assert_eq!(block["digest"], hex::encode(expected.0));
        assert_eq!(block["header"]["number"], header.number.to_string());
        let types: Vec<&str> = block["transactions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["type"].as_str().unwrap())
            .collect();
        assert_eq!(types, ["BlockFoundation", "AssetData", "BitmarkIssue"]);
        assert_eq!(block["transactions"][2]["index"], 3);
        assert_eq!(block["transactions"][1]["data"]["name"], "asset");
    }
    place.run(&["b", "2", "4", "blocks.json"]).success();
    assert_eq!(place.text("blocks.json"), shown);
    let one = out(&place.run(&["b", "3"]).success());
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one, serde_json::json!([all[1], {}]));

    let stderr = told(place.run(&["block", "4", "5"]));
    assert_eq!(stderr, "bitmarkd: block not found: 5; the height is 4\n");
    told(place.run(&["block", "4", "3"]));
    place.run(&["block", "1"]).code(2);
    told(Place::new().run(&["block", "2"]));
}

/// Everything that is kept of the chain, but what is needed to take blocks off.
fn pools(place: &Place) -> Vec<(Pool, Vec<Entry>)> {
    let store = place.store();
    Pool::ALL
        .into_iter()
        .filter(|pool| ![Pool::Undo, Pool::Reservoir].contains(pool))
        .map(|pool| (pool, store.scan(pool, &[], &[], 10_000).unwrap()))
        .collect()
}

#[test]
fn deleting_down_leaves_what_a_shorter_chain_has() {
    let blocks = chain_up_to(6);
    let place = Place::loaded(&blocks);
    let shorter = Place::loaded(&blocks[..2]);
    let shown = out(&place.run(&["delete-down", "4"]).success());
    assert_eq!(shown, "reduced height to: 3\n");
    assert_eq!(place.saved(), file_of(&blocks[..2]));
    assert_eq!(pools(&place), pools(&shorter));
    // Their records wait again, each issue with its asset.
    let waiting = |letter: u8| {
        let entries = place.store().scan(Pool::Reservoir, &[letter], &[], 100);
        entries.unwrap().len()
    };
    assert_eq!((waiting(b'A'), waiting(b'U') + waiting(b'V')), (3, 3));
    let shown = out(&place.run(&["dd", "9"]).success());
    assert_eq!(shown, "reduced height to: 3\n");
    let shown = out(&place.run(&["dd", "2"]).success());
    assert_eq!(shown, "reduced height to: 1\n");
    place.run(&["load-blocks", "chain"]).success();
    assert_eq!(place.saved(), file_of(&blocks));
    place.run(&["dd", "1"]).code(2);
    let shown = out(&Place::new().run(&["dd", "2"]).success());
    assert_eq!(shown, "reduced height to: 1\n");
}

#[test]
fn deleting_deeper_than_undo_data_is_kept_builds_the_indexes_again() {
    let blocks = chain_up_to(6);
    let shorter = Place::loaded(&blocks[..3]);

    // Undo data that has gone for one block in the middle.
    let place = Place::loaded(&blocks);
    let mut batch = Batch::new();
    batch.delete(Pool::Undo, 6_u64.to_be_bytes());
    place.store().apply(&batch).unwrap();
    let shown = out(&place.run(&["--quiet", "delete-down", "5"]).success());
    assert_eq!(shown, "reduced height to: 4\n");
    assert_eq!(pools(&place), pools(&shorter));

    // A rebuild that was interrupted.
    let place = Place::loaded(&blocks);
    place.store().apply(&Rebuild::ask()).unwrap();
    let shown = out(&place.run(&["delete-down", "5"]).success());
    assert_eq!(shown, "reduced height to: 4\n");
    assert_eq!(pools(&place), pools(&shorter));
    // What is left can be taken off block by block again.
    let shown = out(&place.run(&["delete-down", "3"]).success());
    assert_eq!(shown, "reduced height to: 2\n");
}

#[test]
fn a_rebuild_makes_the_same_indexes_and_computes_digests_that_are_missing() {
    let place = Place::loaded(&chain_up_to(5));
    let before = pools(&place);
    let mut batch = Batch::new();
    for (pool, entries) in &before {
        if ![Pool::Blocks, Pool::Meta].contains(pool) {
            for (key, _) in entries {
                batch.delete(*pool, key.clone());
            }
        }
    }
    place.store().apply(&batch).unwrap();
    let shown = out(&place.run(&["rebuild"]).success());
    assert_eq!(shown, "the indexes are built up to block 5\n");
    assert_eq!(pools(&place), before);
    let shown = out(&Place::new().run(&["rebuild"]).success());
    assert_eq!(shown, "the indexes are built up to block 1\n");
}

#[test]
fn a_block_is_taken_off_after_a_rebuild_as_it_was_before_it() {
    let blocks = chain_up_to(6);
    let place = Place::loaded(&blocks);
    let shorter = Place::loaded(&blocks[..2]);
    place.run(&["rebuild"]).success();
    let shown = out(&place.run(&["delete-down", "4"]).success());
    assert_eq!(shown, "reduced height to: 3\n");
    assert_eq!(place.saved(), file_of(&blocks[..2]));
    assert_eq!(pools(&place), pools(&shorter));
}

#[test]
fn a_rebuild_that_finds_a_bad_block_says_which_to_delete_down_to() {
    let blocks = chain_up_to(5);
    let place = Place::loaded(&blocks);
    let mut bad = blocks[2].clone();
    *bad.last_mut().unwrap() ^= 1;
    let mut batch = Batch::new();
    batch.put(Pool::Blocks, 4_u64.to_be_bytes(), bad);
    place.store().apply(&batch).unwrap();
    let stderr = told(place.run(&["rebuild"]));
    assert!(
        stderr.starts_with("bitmarkd: block 4: ") && stderr.contains("`bitmarkd delete-down 4`"),
        "{stderr}"
    );
    let shown = out(&place.run(&["delete-down", "4"]).success());
    assert_eq!(shown, "reduced height to: 3\n");
    assert_eq!(pools(&place), pools(&Place::loaded(&blocks[..2])));
}

#[test]
fn a_store_in_use_is_left_alone() {
    let place = Place::loaded(&chain_up_to(2));
    let _held = place.store();
    for command in [
        &["delete-down", "2"][..],
        &["rebuild"],
        &["load-blocks", "chain"],
        &["save-blocks", "saved"],
        &["block", "2"],
    ] {
        let stderr = told(place.run(command));
        assert!(
            stderr.contains("in use by another process"),
            "{command:?}: {stderr}"
        );
    }
}
