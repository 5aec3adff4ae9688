//! What an operator does with the node's files: the built program, in folders of its own, without
//! any network.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use bitmarkd::core::announce::dns::TxtRecord;
use bitmarkd::core::block::{DigestMemory, Header, digest};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::currency::{Currency, Payments};
use bitmarkd::core::id::{AssetId, BlockDigest, TxId};
use bitmarkd::core::keys::{PeerPrivateKey, PeerPublicKey, PrivateKey};
use bitmarkd::core::ledger::Rebuild;
use bitmarkd::core::mining::assembly::{AssetNeed, Body, Candidate, Foundation, assemble};
use bitmarkd::core::record::{self, AssetData, BitmarkIssue, BlockFoundation, Record};
use bitmarkd::core::state::{Batch, Entry, Pool, View as _};
use bitmarkd::shell::files::certificate::fingerprint_of;
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use serde_json::Value;
use tempfile::TempDir;

/// A node's folder with its configuration.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self::with("")
    }

    /// Further lines at the end of the configuration.
    fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "data_directory = \".\"\nchain = \"devnet\"\nnodes = \"none\"\n[peering]\nlisten = \"127.0.0.1:2136\"\n{more}"
        );
        std::fs::write(folder.path().join("node.toml"), text).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program in the folder, with its configuration.
    fn run(&self, args: &[&str]) -> Assert {
        self.program()
            .args(["--config-file", "node.toml"])
            .args(args)
            .assert()
    }

    fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bitmarkd"));
        program.current_dir(self.0.path());
        program
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        let facts = std::fs::metadata(self.path(name)).unwrap();
        facts.permissions().mode() & 0o777
    }

    fn store(&self) -> Store {
        Store::open(&self.path("data/devnet.sled"), CACHE_BYTES)
            .unwrap()
            .store
    }

    /// Loads a chain of blocks.
    fn loaded(blocks: &[Vec<u8>]) -> Self {
        let place = Self::new();
        std::fs::write(place.path("chain"), file_of(blocks)).unwrap();
        place.run(&["load-blocks", "chain"]).success();
        place
    }

    fn saved(&self) -> Vec<u8> {
        self.run(&["--quiet", "save-blocks", "saved"]).success();
        let bytes = std::fs::read(self.path("saved")).unwrap();
        std::fs::remove_file(self.path("saved")).unwrap();
        bytes
    }
}

fn out(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// What a failing command tells; its exit status is 1.
fn told(assert: Assert) -> String {
    let assert = assert.code(1);
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn file_of(blocks: &[Vec<u8>]) -> Vec<u8> {
    blocks
        .iter()
        .flat_map(|block| [&(block.len() as u64).to_be_bytes()[..], block].concat())
        .collect()
}

/// What follows the header of a block: its owner, an asset and an issue of it.
fn body(number: u64) -> Body {
    let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
    let owner = key.account().unwrap();
    let mut payments = Payments::default();
    for (currency, address) in [
        (Currency::Bitcoin, "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"),
        (Currency::Litecoin, "mmCKZS7toE69QgXNs1JZcjW6LFj8LfUbz6"),
    ] {
        payments.0.insert(currency, address.into());
    }
    let mut foundation = Record::BlockFoundation(BlockFoundation {
        version: 1,
        payments,
        owner,
        nonce: 1234,
        signature: Vec::new(),
    });
    let foundation = Foundation::new(record::sign(&mut foundation, &key).unwrap());
    let fingerprint = format!("asset of block {number}").into_bytes();
    let asset_id = AssetId::of(&fingerprint);
    let mut asset = Record::AssetData(AssetData {
        name: b"asset".to_vec(),
        fingerprint,
        metadata: b"k\0v".to_vec(),
        registrant: owner,
        signature: Vec::new(),
    });
    let mut issue = Record::BitmarkIssue(BitmarkIssue {
        asset_id,
        owner,
        nonce: number,
        signature: Vec::new(),
    });
    let issue = record::sign(&mut issue, &key).unwrap();
    let candidate = Candidate {
        id: TxId::of(&issue),
        packed: Arc::from(issue),
        link: None,
        asset: AssetNeed::Cached {
            id: asset_id,
            packed: Arc::from(record::sign(&mut asset, &key).unwrap()),
        },
    };
    assemble(&DEVNET.rules, &foundation, &[candidate]).unwrap()
}

/// Blocks 2 up to `height`.
fn chain_up_to(height: u64) -> Vec<Vec<u8>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut memory = DigestMemory::new();
    let mut previous_block = DEVNET.genesis_digest;
    let mut blocks = Vec::new();
    for number in 2..=height {
        let body = body(number);
        let mut header = Header {
            version: DEVNET.rules.block_version_made,
            transaction_count: body.transaction_count(),
            number,
            previous_block,
            merkle_root: body.merkle_root,
            timestamp: now.as_secs(),
            difficulty: DEVNET.rules.difficulty,
            nonce: 0,
        };
        previous_block = mine(&mut header, &mut memory);
        blocks.push([&header.pack()[..], &body.foundation, &body.records].concat());
    }
    blocks
}

fn mine(header: &mut Header, memory: &mut DigestMemory) -> BlockDigest {
    loop {
        let found = digest(&DEVNET.digest, &header.pack(), memory);
        if header.proves(&found) {
            return found;
        }
        header.nonce += 1;
    }
}

#[test]
fn the_version_names_the_rule_set_and_help_lists_the_commands() {
    let place = Place::new();
    let version = out(&place.program().arg("--version").assert().success());
    assert_eq!(
        version,
        concat!(
            "bitmarkd ",
            env!("CARGO_PKG_VERSION"),
            " (chain rule set v8.2)\n"
        )
    );
    for word in ["help", "h", "?", "--help"] {
        let help = out(&place.program().arg(word).assert().success());
        for command in ["start", "gen-peer-identity", "delete-down", "make-certs"] {
            assert!(help.contains(command), "{word}: {help}");
        }
    }
    let help = out(&place.program().args(["help", "dd"]).assert().success());
    assert!(help.contains("The lowest to go"), "{help}");
    place.program().arg("nonsense").assert().code(2);
    let stderr = told(place.program().args(["help", "nonsense"]).assert());
    assert!(stderr.contains("is no command"), "{stderr}");
}

#[test]
fn a_command_without_a_configuration_says_how_to_name_one() {
    let place = Place::new();
    let stderr = told(place.program().arg("dns-txt").assert());
    assert_eq!(
        stderr,
        "bitmarkd: which configuration? give --config-file FILE (docs/bitmarkd.sample.toml shows all keys)\n"
    );
    let stderr = told(
        place
            .program()
            .args(["--config-file", "other.toml", "rebuild"])
            .assert(),
    );
    assert!(stderr.starts_with("bitmarkd: other.toml: "), "{stderr}");
}

#[test]
fn a_key_that_nobody_knows_is_named_with_its_line() {
    let place = Place::with("colour = \"red\"\n");
    let stderr = told(place.run(&["block", "2"]));
    assert!(
        stderr.contains("colour") && stderr.contains("line 6"),
        "{stderr}"
    );
}

#[test]
fn the_peer_identity_is_made_once_where_the_configuration_says() {
    let place = Place::with("public_key = \"${WHO}.pub\"\nprivate_key = \"${WHO}.prv\"\n");
    let command = ["--set", "WHO=me", "gen-peer-identity"];
    let shown = out(&place.run(&command).success());
    let key = PeerPublicKey::from_file(&place.text("me.pub")).unwrap();
    let private = PeerPrivateKey::from_file(&place.text("me.prv")).unwrap();
    assert_eq!(private.public_key(), key);
    assert!(
        shown.contains(&format!("public key: {key}\n")) && !shown.contains("PRIVATE"),
        "{shown}"
    );
    assert_eq!(place.mode("me.prv"), 0o600);
    let before = place.text("me.prv");
    let stderr = told(place.run(&command));
    assert!(
        stderr.starts_with("bitmarkd: key file already exists: "),
        "{stderr}"
    );
    assert_eq!(place.text("me.prv"), before);
}

#[test]
fn a_prefix_needs_no_configuration_and_keeps_its_dots() {
    let place = Place::new();
    let made = |args: &[&str]| place.program().args(args).assert();
    assert_eq!(
        out(&made(&["--quiet", "peer", "node.v2"]).success()),
        "",
        "quiet"
    );
    PeerPublicKey::from_file(&place.text("node.v2.public")).unwrap();
    assert_eq!(place.mode("node.v2.private"), 0o600);
    let stderr = told(made(&["peer", "node.v2"]));
    assert!(stderr.contains("key file already exists: "), "{stderr}");

    made(&["rpc", "cert", "node.example", "198.51.100.7"]).success();
    assert_eq!(place.mode("cert.key"), 0o600);
    let stderr = told(made(&["rpc", "cert"]));
    assert!(
        stderr.starts_with("bitmarkd: certificate file already exists: cert.crt; "),
        "{stderr}"
    );
    std::fs::remove_file(place.path("cert.crt")).unwrap();
    let stderr = told(made(&["rpc", "cert"]));
    assert!(
        stderr.starts_with("bitmarkd: key file already exists: cert.key; "),
        "{stderr}"
    );
}

#[test]
fn a_proof_identity_has_an_account_of_the_chain_and_is_never_overwritten() {
    let place = Place::new();
    let shown = out(&place.run(&["proof"]).success());
    let key = PrivateKey::from_signing_key_file(&place.text("proof.sign")).unwrap();
    assert!(key.is_testing());
    let account = key.account().unwrap();
    assert!(shown.contains(&format!("account: {account}\n")), "{shown}");
    assert_eq!(place.mode("proof.sign"), 0o600);

    let before = place.text("proof.sign");
    for gone in ["proof.public", "proof.private"] {
        std::fs::remove_file(place.path(gone)).unwrap();
    }
    let stderr = told(place.run(&["proof"]));
    assert!(
        stderr.contains("key file already exists: ") && stderr.contains("proof.sign"),
        "{stderr}"
    );
    assert_eq!(place.text("proof.sign"), before);
    assert!(!place.path("proof.private").exists());

    let live = ["proof", "live", "--chain", "bitmark"];
    place.program().args(live).assert().success();
    let key = PrivateKey::from_signing_key_file(&place.text("live.sign")).unwrap();
    assert!(!key.is_testing());

    std::fs::write(place.path("half.private"), "mine").unwrap();
    told(place.run(&["proof", "half"]));
    assert!(!place.path("half.sign").exists(), "all of it or nothing");
    assert_eq!(place.text("half.private"), "mine");
}

#[test]
fn the_txt_record_reads_back_as_what_the_node_announces() {
    let place = Place::with(
        "announce = [\"198.51.100.7:2136\", \"[2001:db8::7]:2136\"]\n[client_rpc]\nannounce = \"198.51.100.7:2130\"\n",
    );
    let stderr = told(place.run(&["dns-txt"]));
    assert!(stderr.contains("gen-peer-identity"), "{stderr}");
    place.run(&["gen-peer-identity"]).success();
    let stderr = told(place.run(&["dns-txt"]));
    assert!(stderr.contains("gen-rpc-cert"), "{stderr}");
    place.run(&["gen-rpc-cert"]).success();
    let shown = out(&place.run(&["txt"]).success());
    let line = shown.lines().last().unwrap();
    let text = line
        .strip_prefix("TXT \"")
        .unwrap()
        .strip_suffix('"')
        .unwrap();
    let record = TxtRecord::parse(text).unwrap();
    assert_eq!(record.ipv4, Some([198, 51, 100, 7].into()));
    assert_eq!(record.ipv6, Some("2001:db8::7".parse().unwrap()));
    assert_eq!((record.connect_port, record.rpc_port), (2136, 2130));
    let key = PeerPublicKey::from_file(&place.text("peer.public")).unwrap();
    assert_eq!(record.public_key, key.0);
    let fingerprint = fingerprint_of(&place.path("rpc.crt")).unwrap();
    assert_eq!(record.fingerprint, fingerprint);
}

#[test]
fn what_one_txt_record_cannot_hold_is_refused() {
    let rpc = "[client_rpc]\nannounce = \"198.51.100.7:2130\"\n";
    for (announce, said) in [
        ("[\"198.51.100.7:1\", \"198.51.100.8:1\"]", "one IPv4"),
        ("[\"198.51.100.7:1\", \"[::1]:2\"]", "holds one port"),
        ("[]", "empty"),
    ] {
        let place = Place::with(&format!("announce = {announce}\n{rpc}"));
        place.run(&["peer"]).success();
        place.run(&["rpc"]).success();
        let stderr = told(place.run(&["txt"]));
        assert!(
            stderr.contains("peering.announce: ") && stderr.contains(said),
            "{stderr}"
        );
    }
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

#[test]
fn make_certs_makes_all_keys_of_a_node_and_says_what_each_is_for() {
    let place = Place::new();
    let command = [
        "make-certs",
        "--name",
        "n1",
        "--hosts",
        "n1.example, 198.51.100.7",
    ];
    let shown = out(&place.program().args(command).assert().success());
    let mut made: Vec<String> = std::fs::read_dir(place.path("certs/n1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    made.sort();
    assert_eq!(
        made,
        [
            "peer.private",
            "peer.public",
            "proof.private",
            "proof.public",
            "proof.sign",
            "rpc.crt",
            "rpc.key"
        ]
    );
    let manual = include_str!("../certs/README.md");
    for name in &made {
        assert!(
            shown.contains(&format!("  {name} ")),
            "{name} is not explained: {shown}"
        );
        assert!(
            manual.contains(&format!("`{name}`")),
            "{name} is not in certs/README.md"
        );
        let is_secret = !name.ends_with("public") && name != "rpc.crt";
        let mode = place.mode(&format!("certs/n1/{name}"));
        assert_eq!(mode & 0o077 == 0, is_secret, "{name}: {mode:o}");
    }
    let sign = PrivateKey::from_signing_key_file(&place.text("certs/n1/proof.sign")).unwrap();
    assert!(!sign.is_testing());
    assert!(shown.contains(&sign.account().unwrap().to_string()));
}

#[test]
fn make_certs_overwrites_nothing_and_makes_nothing_then() {
    let place = Place::new();
    let run = |more: &[&str]| {
        let mut program = place.program();
        program.args(["make-certs", "--directory", "keys", "--hosts", "localhost"]);
        program.args(more).assert()
    };
    std::fs::create_dir_all(place.path("keys/n1")).unwrap();
    std::fs::write(place.path("keys/n1/proof.sign"), "mine").unwrap();
    let stderr = told(run(&["--name", "n1"]));
    assert!(
        stderr.starts_with("bitmarkd: keys/n1/proof.sign is there already"),
        "{stderr}"
    );
    assert_eq!(place.text("keys/n1/proof.sign"), "mine");
    let count = std::fs::read_dir(place.path("keys/n1")).unwrap().count();
    assert_eq!(count, 1);

    run(&["--name", "n2", "--publish", "--chain", "testing"]).success();
    PeerPublicKey::from_file(&place.text("keys/n2/publish.public")).unwrap();
    let sign = PrivateKey::from_signing_key_file(&place.text("keys/n2/proof.sign")).unwrap();
    assert!(sign.is_testing());

    for (args, said) in [
        (&["--name", "../n3"][..], "is not a plain name"),
        (&["--name", "n 3"], "is not a plain name"),
        (&["--name", ""], "what is the node called?"),
        (&["--name", "n3", "--chain", "moon"], "invalid chain"),
        (
            &["--name", "n3", "--hosts", "a b"],
            "neither an address nor a host name",
        ),
    ] {
        let stderr = told(run(args));
        assert!(stderr.contains(said), "{stderr}");
    }
    assert!(!place.path("keys/n3").exists());
}

#[test]
fn ctl_and_testnet_refuse_wrong_arguments() {
    let place = Place::new();
    for args in [
        &["ctl"][..],
        &["ctl", "disconnect"],
        &["ctl", "payment-seen", "00", "--pay", "address=1"],
        &["testnet", "start", "--nodes", "many"],
    ] {
        place.run(args).code(2);
    }
}

/// A process that waits for the end of a test network in this folder, as `testnet start` leaves one.
fn supervisor(folder: &Path, seconds: &str, started: &str) -> Child {
    std::process::Command::new(env!("CARGO_BIN_EXE_bitmarkd"))
        .args(["testnet", "supervise"])
        .arg(folder.canonicalize().unwrap())
        .args([seconds, started])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for the end of a process; kills it when it does not come.
fn ends(mut child: Child) -> bool {
    let pid = rustix::process::Pid::from_child(&child);
    let (tell, ended) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        child.wait().unwrap();
        let _ = tell.send(());
    });
    let has_ended = ended.recv_timeout(Duration::from_secs(20)).is_ok();
    if !has_ended {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    waiting.join().unwrap();
    has_ended
}

/// What `nodes.json` holds of a network whose processes are gone.
fn network_file(folder: &Path, started: &str) {
    let value = serde_json::json!({
        "chain": "devnet", "started": started, "ends": "never", "nodes": [],
        "miner": {"pid": 4_000_000_000_u32, "directory": "/nowhere", "log": ""},
        "identity": {"name": "", "file": "", "passphrase_file": "", "account": ""},
    });
    std::fs::write(folder.join("nodes.json"), value.to_string()).unwrap();
}

#[test]
fn the_end_of_a_test_network_leaves_the_next_one_alone() {
    let place = Place::new();
    let folder = place.path("net");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(".bitmarkd-testnet"), "").unwrap();
    network_file(&folder, "second");
    assert!(ends(supervisor(&folder, "0", "first")));
    assert!(folder.join("nodes.json").exists());
    assert!(ends(supervisor(&folder, "0", "second")));
    assert!(!folder.join("nodes.json").exists());
}

#[test]
fn stopping_a_test_network_ends_what_waits_for_its_end() {
    let place = Place::new();
    let folder = place.path("net");
    std::fs::create_dir(&folder).unwrap();
    let stop = ["testnet", "stop", "--directory", "net"];
    for is_known in [true, false] {
        let waiting = supervisor(&folder, "600", "first");
        if is_known {
            network_file(&folder, "second");
        }
        let shown = out(&place.program().args(stop).assert().success());
        assert_eq!(shown, "stopped\n");
        assert!(ends(waiting));
    }
    let shown = out(&place.program().args(stop).assert().success());
    assert_eq!(shown, "no test network is there\n");
}

#[test]
fn two_test_networks_are_not_started_in_a_folder_at_once() {
    let place = Place::new();
    let folder = place.path("net");
    std::fs::create_dir(&folder).unwrap();
    let mark = folder.join(".bitmarkd-testnet");
    std::fs::write(&mark, "4711\n").unwrap();
    let held = std::fs::File::open(&mark).unwrap();
    held.lock().unwrap();
    let start = ["testnet", "start", "--directory", "net"];
    let stderr = told(place.program().args(start).assert());
    assert!(
        stderr.contains("being started in net (by process 4711)"),
        "{stderr}"
    );
}

#[test]
fn a_folder_with_something_else_in_it_is_not_used_for_a_test_network() {
    let place = Place::new();
    let start = ["testnet", "start", "--directory", "."];
    let stderr = told(place.program().args(start).assert());
    assert!(stderr.contains("something else in this folder"), "{stderr}");
    assert!(place.path("node.toml").exists());
}

#[test]
fn a_folder_too_deep_for_control_sockets_is_refused_before_anything_is_started() {
    let place = Place::new();
    let folder = place.path(&"deep/".repeat(20));
    let mut program = place.program();
    program
        .args(["testnet", "start", "--directory"])
        .arg(&folder);
    let stderr = told(program.assert());
    assert!(
        stderr.contains("control socket has at most 107 bytes"),
        "{stderr}"
    );
    assert!(!folder.join("n1").exists());
}

#[test]
fn ctl_takes_its_options_before_and_after_the_command() {
    let place = Place::new();
    for args in [
        ["ctl", "--socket", "no.socket", "--json", "status"],
        ["ctl", "status", "--socket", "no.socket", "--json"],
    ] {
        let stderr = told(place.program().args(args).assert());
        assert!(
            stderr.contains("no.socket: no node answers there"),
            "{stderr}"
        );
    }
}

/// A file of the reference's kind.
const OTHER: &str = r#"
data_directory = "."    # where this file is
chain = local
nodes = none
reservoir_file = left.cache

.set(var=ADDRESS) "PUBLIC:ENV_CONVERT_TEST_ADDRESS"
.append(var=ADDRESS) ":2136"

peering {
  listen = 127.0.0.1:2136
  announce = ${ADDRESS}
  public_key = mine.public; private_key = mine.private
}
"#;

#[test]
fn a_configuration_of_the_reference_becomes_one_that_the_node_takes() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place(folder);
    std::fs::write(place.path("node.conf"), OTHER).unwrap();
    let convert = |args: &[&str]| {
        let mut program = place.program();
        program.env("CONVERT_TEST_ADDRESS", "192.0.2.1");
        program.args(["config", "convert", "node.conf"]);
        program.args(args).assert()
    };
    let assert = convert(&["--output", "new.toml"]).success().stdout("");
    let told = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    let start = "bitmarkd: warning: node.conf: line 7: .set(var=ADDRESS): taken from ENV_";
    assert!(lines[0].starts_with(start), "{told}");
    let start = "bitmarkd: warning: node.conf: line 5: reservoir_file: ";
    assert!(lines[1].starts_with(start), "{told}");
    let text = place.text("new.toml");
    assert!(text.contains("\ndata_directory = \".\"\n"), "{text}");
    let kept = "announce = [\"${ENV_CONVERT_TEST_ADDRESS}:2136\"]";
    assert!(text.contains(kept), "{text}");

    // The reference's log would be in the way of ours.
    std::fs::create_dir(place.path("log")).unwrap();
    std::fs::write(place.path("log/bitmarkd.log"), "").unwrap();
    let assert = convert(&[]).success();
    let told = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    let last = told.lines().last().unwrap();
    assert!(
        last.contains("log/bitmarkd.log is of the reference's program; move it"),
        "{told}"
    );

    // On the terminal the folder has its whole name.
    let shown = out(&convert(&[]).success());
    let whole = place.0.path().canonicalize().unwrap();
    let line = format!("data_directory = \"{}\"\n", whole.display());
    assert!(shown.contains(&line), "{shown}");
    let set = out(&convert(&["--set", "PUBLIC=198.51.100.7"]).success());
    assert!(set.contains("[\"${PUBLIC}:2136\"]"), "{set}");

    let mut make = place.program();
    make.env("CONVERT_TEST_ADDRESS", "192.0.2.1");
    make.args(["--config-file", "new.toml", "gen-peer-identity"]);
    make.assert().success();
    assert_eq!(place.mode("mine.private"), 0o600);
}

#[test]
fn a_converted_configuration_takes_the_place_of_no_file_unless_it_is_told_to() {
    let place = Place::new();
    let conf = "data_directory = \".\"\nnodes = none\npeering { listen = 127.0.0.1:1 }\n";
    std::fs::write(place.path("node.conf"), conf).unwrap();
    let before = place.text("node.toml");
    let convert = |output: &str, more: &[&str]| {
        let mut program = place.program();
        program.args(["config", "convert", "node.conf", "--output", output]);
        program.args(more).assert()
    };
    let stderr = told(convert("node.toml", &[]));
    assert!(
        stderr.contains("node.toml: it is there already"),
        "{stderr}"
    );
    assert_eq!(place.text("node.toml"), before);
    let stderr = told(convert("node.conf", &["--force"]));
    assert!(stderr.contains("that is the file itself"), "{stderr}");
    assert_eq!(place.text("node.conf"), conf);
    for mode in [0o600, 0o666] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path("node.toml"), permissions).unwrap();
        convert("node.toml", &["--force"]).success();
        assert!(place.text("node.toml").contains("made from"));
        assert_eq!(place.mode("node.toml"), mode);
    }
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 2);
}

#[test]
fn through_a_link_the_point_is_the_folder_of_the_link_and_curdir_that_of_the_file() {
    let place = Place::new();
    let whole = place.0.path().canonicalize().unwrap();
    for folder in ["etc", "real"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    let conf = "data_directory = \".\"\nnodes = none\npidfile = \"${CURDIR}/p\"\npeering { listen = 127.0.0.1:1 }\n";
    std::fs::write(place.path("real/node.conf"), conf).unwrap();
    std::os::unix::fs::symlink("../real/node.conf", place.path("etc/b.conf")).unwrap();
    let mut program = place.program();
    program.args(["config", "convert", "real/../etc/b.conf"]);
    let text = out(&program.assert().success());
    let lines = |text: &str, wanted: [String; 2]| {
        for line in wanted {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    };
    let pidfile = format!("pidfile = \"{}/real/p\"", whole.display());
    let directory = format!("data_directory = \"{}/etc\"", place.0.path().display());
    lines(&text, [directory, pidfile.clone()]);
    let mut program = place.program();
    program.args(["config", "convert", "etc/b.conf", "--output", "etc/b.toml"]);
    program.assert().success();
    let directory = "data_directory = \".\"".to_owned();
    lines(&place.text("etc/b.toml"), [directory, pidfile.clone()]);
    let mut program = place.program();
    program.args(["config", "convert", "etc/b.conf", "--output", "real/b.toml"]);
    program.assert().success();
    let directory = format!("data_directory = \"{}/etc\"", place.0.path().display());
    lines(&place.text("real/b.toml"), [directory, pidfile]);
}

#[test]
fn only_a_regular_file_is_converted_or_included() {
    let place = Place::new();
    let made = std::process::Command::new("mkfifo")
        .arg(place.path("pipe"))
        .status();
    assert!(made.unwrap().success());
    let conf = format!(".include \"{}\"\n", place.path("pipe").display());
    std::fs::write(place.path("node.conf"), conf).unwrap();
    for (file, wanted) in [
        ("pipe", "pipe: not a regular file"),
        ("/dev/zero", "/dev/zero: not a regular file"),
        ("node.conf", "line 1: "),
    ] {
        let mut program = place.program();
        program.args(["config", "convert", file]);
        let stderr = told(program.timeout(std::time::Duration::from_secs(60)).assert());
        assert!(stderr.contains(wanted), "{stderr}");
        assert!(stderr.contains("not a regular file"), "{stderr}");
    }
}

#[test]
fn what_cannot_be_converted_is_told_at_once_with_file_key_and_line() {
    let place = Place::new();
    let convert = |text: &str| {
        std::fs::write(place.path("node.conf"), text).unwrap();
        let mut program = place.program();
        program.args(["config", "convert", "node.conf", "--output", "new.toml"]);
        let stderr = told(program.assert());
        assert!(!place.path("new.toml").exists());
        stderr
    };
    let stderr =
        convert("data_directory = \".\"\nnodes = none\ncolour = red\npeering { listen = x }\n");
    assert!(stderr.starts_with("bitmarkd: node.conf:\n"), "{stderr}");
    assert!(stderr.contains("line 3: colour: unknown"), "{stderr}");
    assert!(stderr.contains("line 4: peering.listen: "), "{stderr}");
    let stderr = convert("data_directory = \".\"\nnodes = \"none\n");
    assert!(stderr.contains("line 2: the quote"), "{stderr}");
    std::fs::write(place.path("part.conf"), "\nthis is wrong").unwrap();
    let stderr = convert(".include \"part.conf\"\n");
    assert!(
        stderr.contains("part.conf, line 2: unknown")
            || stderr.contains("part.conf, line 2: this: unknown"),
        "{stderr}"
    );
    // What only our reader knows.
    let stderr = convert("data_directory = \".\"\nnodes = none\n");
    assert!(
        stderr.contains("peering.listen: invalid length"),
        "{stderr}"
    );
}

#[test]
fn the_miners_configuration_is_converted_by_the_miner() {
    let place = Place::new();
    let key = "ab".repeat(32);
    let conf = format!(
        "data_directory = \".\"\nchain = testing\npeering {{\n public_key = r.public\n private_key = r.private\n connect {{ public_key = \"{key}\", blocks = 127.0.0.1:2140, submit = 127.0.0.1:2141 }}\n}}\n"
    );
    std::fs::write(place.path("recorderd.conf"), conf).unwrap();
    let miner = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_recorderd"));
        program.current_dir(place.0.path());
        program
    };
    let mut convert = miner();
    convert.args(["config", "convert", "recorderd.conf", "--output", "r.toml"]);
    convert.assert().success().stderr("");
    let mut make = miner();
    make.args(["--config-file", "r.toml", "generate-identity"]);
    make.assert().success();
    assert_eq!(place.mode("r.private"), 0o600);
}
