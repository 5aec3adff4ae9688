//! What a user does with the client where no node is needed: the built program, in folders of its
//! own.

use std::fs::File;
use std::net::TcpListener;
use std::process::Stdio;

use assert_cmd::Command;
use assert_cmd::assert::Assert;

/// Runs the client with nothing of the user's own.
fn client(args: &[&str]) -> Assert {
    program().args(args).assert()
}

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_bitmark-cli"));
    program.env_remove("BITMARK_PASSPHRASE");
    program
}

/// What a failing command tells.
fn told(assert: Assert, status: i32) -> String {
    let assert = assert.code(status);
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn a_test_network_and_a_node_of_ones_own_are_not_named_together() {
    let key = "00".repeat(32);
    for other in ["--connect", "--server-key", "--chain"] {
        let command = ["peer", "info", "--network", "net", other, &key];
        let stderr = told(client(&command), 2);
        assert!(
            stderr.contains("cannot be used with") && stderr.contains(other),
            "{stderr}"
        );
    }
}

#[test]
fn a_new_identity_has_a_pass_phrase_of_eight_characters_wherever_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let phrase = folder.path().join("phrase.txt");
    let new = |name: &str| {
        let mut program = program();
        program.args(["identity", "new", name, "--identities"]);
        program.arg(folder.path());
        program
    };
    for short in ["", "1234567"] {
        let stderr = told(new("a").env("BITMARK_PASSPHRASE", short).assert(), 1);
        assert!(stderr.contains("at least 8 characters"), "{stderr}");
        std::fs::write(&phrase, format!("{short}\n")).unwrap();
        let from_file = new("a").arg("--passphrase-file").arg(&phrase).assert();
        assert!(told(from_file, 1).contains("at least 8 characters"));
    }
    assert!(!folder.path().join("a.json").exists());
    new("a")
        .env("BITMARK_PASSPHRASE", "12345678")
        .assert()
        .success();
}

/// Runs a command that has something to print.
fn printing(to: Stdio) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
        .args(["identity", "list", "--identities", "nowhere"])
        .stdout(to)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), stderr)
}

#[test]
fn a_result_that_cannot_be_written_is_an_error_and_a_reader_that_has_gone_is_none() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (status, stderr) = printing(full.into());
    assert_eq!(status, Some(1));
    assert!(stderr.starts_with("standard output: "), "{stderr}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(printing(writer.into()), (Some(0), String::new()));
}

#[test]
fn watching_says_when_nobody_is_reached() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap().to_string();
    drop(unused);
    let key = "00".repeat(32);
    let target = ["--connect", &address, "--server-key", &key];
    let mut program = program();
    program.args(["peer", "watch", "--chain", "devnet", "--answer-within", "1"]);
    let stderr = told(program.args(target).assert(), 1);
    assert!(stderr.contains("nobody was reached"), "{stderr}");
}

#[test]
fn identities_that_are_not_there_or_broken_and_chains_that_nobody_knows_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = ["--identities", folder.path().to_str().unwrap()];
    let create = ["create", "--name", "a", "--fingerprint", "f"];
    let signed = [&create[..], &["--identity", "nobody"], &place].concat();
    let stderr = told(client(&signed), 1);
    assert!(
        stderr.contains("nobody.json: no identity there"),
        "{stderr}"
    );

    std::fs::write(folder.path().join("broken.json"), "{").unwrap();
    let list = client(&[&["identity", "list"], &place[..]].concat()).success();
    let stderr = String::from_utf8(list.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("broken.json: not an identity"), "{stderr}");

    let new = [&["identity", "new", "a", "--chain", "nope"], &place[..]].concat();
    for wrong in [&new[..], &["decode", "record", "00", "--chain", "nope"]] {
        let stderr = told(client(wrong), 1);
        assert!(
            stderr.contains("there are bitmark, testing, local"),
            "{stderr}"
        );
    }
}

#[test]
fn a_wrong_argument_says_what_is_wanted() {
    let id = "00".repeat(32);
    for (command, wanted) in [
        (&["status", "12"][..], "64 hex digits"),
        (&["provenance", "xy"], "issue or a transfer"),
        (&["transfer", &id, "--to", "bob"], "an account is wanted"),
        (&["pay", "--simulate", &id], "96 hex digits"),
        (
            &[
                "peer",
                "register",
                "--public-key",
                "zz",
                "--listen",
                "127.0.0.1:1",
            ],
            "public key of a node is wanted",
        ),
        (&["peer", "info", "--server-key", "zz"], "64 hex digits"),
    ] {
        let stderr = told(client(command), 2);
        assert!(stderr.contains(wanted), "{command:?}: {stderr}");
    }
}
