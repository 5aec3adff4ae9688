//! Equality with the reference: one test a file of `proto/vectors/`, or of the folder that
//! `VECTORS_DIR` names.

mod accounts;
mod announce;
mod assetid;
mod blockdigest;
mod blockheader;
mod blockring;
mod blocks;
mod cli_keys;
mod connection;
mod currency;
mod difficulty;
mod difficulty_issue;
mod genesis;
mod harness;
mod merkle;
mod mining_transcripts;
mod payid;
mod peer_transcripts;
mod proof;
mod records;
mod reservoir_model;
mod reservoir_scenarios;
mod reservoir_store;
mod rpc;
mod title;
mod varint;

/// Files that a later issue reads; each says what it waits for.
const WAITING: [(&str, &str); 0] = [];

/// Files that a test below reads.
const READ: [&str; 25] = [
    "accounts.json",
    "announce.json",
    "assetid.json",
    "blockdigest.json",
    "blockheader.json",
    "blockring.json",
    "blocks-crash.json",
    "blocks-live.json",
    "blocks.json",
    "connection.json",
    "currency.json",
    "difficulty-issue.json",
    "difficulty.json",
    "genesis.json",
    "merkle.json",
    "mining-transcripts.json",
    "payid.json",
    "peer-transcripts.json",
    "proof.json",
    "records.json",
    "reservoir-scenarios.json",
    "reservoir-store.json",
    "rpc-transcripts.json",
    "title.json",
    "varint.json",
];

#[test]
fn every_vector_file_is_known() {
    let mut unknown = Vec::new();
    for entry in std::fs::read_dir(harness::folder()).expect("the folder of vectors opens") {
        let name = entry.expect("an entry").file_name().into_string().unwrap();
        let waits = WAITING.iter().any(|(file, _)| *file == name);
        if name.ends_with(".json") && !waits && !READ.contains(&name.as_str()) {
            unknown.push(name);
        }
    }
    for (file, why) in WAITING {
        println!("{file} waits for: {why}");
    }
    assert!(unknown.is_empty(), "no test knows {unknown:?}");
}
