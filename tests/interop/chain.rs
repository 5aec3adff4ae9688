//! Row 1: each kind fetches the chain from the other. The chain is a file of saved blocks, mined once
//! by our miner.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::launch::seen;
use crate::stage::{Kind, Stage};

/// Time for half a second for each digest of the chain, on a busy machine.
const FETCHED: Duration = Duration::from_secs(600);
/// How many blocks must be fetched at the least.
const ENOUGH: u64 = 24;

/// The saved chain.
pub fn saved() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/local.blocks")
}

/// Its blocks, from block 2 on (`proto/blocks.md`, section 14).
pub fn blocks() -> Vec<Vec<u8>> {
    let bytes = std::fs::read(saved()).unwrap();
    let mut rest = bytes.as_slice();
    let mut blocks = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::try_from(u64::from_be_bytes(*length)).unwrap();
        let (block, behind) = behind.split_at(length);
        blocks.push(block.to_vec());
        rest = behind;
    }
    blocks
}

/// Writes such a file.
pub fn save(file: &Path, blocks: &[Vec<u8>]) {
    let parts = blocks
        .iter()
        .flat_map(|block| [(block.len() as u64).to_be_bytes().to_vec(), block.clone()]);
    std::fs::write(file, parts.collect::<Vec<_>>().concat()).unwrap();
}

/// One newcomer of one kind, which dials three nodes of the other that have the chain.
fn fetched_by(newcomer: Kind, teachers: Kind) {
    let mut stage = Stage::new(&[newcomer, teachers, teachers, teachers]);
    let file = saved();
    for teacher in &stage.nodes[1..] {
        teacher.run(&["load-blocks", file.to_str().unwrap()]);
    }
    seen(stage.begin, "the chain is loaded");
    stage.acquaint(&[0, 1, 2, 3]);
    stage.seed(0, &[1, 2, 3]);
    for index in [1, 2, 3, 0] {
        stage.nodes[index].start();
        if index != 0 {
            stage.one(index, "answers", FETCHED, |node| node.info().is_some());
        }
    }
    let top = stage.nodes[1].height();
    assert!(top > ENOUGH, "{top}");
    stage.one(0, &format!("height {top}"), FETCHED, |node| {
        node.height() == top
    });
    stage.one(0, "mode Normal", FETCHED, |node| node.is_normal());
    let own = stage.nodes[0].digests(0..=top);
    for teacher in &stage.nodes[1..] {
        assert_eq!(own, teacher.digests(0..=top), "{}", teacher.plan.name);
    }
    seen(
        stage.begin,
        format_args!("equal digests of all {} blocks", top - 1),
    );
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_01_the_reference_fetches_the_chain_from_ours() {
    fetched_by(Kind::Reference, Kind::Ours);
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_01_ours_fetches_the_chain_from_the_reference() {
    fetched_by(Kind::Ours, Kind::Reference);
}
