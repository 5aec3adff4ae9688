//! Moving over: files that the reference's programs make are taken by ours, and mean the same.
//!
//! Their folder is named by `REFERENCE_BIN`. Nothing is sent anywhere.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

const PHRASE: &str = "correct horse";

/// A program of the reference.
fn reference(name: &str) -> Command {
    let folder = std::env::var_os("REFERENCE_BIN").expect("REFERENCE_BIN names a folder");
    let mut program = Command::new(PathBuf::from(folder).join(name));
    // Its signal for preemption ends calls of ZeroMQ with an error.
    program.env("GODEBUG", "asyncpreemptoff=1");
    program
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
fn identities_of_the_references_client_sign_as_they_did() {
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
fn key_files_that_the_reference_makes_by_its_own_defaults_are_found() {
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
