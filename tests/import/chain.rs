//! The chain of the other node: from its stores and from a saved file, once and again, damaged and in
//! use.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use assert_cmd::prelude::*;
use bitmarkd::core::block::{DigestMemory, HEADER_BYTES, Header, digest};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::ledger::Ledger;
use bitmarkd::core::ledger::checked::Checked;
use bitmarkd::core::snapshot::POOLS;
use bitmarkd::core::state::Pool;
use bitmarkd::shell::store::{CACHE_BYTES, Store};

use crate::nodes;
use crate::stage::{Entries, INDEXES, Place, chain_up_to, err, file_of, out, told};

/// How far the digests of a place are checked, and up to where they were taken as they came.
fn checked_of(place: &Place) -> Option<(u64, u64)> {
    let checked = Checked::load(&place.store(), u64::MAX).unwrap();
    checked.map(|checked| (checked.verified, checked.until))
}

/// A node of ours beside a stopped one that has these blocks.
fn beside(blocks: &[Vec<u8>]) -> Place {
    let index = Place::loaded(blocks).entries(&INDEXES);
    let place = Place::new("devnet");
    place.write_stores(blocks, &index);
    place
}

#[test]
fn the_stores_of_a_stopped_node_become_ours_and_are_not_changed() {
    let blocks = chain_up_to(12, "chain");
    let place = beside(&blocks);
    let before = place.theirs();
    let tables = before
        .keys()
        .filter(|path| path.extension().is_some_and(|ending| ending == "ldb"));
    assert!(tables.count() > 0);
    let text = out(&place.run(&["import", "go"]).success());
    assert!(text.contains("blocks   11 taken, 0 were there"), "{text}");
    assert!(text.contains("height   12"), "{text}");
    let status = out(&place.run(&["block", "12"]).success());
    let json: serde_json::Value = serde_json::from_str(&status).unwrap();
    let top = json[0]["digest"].as_str().unwrap();
    assert!(text.contains(&format!("top      {top}")), "{text}");
    assert!(text.contains("11 assets, 22 transactions"), "{text}");
    assert!(text.contains("; 0 differ"), "{text}");
    let same = Place::loaded(&blocks);
    assert_eq!(place.entries(&Pool::ALL), same.entries(&Pool::ALL));

    let again = out(&place.run(&["import", "go"]).success());
    assert!(again.contains("blocks   0 taken, 11 were there"), "{again}");
    assert_eq!(place.entries(&Pool::ALL), same.entries(&Pool::ALL));
    assert_eq!(place.theirs(), before);
}

#[test]
fn trusted_digests_give_the_same_store_and_a_warning() {
    let blocks = chain_up_to(9, "chain");
    let place = beside(&blocks);
    let run = place
        .run(&["--quiet", "import", "go", "--trust-digests"])
        .success();
    assert!(err(&run).contains("WARNING: --trust-digests"));
    assert_eq!(out(&run), "");
    // That of the highest was computed.
    assert_eq!(checked_of(&place), Some((1, 8)));
    let same = Place::loaded(&blocks);
    assert_eq!(place.entries(&POOLS), same.entries(&POOLS));
    // Whoever asks what the node vouches for is told.
    let run = place.run(&["snapshot", "export", "file"]).success();
    assert!(err(&run).contains("up to block 1 of 9: do not vouch"));
}

#[test]
fn blocks_whose_digests_were_computed_stay_checked_below_those_that_are_trusted() {
    let blocks = chain_up_to(9, "chain");
    let place = beside(&blocks);
    std::fs::write(place.path("saved"), file_of(&blocks[..4])).unwrap();
    place.run(&["import", "--blocks", "saved"]).success();
    assert_eq!(checked_of(&place), None);
    place.run(&["import", "go", "--trust-digests"]).success();
    assert_eq!(checked_of(&place), Some((5, 8)));
    // Again, with nothing to take; and with everything computed.
    place.run(&["import", "go", "--trust-digests"]).success();
    place.run(&["import", "go"]).success();
    assert_eq!(checked_of(&place), Some((5, 8)));
}

/// A node that took over these blocks without a digest of theirs, and runs.
fn trusting(blocks: &[Vec<u8>]) -> nodes::Stage {
    let place = Place::new("devnet");
    place.write_stores(blocks, &Entries::new());
    std::fs::remove_dir_all(place.path("go/data/devnet-index.leveldb")).unwrap();
    let mut stage = nodes::Stage::new("devnet", 1);
    let node = &mut stage.nodes[0];
    Command::new(env!("CARGO_BIN_EXE_bitmarkd"))
        .arg("--config-file")
        .arg(node.config())
        .args(["import", "--trust-digests", "--only", "chain", "--stores"])
        .arg(place.path("go/data"))
        .assert()
        .success();
    node.start();
    stage
}

fn wait_log(node: &nodes::TestNode, text: &str) {
    let log = node.plan.directory.join("log/bitmarkd.log");
    nodes::eventually(text, || {
        let log = std::fs::read_to_string(&log).ok()?;
        log.contains(text).then_some(())
    });
}

#[test]
fn a_node_computes_the_digests_that_were_trusted_once_it_runs() {
    let blocks = chain_up_to(9, "chain");
    let mut stage = trusting(&blocks);
    let node = &mut stage.nodes[0];
    node.wait_status("all of it checked", |s| {
        s["height"] == 9 && s["verifiedHeight"] == 9
    });
    wait_log(node, "all digests up to block 8 are checked");
    node.stop();
    let store = Store::open(&node.plan.directory.join("data/devnet.sled"), CACHE_BYTES);
    assert_eq!(Checked::load(&store.unwrap().store, 9).unwrap(), None);
}

#[test]
fn a_node_drops_a_block_whose_work_was_never_done_though_the_next_one_names_it() {
    let mut blocks = chain_up_to(9, "chain");
    let (mut header, _) = Header::unpack(&blocks[2]).unwrap();
    header.nonce ^= 1;
    blocks[2][..HEADER_BYTES].copy_from_slice(&header.pack());
    let stage = trusting(&blocks);
    let node = &stage.nodes[0];
    node.wait_status("the blocks below it", |s| {
        s["height"] == 3 && s["verifiedHeight"] == 3
    });
    wait_log(node, "block 4 is false: its digest is stored as");
}

#[test]
fn a_saved_file_does_as_well() {
    let blocks = chain_up_to(6, "chain");
    let place = Place::new("devnet");
    std::fs::write(place.path("saved"), file_of(&blocks)).unwrap();
    for taken in ["5 taken, 0 were there", "0 taken, 5 were there"] {
        let text = out(&place.run(&["import", "--blocks", "saved"]).success());
        assert!(text.contains(taken), "{text}");
        assert!(!text.contains("indexes"), "{text}");
    }
    let same = Place::loaded(&blocks);
    assert_eq!(place.entries(&Pool::ALL), same.entries(&Pool::ALL));
}

#[test]
fn a_saved_file_that_is_cut_short_is_taken_as_far_as_it_goes() {
    let file = file_of(&chain_up_to(6, "chain"));
    let place = Place::new("devnet");
    std::fs::write(place.path("saved"), &file[..file.len() - 1]).unwrap();
    let run = place.run(&["import", "--blocks", "saved"]).code(1);
    let text = err(&run);
    assert!(text.contains("taken up to block 5"), "{text}");
    assert!(text.contains("ends in the middle of a block"), "{text}");
    assert_eq!(place.entries(&[Pool::Blocks]).len(), 4);
    let table = out(&run);
    assert!(table.contains("height   5"), "told all the same: {table}");
}

#[test]
fn digests_of_a_saved_file_are_not_trusted() {
    let place = Place::new("devnet");
    std::fs::write(place.path("saved"), file_of(&chain_up_to(3, "chain"))).unwrap();
    let args = ["import", "--blocks", "saved", "--trust-digests"];
    let text = told(place.run(&args));
    assert!(text.contains("a saved file has no check sums"), "{text}");
    assert!(!place.path("data").exists(), "nothing is made");
}

/// The place of a block's `previous` that no difficulty looks at.
const IN_PREVIOUS: usize = 12 + 16;

#[test]
fn the_block_on_top_has_its_own_digest_also_where_the_next_one_names_another() {
    let blocks = chain_up_to(7, "chain");
    let mut wrong = blocks[..5].to_vec();
    wrong[4][IN_PREVIOUS] ^= 1;
    let place = Place::new("devnet");
    place.write_stores(&wrong, &Entries::new());
    let text = told(place.run(&["import", "go", "--trust-digests"]));
    assert!(text.contains("taken up to block 5"), "{text}");
    let same = Place::loaded(&blocks[..4]);
    assert_eq!(place.entries(&POOLS), same.entries(&POOLS));
    assert_eq!(checked_of(&place), Some((1, 5)));
    std::fs::write(place.path("saved"), file_of(&blocks)).unwrap();
    let text = out(&place.run(&["import", "--blocks", "saved"]).success());
    assert!(text.contains("2 taken, 4 were there"), "{text}");
}

#[test]
fn a_wrong_digest_that_a_killed_run_left_on_top_is_put_right_first() {
    let blocks = chain_up_to(6, "chain");
    let place = beside(&blocks);
    let store = place.store();
    let mut ledger = Ledger::load(&DEVNET, &store).unwrap();
    let mut memory = DigestMemory::new();
    for (at, block) in blocks[..4].iter().enumerate() {
        let (header, _) = Header::unpack(block).unwrap();
        let mut found = digest(&DEVNET.digest, &header.pack(), &mut memory);
        if at == 3 {
            found.0[16] ^= 1;
        }
        let applied = ledger.apply(&store, block, found, u64::MAX / 2).unwrap();
        store.apply(&applied.batch).unwrap();
    }
    store.flush().unwrap();
    drop(store);
    let text = out(&place.run(&["import", "go"]).success());
    assert!(text.contains("1 taken, 4 were there"), "{text}");
    let same = Place::loaded(&blocks);
    assert_eq!(place.entries(&Pool::ALL), same.entries(&Pool::ALL));
}

#[test]
fn the_stores_of_another_chain_are_refused_unless_their_folder_is_named() {
    let place = Place::new("local");
    place.write_stores(&chain_up_to(2, "chain"), &Entries::new());
    let config = std::fs::read_to_string(place.path("node.toml")).unwrap();
    let config = config.replace("\"local\"", "\"testing\"");
    std::fs::write(place.path("node.toml"), config).unwrap();
    let text = told(place.run(&["import", "go"]));
    assert!(
        text.contains("the stores are those of chain local"),
        "{text}"
    );
    assert!(!place.path("data").exists(), "nothing is made");
    let text = told(place.run(&["import", "--stores", "go/data"]));
    assert!(text.contains("block 2 is refused"), "{text}");
    for part in ["blocks", "index"] {
        let name = |store| place.path(&format!("go/data/{store}-{part}.leveldb"));
        std::fs::rename(name("local"), name("mine")).unwrap();
    }
    let text = told(place.run(&["import", "go"]));
    assert!(text.contains("block 2 is refused"), "{text}");
}

#[test]
fn a_store_without_a_block_has_nothing_to_give() {
    let place = Place::loaded(&chain_up_to(3, "chain"));
    place.write_stores(&[], &Entries::new());
    let text = out(&place.run(&["import", "go"]).success());
    assert!(text.contains("blocks   0 taken"), "{text}");
    assert!(text.contains("height   3"), "{text}");
}

#[test]
fn an_import_goes_on_where_one_was_ended_and_never_on_another_chain() {
    let blocks = chain_up_to(8, "chain");
    let place = beside(&blocks);
    std::fs::write(place.path("part"), file_of(&blocks[..3])).unwrap();
    place.run(&["import", "--blocks", "part"]).success();
    let text = out(&place.run(&["import", "go"]).success());
    assert!(text.contains("4 taken, 3 were there"), "{text}");
    // A source that is behind has nothing to give.
    let text = out(&place.run(&["import", "--blocks", "part"]).success());
    assert!(text.contains("0 taken, 3 were there"), "{text}");
    assert!(text.contains("height   8"), "{text}");

    let other = beside(&chain_up_to(5, "another"));
    std::fs::write(other.path("part"), file_of(&blocks[..3])).unwrap();
    other.run(&["import", "--blocks", "part"]).success();
    let before = other.entries(&Pool::ALL);
    let text = told(other.run(&["import", "go"]));
    assert!(
        text.contains("another chain: block 4 is not the same"),
        "{text}"
    );
    assert_eq!(other.entries(&Pool::ALL), before);
}

#[test]
fn an_import_that_is_killed_leaves_a_store_that_opens_and_goes_on() {
    let blocks = chain_up_to(60, "chain");
    let place = Place::new("devnet");
    let fifo = place.path("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let mut program = place
        .program()
        .args(["import", "--blocks", "fifo"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let whole = file_of(&blocks);
    // The pipe holds less than half of it, so the program is at work when all is written; then it
    // waits for the last byte, and is killed.
    assert!(whole.len() > 2 * 65_536);
    let mut pipe = File::options().write(true).open(&fifo).unwrap();
    pipe.write_all(&whole[..whole.len() - 1]).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    drop(pipe);
    drop(place.store());
    std::fs::write(place.path("saved"), whole).unwrap();
    let text = out(&place.run(&["import", "--blocks", "saved"]).success());
    assert!(text.contains("height   60"), "{text}");
    let same = Place::loaded(&blocks);
    assert_eq!(place.entries(&Pool::ALL), same.entries(&Pool::ALL));
}

#[test]
fn a_node_that_runs_is_not_read() {
    let place = beside(&chain_up_to(4, "chain"));
    for part in ["blocks", "index"] {
        let path = place.path(&format!("go/data/devnet-{part}.leveldb/LOCK"));
        let lock = File::create(path).unwrap();
        lock.lock().unwrap();
        let text = told(place.run(&["import", "go"]));
        assert!(
            text.contains("the store is in use; stop the node"),
            "{text}"
        );
        assert!(!place.path("data").exists(), "nothing is made");
        std::fs::write(place.path("go/peers.json"), "[]").unwrap();
        let text = told(place.run(&["import", "go", "--only", "peers"]));
        assert!(text.contains("the store is in use"), "any part: {text}");
        assert!(!place.path("peers-devnet.json").exists());
    }
    place.run(&["import", "go"]).success();
}

#[test]
fn a_damaged_or_truncated_store_is_told_and_what_is_taken_stays() {
    let blocks = chain_up_to(9, "chain");
    let place = Place::new("devnet");
    place.write_stores(&blocks, &Entries::new());
    std::fs::remove_dir_all(place.path("go/data/devnet-index.leveldb")).unwrap();
    for kind in [".ldb", ".log", "MANIFEST", "CURRENT"] {
        // The largest: others may be left over from before a compaction.
        let files = place.theirs().into_iter();
        let of_kind = files.filter(|(path, _)| path.to_str().unwrap().contains(kind));
        let (path, whole) = of_kind.max_by_key(|(_, bytes)| bytes.len()).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        for bytes in [&damaged[..], &whole[..whole.len() / 2]] {
            std::fs::write(&path, bytes).unwrap();
            let text = told(place.run(&["import", "go"]));
            let is_told = text.contains("is damaged: ");
            assert!(is_told || kind == "CURRENT", "{kind}: {text}");
        }
        std::fs::write(&path, &whole).unwrap();
    }
    let text = out(&place.run(&["import", "go"]).success());
    assert!(text.contains("height   9"), "{text}");
    let same = Place::loaded(&blocks);
    assert_eq!(place.entries(&Pool::ALL), same.entries(&Pool::ALL));
}

#[test]
fn a_block_that_breaks_a_rule_is_refused_and_those_below_are_kept() {
    let mut blocks = chain_up_to(7, "chain");
    *blocks[3].last_mut().unwrap() ^= 1;
    for trust in [&["import", "go"][..], &["import", "go", "--trust-digests"]] {
        let place = Place::new("devnet");
        place.write_stores(&blocks, &Entries::new());
        let text = told(place.run(trust));
        assert!(text.contains("block 5 is refused: "), "{text}");
        assert!(text.contains("taken up to block 4"), "{text}");
        assert_eq!(place.entries(&[Pool::Blocks]).len(), 3);
    }
}

#[test]
fn a_chain_of_another_network_is_told() {
    let place = Place::new("local");
    std::fs::write(place.path("saved"), file_of(&chain_up_to(2, "chain"))).unwrap();
    let text = told(place.run(&["import", "--blocks", "saved"]));
    let hint = "it does not follow the first block of chain local";
    assert!(text.contains(hint), "{text}");
}

#[test]
fn an_index_that_says_something_else_is_told_and_the_chain_kept() {
    let blocks = chain_up_to(5, "chain");
    let index = Place::loaded(&blocks).entries(&INDEXES);
    let place = Place::new("devnet");
    let mut changed = index.clone();
    let (key, value) = changed.iter_mut().find(|(key, _)| key[0] == b'T').unwrap();
    value.push(0);
    let key = hex::encode(&key[1..]);
    place.write_stores(&blocks, &changed);
    let run = place.run(&["import", "go"]).code(1);
    assert!(out(&run).contains("; 1 differ"));
    let text = err(&run);
    assert!(
        text.contains(&format!("transactions: {key}: ours ")),
        "{text}"
    );
    assert!(text.contains("1 entries of the indexes differ"), "{text}");
    assert_eq!(place.entries(&INDEXES), index);
}

#[test]
fn an_unfinished_index_is_not_compared() {
    let blocks = chain_up_to(4, "chain");
    let place = Place::new("devnet");
    place.write_stores(&blocks, &Entries::new());
    std::fs::remove_dir_all(place.path("go/data/devnet-index.leveldb")).unwrap();
    let text = out(&place.run(&["import", "go"]).success());
    assert!(text.contains("indexes  not compared"), "{text}");
}
