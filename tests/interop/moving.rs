//! Row 11: a user moves over. What the reference's programs keep is taken by ours, and means the same.

use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;

use crate::chain;
use crate::launch::seen;
use crate::stage::{Kind, Stage};

/// Time for a digest of each block, on a busy machine.
const TAKEN: Duration = Duration::from_secs(300);
const PHRASE: &str = "correct horse";

/// A program of the reference.
fn reference(name: &str) -> Command {
    Command::from_std(crate::reference::program(name))
}

/// Our client, with files in a folder.
fn ours(folder: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_bitmark-cli"));
    program.arg("--json").current_dir(folder);
    program.env("XDG_CONFIG_HOME", folder.join("config"));
    program.env("BITMARK_PASSPHRASE", PHRASE);
    program
}

fn json(program: &mut Command) -> Value {
    let assert = program.assert().success();
    serde_json::from_slice(&assert.get_output().stdout).expect("JSON")
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_11_identities_of_the_references_client_sign_as_they_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = |args: &[&str]| {
        let mut program = reference("bitmark-cli");
        program.current_dir(folder.path());
        program.args(["--config", "old/client.conf", "--password", PHRASE]);
        program.args(args);
        program
    };
    let node = "127.0.0.1:2130";
    client(&[
        "--identity",
        "ann",
        "setup",
        "--network",
        "local",
        "--connect",
        node,
    ])
    .args(["--description", "of the first day"])
    .assert()
    .success();
    let key = "11".repeat(32);
    client(&[
        "--identity",
        "bob",
        "add",
        "--description",
        "of a key",
        "--privateKey",
        &key,
    ])
    .assert()
    .success();
    let told = json(&mut client(&["info"]));
    let done = json(ours(folder.path()).args(["identity", "import", "old/client.conf"]));
    let accounts = |list: &Value| -> Vec<Value> {
        let list = list.as_array().expect("a list");
        list.iter().map(|one| one["account"].clone()).collect()
    };
    assert_eq!(accounts(&done["imported"]).len(), 2);
    assert_eq!(accounts(&done["imported"]), accounts(&told["identity"]));

    std::fs::write(folder.path().join("letter.txt"), "Dear Bob").expect("a file");
    for name in ["ann", "bob"] {
        let theirs = json(&mut client(&[
            "--identity",
            name,
            "sign",
            "--file",
            "letter.txt",
        ]));
        let mut sign = ours(folder.path());
        let signed = json(sign.args(["sign", "letter.txt", "--identity", name]));
        assert_eq!(signed["signature"], theirs["signature"], "{name}");
    }
    let mut keys = ours(folder.path());
    let keys = json(keys.args(["identity", "keypair", "ann"]));
    let theirs = json(&mut client(&["--identity", "ann", "keypair"]));
    assert_eq!(keys["raw"], theirs["raw"]);
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_11_key_files_that_the_reference_makes_by_its_own_defaults_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = "data_directory = \".\"\nchain = local\nnodes = none\nclient_rpc { listen = 127.0.0.1:2130; announce = 192.0.2.1:2130 }\npeering {\n listen = 127.0.0.1:2136\n announce = 192.0.2.1:2136\n}\n";
    std::fs::write(folder.path().join("node.conf"), conf).expect("a file");
    let theirs = |command: &str| {
        let mut program = reference("bitmarkd");
        program.current_dir(folder.path());
        program.args(["--config-file=node.conf", command]);
        program.assert().success()
    };
    theirs("gen-peer-identity");
    theirs("gen-rpc-cert");
    let mut ours = Command::new(env!("CARGO_BIN_EXE_bitmarkd"));
    ours.current_dir(folder.path());
    ours.args(["config", "convert", "node.conf", "--output", "node.toml"]);
    ours.assert().success();
    let mut ours = Command::new(env!("CARGO_BIN_EXE_bitmarkd"));
    ours.current_dir(folder.path());
    ours.args(["--config-file", "node.toml", "dns-txt"]);
    let record = |assert: assert_cmd::assert::Assert| {
        let out = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
        let line = out.lines().find(|line| line.contains("bitmark=v3"));
        line.expect("a record").trim().to_owned()
    };
    assert_eq!(record(ours.assert().success()), record(theirs("dns-txt")));
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_11_a_node_of_the_reference_goes_on_as_one_of_ours() {
    let kinds = [Kind::Reference, Kind::Ours, Kind::Ours, Kind::Ours];
    let mut stage = Stage::new(&kinds).acquainted();
    let file = chain::saved();
    for node in &stage.nodes {
        node.run(&["load-blocks", file.to_str().unwrap()]);
    }
    stage.seed(0, &[1, 2, 3]);
    for index in [1, 2, 3, 0] {
        stage.nodes[index].start();
        stage.one(index, "answers", TAKEN, |node| node.info().is_some());
    }
    stage.wait_normal();
    let top = stage.nodes[1].height();
    // One set that is verified, and one that waits for its payment.
    let made = stage.create(0, "moves over", 3);
    let issues = made["issueIds"].as_array().unwrap();
    let verified = issues[0].as_str().unwrap().to_owned();
    // The asset is one of the saved chain, so its issues are paid for in coins.
    let asset = ["--name", "Title 5", "--fingerprint", "file 5"];
    let more = ["--metadata", "round=5", "--payment"];
    let made = stage.client(0, &[&["create"][..], &asset, &more].concat());
    let pending = made["issueIds"][0].as_str().unwrap().to_owned();
    stage.all_think(&pending, "Pending", TAKEN);
    stage.all_think(&verified, "Verified", TAKEN);
    let key = stage.nodes[0].page("details").unwrap()["publicKey"].clone();
    let peers = stage.nodes[0].peers();
    let services = stage.nodes[0].services();
    stage.nodes[0].stop();
    seen(stage.begin, "the node of the reference is stopped");

    let folder = stage.nodes[0].plan.directory.clone();
    let old = stage.nodes[0].configuration();
    let new = folder.join("bitmarkd.toml");
    let mut convert = Command::new(env!("CARGO_BIN_EXE_bitmarkd"));
    convert.args(["config", "convert", "--force"]).arg(&old);
    convert.arg("--output").arg(&new).assert().success();
    // The log of the reference has the name of ours.
    std::fs::rename(folder.join("log"), folder.join("log.old")).unwrap();
    stage.nodes[0].kind = Kind::Ours;
    let told = stage.nodes[0].run(&["import", folder.to_str().unwrap()]);
    println!("{told}");
    seen(stage.begin, "converted and imported");

    stage.nodes[0].start();
    stage.one(0, "answers", TAKEN, |node| node.info().is_some());
    assert_eq!(stage.nodes[0].height(), top);
    assert_eq!(stage.nodes[0].transaction(&verified), "Verified");
    assert_eq!(stage.nodes[0].transaction(&pending), "Pending");
    let now = stage.nodes[0].page("details").unwrap();
    assert_eq!(now["publicKey"], key);
    assert_eq!(stage.nodes[0].peers(), peers);
    assert!(services.contains(&stage.nodes[0].services()[0]));
    let digests = stage.nodes[0].digests(0..=top);
    for node in &stage.nodes {
        assert_eq!(node.digests(0..=top), digests, "{}", node.plan.name);
    }
    stage.wait_normal();
    stage.create(0, "after the move", 1);
}
