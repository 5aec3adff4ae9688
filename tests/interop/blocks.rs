//! Rows 4, 5 and 12: blocks from either kind of node and miner, and the vectors' blocks, are blocks to
//! all.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::chain;
use crate::launch::seen;
use crate::network::SIX;
use crate::stage::{Kind, Stage};

/// A block takes 256 digests in the mean, a minute with two threads; seldom ten times that.
const MINED: Duration = Duration::from_secs(1_200);
/// Each node computes a digest for it, some of them several.
const TAKEN: Duration = Duration::from_secs(120);

/// A record is created at a node, mined there, and confirmed everywhere.
fn mined(stage: &mut Stage, index: usize, name: &str, mine: impl FnOnce(&mut Stage)) {
    let made = stage.create(index, name, 1);
    let id = made["issueIds"][0].as_str().unwrap().to_owned();
    stage.all_think(&id, "Verified", TAKEN);
    let height = stage.nodes[index].height();
    mine(stage);
    stage.one(index, "a block", MINED, |node| node.height() > height);
    stage.stop_miners();
    stage.all_think(&id, "Confirmed", TAKEN);
    let top = stage.nodes[index].height();
    stage.all(&format!("height {top}"), TAKEN, |node| node.height() == top);
    let digests = stage.nodes[index].digests([top]);
    for node in &stage.nodes {
        assert_eq!(digests, node.digests([top]), "{}", node.plan.name);
    }
    seen(
        stage.begin,
        format_args!("{name}: block {top} is the same everywhere"),
    );
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_04_a_block_mined_at_either_kind_is_accepted_by_all() {
    let mut stage = Stage::new(&SIX).acquainted();
    stage.start_all();
    stage.wait_normal();
    mined(&mut stage, 0, "ours at ours", |stage| stage.mine_at(0, 2));
    mined(&mut stage, 1, "theirs at theirs", |stage| {
        stage.mine_with_reference_at(1, 2);
    });
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_05_each_miner_mines_for_the_other_kind_of_node() {
    let mut stage = Stage::new(&SIX).acquainted();
    stage.start_all();
    stage.wait_normal();
    mined(&mut stage, 0, "theirs at ours", |stage| {
        stage.mine_with_reference_at(0, 2);
    });
    mined(&mut stage, 1, "ours at theirs", |stage| stage.mine_at(1, 2));
}

/// Blocks of `blocks.json` by the names of their cases: versions 1 to 3, base records, both kinds of
/// transfers, and transfers of blocks to other owners.
fn recorded(names: &[&str]) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/vectors/blocks.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    names
        .iter()
        .map(|name| {
            let case = cases.iter().find(|case| case["name"] == *name).unwrap();
            hex::decode(case["block"]["packed_block"].as_str().unwrap()).unwrap()
        })
        .collect()
}

/// Three of ours have the blocks, and a node of the reference fetches them.
fn served(names: &[&str]) {
    let kinds = [Kind::Ours, Kind::Ours, Kind::Ours, Kind::Reference];
    let mut stage = Stage::new(&kinds).acquainted();
    let blocks = recorded(names);
    let file = stage.folder().join("recorded.blocks");
    chain::save(&file, &blocks);
    for node in &stage.nodes[..3] {
        node.run(&["load-blocks", file.to_str().unwrap()]);
    }
    stage.seed(3, &[0, 1, 2]);
    for index in 0..3 {
        stage.nodes[index].start();
        stage.one(index, "answers", TAKEN, |node| node.info().is_some());
    }
    stage.nodes[3].start();
    let top = blocks.len() as u64 + 1;
    stage.all(&format!("height {top}"), TAKEN, |node| node.height() == top);
    let digests = stage.nodes[0].digests(0..=top);
    assert_eq!(digests, stage.nodes[3].digests(0..=top));
    stage.wait_normal();
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_12_the_recorded_blocks_served_by_ours_are_accepted_by_the_reference() {
    served(&["store-2", "store-3", "store-4", "store-5", "store-6"]);
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_12_the_recorded_fork_with_version_3_is_accepted_too() {
    served(&[
        "store-2",
        "store-3",
        "store-4",
        "store-5",
        "store-6-fork",
        "store-7-version-3",
    ]);
}
