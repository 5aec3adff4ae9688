//! Pending records, peers and keys of the other node.

use std::os::unix::fs::PermissionsExt as _;

use bitmarkd::core::announce::peer_file;
use bitmarkd::core::state::Pool;
use bitmarkd::core::wire::connection::Connection;

use crate::stage::{Entries, Place, asset_and_issue, chain_up_to, err, out, told};

fn entry(letter: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&[letter], &length[..], data].concat()
}

/// The file of a node that holds these assets, each with an issue.
fn reservoir(names: &[&str]) -> Vec<u8> {
    let all: Vec<_> = names.iter().map(|name| asset_and_issue(name)).collect();
    let assets = all.iter().map(|(asset, _)| entry(b'A', asset));
    let issues = all.iter().map(|(_, issue)| entry(b'I', issue));
    assets.chain(issues).flatten().collect()
}

/// What the pools hold, by the letter of the pool.
fn pools(place: &Place, letter: u8) -> usize {
    let prefix = [Pool::Reservoir.prefix(), letter];
    let entries = place.entries(&[Pool::Reservoir]);
    entries
        .keys()
        .filter(|key| key.starts_with(&prefix))
        .count()
}

#[test]
fn pending_records_are_in_the_pools_and_what_is_confirmed_is_told() {
    let place = Place::new("devnet");
    place.write_stores(&chain_up_to(4, "chain"), &Entries::new());
    std::fs::remove_dir_all(place.path("go/data/devnet-index.leveldb")).unwrap();
    let file = reservoir(&["new", "chain 3", "newer"]);
    std::fs::write(place.path("go/reservoir-devnet.cache"), file).unwrap();
    let run = place.run(&["import", "go"]).success();
    assert!(
        err(&run).contains("a record I of the file is passed over: transaction already exists")
    );
    let text = out(&run);
    assert!(
        text.contains("5 assets, sets and transfers taken, 0 were there, 1 passed over"),
        "{text}"
    );
    assert!(
        text.contains("2 records that wait for a payment and 0 for a block"),
        "{text}"
    );
    assert_eq!((pools(&place, b'U'), pools(&place, b'A')), (2, 2));

    let text = out(&place.run(&["import", "go"]).success());
    assert!(text.contains("2 were there"), "{text}");
    assert_eq!((pools(&place, b'U'), pools(&place, b'A')), (2, 2));
}

#[test]
fn a_file_of_pending_records_that_is_cut_short_is_taken_as_far_as_it_goes() {
    let place = Place::new("devnet");
    let file = reservoir(&["one", "two"]);
    std::fs::write(place.path("cut"), &file[..file.len() - 1]).unwrap();
    let run = place.run(&["import", "--reservoir", "cut"]).code(1);
    let text = err(&run);
    assert!(
        text.contains("the file of pending records is damaged: read record read: "),
        "{text}"
    );
    assert_eq!(pools(&place, b'U'), 1);
}

#[test]
fn peers_are_added_to_those_that_are_known() {
    let place = Place::new("devnet");
    let listeners = Connection::from_text("10.0.0.1:2136").unwrap().pack();
    let item = |first: u8, time| peer_file::pack(&[first; 32], &listeners, time);
    let array = |items: &[String]| format!("[\"{}\"]", items.join("\",\""));
    let ours = array(&[item(1, 50), item(2, 90)]);
    std::fs::write(place.path("peers-devnet.json"), ours).unwrap();
    let theirs = array(&[item(2, 60), item(3, 70), item(1, 80), "zz".to_owned()]);
    std::fs::write(place.path("go/peers.json"), theirs).unwrap();
    let text = out(&place.run(&["import", "go", "--only", "peers"]).success());
    assert!(
        text.contains("peers    3 taken, 1 of no use; 3 are in"),
        "{text}"
    );
    let written = std::fs::read_to_string(place.path("peers-devnet.json")).unwrap();
    let (items, faults) = peer_file::read(&written);
    let times: Vec<u64> = items.iter().map(|item| item.timestamp).collect();
    assert_eq!((times, faults.len()), (vec![80, 90, 70], 0));
    assert!(!place.path("data").exists(), "no store is made for it");

    std::fs::write(place.path("text"), "no peers").unwrap();
    let text = told(place.run(&["import", "--peers", "text"]));
    assert!(text.contains("this is no file of peers"), "{text}");
}

#[test]
fn our_own_file_of_peers_is_not_replaced_where_it_can_not_be_read() {
    let place = Place::new("devnet");
    place.write_stores(&chain_up_to(2, "chain"), &Entries::new());
    std::fs::write(place.path("go/peers.json"), "[]").unwrap();
    std::fs::write(place.path("peers-devnet.json"), "[\"0").unwrap();
    let text = told(place.run(&["import", "go"]));
    assert!(
        text.contains("our own file of peers is damaged; move it away"),
        "{text}"
    );
    let kept = std::fs::read(place.path("peers-devnet.json")).unwrap();
    assert_eq!(kept, b"[\"0");
    assert!(!place.path("data").exists(), "told before the chain");
}

fn set_peer_file(place: &Place, path: &str) {
    let config = std::fs::read_to_string(place.path("node.toml")).unwrap();
    let config = format!("peer_file = \"{path}\"\n{config}");
    std::fs::write(place.path("node.toml"), config).unwrap();
}

#[test]
fn where_the_peers_go_is_tried_before_the_chain_is_touched() {
    let place = Place::new("devnet");
    place.write_stores(&chain_up_to(2, "chain"), &Entries::new());
    std::fs::remove_dir_all(place.path("go/data/devnet-index.leveldb")).unwrap();
    std::fs::write(place.path("go/peers.json"), "[]").unwrap();
    set_peer_file(&place, "node.toml/peers");
    let text = told(place.run(&["import", "go"]));
    assert!(text.contains("node.toml/peers"), "{text}");
    assert!(!place.path("data").exists(), "told before the chain");
    let place = Place::new("devnet");
    std::fs::write(place.path("go/peers.json"), "[]").unwrap();
    set_peer_file(&place, "new/folder/peers");
    let only = ["import", "go", "--only", "peers"];
    place.run(&only).success();
    assert!(place.path("new/folder/peers").is_file());
    let names = place.path("new/folder").read_dir().unwrap().count();
    assert_eq!(names, 1, "nothing is left of the trial");
}

#[test]
fn what_the_folder_does_not_have_is_told_and_what_can_not_be_looked_at_is_an_error() {
    let place = Place::new("devnet");
    std::fs::write(place.path("go/peers.json"), "[]").unwrap();
    let text = out(&place.run(&["import", "go", "--skip", "chain"]).success());
    assert!(text.contains("pending  none found in go"), "{text}");
    assert!(text.contains("keys     none found in go"), "{text}");
    assert!(!text.contains("peers    none"), "{text}");
    let text = out(&place.run(&["import", "go", "--only", "peers"]).success());
    assert!(!text.contains("none found"), "{text}");

    std::os::unix::fs::symlink("rpc.key", place.path("go/rpc.key")).unwrap();
    let text = told(place.run(&["import", "go", "--skip", "chain"]));
    assert!(text.contains("go/rpc.key"), "{text}");
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    let place = Place::new("devnet");
    let fifo = place.path("go/peers.json");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    for args in [
        ["--only", "peers", "go"],
        ["--skip", "chain", "--reservoir=go/peers.json"],
    ] {
        let text = told(place.run(&[&["import"][..], &args].concat()));
        assert!(text.contains("not a regular file"), "{text}");
    }
}

/// Beside a node that has all keys, in the folder `go/keys`.
fn with_keys(chain: &str) -> Place {
    let place = Place::new("devnet");
    let args = [
        "make-certs",
        "--name",
        "keys",
        "--directory",
        "go",
        "--hosts",
    ];
    place
        .run(&[&args[..], &["localhost", "--chain", chain]].concat())
        .success();
    place
}

const KEYS: [&str; 3] = ["import", "--keys", "go/keys"];

#[test]
fn keys_are_copied_with_their_modes_and_never_over_others() {
    let place = with_keys("devnet");
    let text = out(&place.run(&KEYS).success());
    assert!(
        text.contains("keys     7 files written, 0 were there"),
        "{text}"
    );
    for (name, mode) in [
        ("peer.public", 0o644),
        ("peer.private", 0o600),
        ("proof.private", 0o600),
        ("proof.sign", 0o600),
        ("rpc.crt", 0o644),
        ("rpc.key", 0o600),
    ] {
        let theirs = std::fs::read(place.path("go/keys").join(name)).unwrap();
        assert_eq!(std::fs::read(place.path(name)).unwrap(), theirs);
        let facts = place.path(name).metadata().unwrap();
        assert_eq!(facts.permissions().mode() & 0o777, mode, "{name}");
    }
    let text = out(&place.run(&KEYS).success());
    assert!(text.contains("0 files written, 7 were there"), "{text}");

    for name in ["peer.private", "peer.public"] {
        std::fs::remove_file(place.path(name)).unwrap();
    }
    place.run(&["gen-peer-identity"]).success();
    std::fs::remove_file(place.path("proof.sign")).unwrap();
    let own = std::fs::read(place.path("peer.private")).unwrap();
    let text = told(place.run(&KEYS));
    assert!(
        text.contains("another key is there and is not overwritten"),
        "{text}"
    );
    assert_eq!(std::fs::read(place.path("peer.private")).unwrap(), own);
    assert!(!place.path("proof.sign").exists(), "all is checked first");
    std::fs::write(place.path("peer.private.old"), "mine").unwrap();
    let text = out(&place.run(&[&KEYS[..], &["--force"]].concat()).success());
    assert_ne!(std::fs::read(place.path("peer.private")).unwrap(), own);
    assert!(place.path("proof.sign").exists());
    let kept = place.path("peer.private.old.2");
    assert_eq!(std::fs::read(&kept).unwrap(), own);
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        text.contains("peer.private replaced, the old one is"),
        "{text}"
    );
    assert!(
        text.contains("peer.public replaced, the old one is"),
        "{text}"
    );
    let mine = std::fs::read(place.path("peer.private.old")).unwrap();
    assert_eq!(mine, b"mine");
}

#[test]
fn files_whose_names_are_the_wrong_way_round_are_known_by_what_they_say() {
    let place = with_keys("devnet");
    let [public, private] = ["peer.public", "peer.private"].map(|n| place.path("go/keys").join(n));
    let secret = std::fs::read_to_string(&private).unwrap();
    std::fs::rename(&public, place.path("aside")).unwrap();
    std::fs::rename(&private, &public).unwrap();
    std::fs::rename(place.path("aside"), &private).unwrap();
    place.run(&KEYS).success();
    let ours = std::fs::read_to_string(place.path("peer.private")).unwrap();
    assert_eq!(ours, secret);
    let facts = place.path("peer.private").metadata().unwrap();
    assert_eq!(facts.permissions().mode() & 0o777, 0o600);
}

#[test]
fn keys_that_are_not_good_are_refused_before_anything_is_written() {
    for (name, text, what) in [
        ("peer.private", "PRIVATE:00", "peer.private"),
        ("peer.public", "", "peer."),
        ("proof.sign", "SEED:none", "proof.sign"),
        ("rpc.key", "none", "rpc.key"),
    ] {
        let place = with_keys("devnet");
        std::fs::write(place.path("go/keys").join(name), text).unwrap();
        let told = told(place.run(&KEYS));
        assert!(told.contains(what), "{told}");
        assert!(!place.path("proof.public").exists());
    }
    let place = with_keys("devnet");
    std::fs::remove_file(place.path("go/keys/proof.public")).unwrap();
    let text = told(place.run(&KEYS));
    assert!(text.contains("proof.private is there without"), "{text}");
    let place = with_keys("bitmark");
    let text = told(place.run(&KEYS));
    assert!(
        text.contains("of the other network than chain devnet"),
        "{text}"
    );
}

#[test]
fn a_folder_that_both_nodes_use_keeps_the_files_of_the_other() {
    let place = with_keys("devnet");
    let config = std::fs::read_to_string(place.path("node.toml")).unwrap();
    let config = config.replace("data_directory = \".\"", "data_directory = \"go/keys\"");
    std::fs::write(place.path("node.toml"), config).unwrap();
    let before = place.theirs();
    let text = out(&place.run(&KEYS).success());
    assert!(text.contains("0 files written, 7 were there"), "{text}");
    let [public, private] = ["peer.public", "peer.private"].map(|n| place.path("go/keys").join(n));
    let swapped = [
        std::fs::read(&private).unwrap(),
        std::fs::read(&public).unwrap(),
    ];
    assert_eq!(place.theirs(), before);
    std::fs::write(public, &swapped[0]).unwrap();
    std::fs::write(private, &swapped[1]).unwrap();
    let before = place.theirs();
    let text = told(place.run(&[&KEYS[..], &["--force"]].concat()));
    assert!(text.contains("names a file of the other node"), "{text}");
    assert_eq!(place.theirs(), before);
}

#[test]
fn two_keys_in_one_file_and_new_files_in_the_folder_of_the_other_are_refused() {
    let place = with_keys("devnet");
    let plain = std::fs::read_to_string(place.path("node.toml")).unwrap();
    let proofing = |private: &str| {
        let text = format!("{plain}[proofing]\nprivate_key = \"{private}\"\n");
        std::fs::write(place.path("node.toml"), text).unwrap();
    };
    proofing("peer.private");
    let text = told(place.run(&KEYS));
    assert!(
        text.contains("two different keys in this one file"),
        "{text}"
    );
    assert!(!place.path("peer.private").exists(), "all is checked first");
    let before = place.theirs();
    proofing("go/keys/new.private");
    let text = told(place.run(&[&KEYS[..], &["--force"]].concat()));
    assert!(text.contains("in the folder of the other node"), "{text}");
    assert_eq!(place.theirs(), before);
}

#[test]
fn what_is_not_there_or_left_out_is_told() {
    let place = Place::new("devnet");
    let text = told(place.run(&["import"]));
    assert!(text.contains("there is nothing to take"), "{text}");
    let text = told(place.run(&["import", "go"]));
    assert!(text.contains("no devnet-blocks.leveldb is in"), "{text}");
    let text = told(place.run(&["import", "go", "--skip", "chain"]));
    assert!(text.contains("there is nothing to take"), "{text}");
    let text = told(place.run(&["import", "nowhere"]));
    assert!(text.contains("nowhere is no folder"), "{text}");
    let text = told(place.run(&["import", "--keys", "go"]));
    assert!(text.contains("no keys are here"), "{text}");
    let text = told(place.run(&["import", "--peers", "node.toml", "--only", "keys"]));
    assert!(text.contains("--only or --skip leave out"), "{text}");
}
