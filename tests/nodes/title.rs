//! A buyer needs no node to see whose a bitmark is.

use std::path::Path;
use std::process::{Command, Output};

use crate::stage::Stage;

fn verify(title: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
        .arg("verify")
        .arg(title)
        .args(more)
        .output()
        .unwrap()
}

fn holds(title: &Path, more: &[&str]) -> String {
    let output = verify(title, more);
    let (told, error) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(told).unwrap()
}

fn refused(title: &Path, more: &[&str], why: &str) {
    let output = verify(title, more);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_title_proved_at_a_node_is_verified_without_one_and_never_once_changed() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    let document = stage.folder().join("document");
    std::fs::write(&document, "the document").unwrap();
    let document = document.to_str().unwrap();
    let create = ["create", "--name", "The house", "--file", document];
    let made = stage.client(0, &[&create[..], &["--wait", "--timeout", "60"]].concat());
    let issue = made["issueIds"][0].as_str().unwrap().to_owned();

    let title = stage.folder().join("title.json");
    let prove = |stage: &Stage, more: &[&str]| {
        let output = stage.client_output(0, &[&["prove", &issue][..], more].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        std::fs::write(&title, &output.stdout).unwrap();
        output.stdout
    };
    prove(&stage, &[]);
    let told = holds(&title, &["--fingerprint-of", document]);
    assert!(
        told.contains("This title holds: a bitmark of \"The house\" belongs to"),
        "{told}"
    );
    assert!(told.contains(&stage.identity.account), "{told}");
    assert!(told.contains("this very fingerprint"), "{told}");
    let other = stage.folder().join("other");
    std::fs::write(&other, "another document").unwrap();
    refused(
        &title,
        &["--fingerprint-of", other.to_str().unwrap()],
        "NOT for",
    );

    // It is passed on: the title that was made before still says what it said, up to its height.
    let to = bitmarkd::core::keys::PrivateKey::from_ed25519_seed(&[7; 32], true);
    let to = to.account().unwrap().to_string();
    let sent = stage.client(0, &["transfer", &issue, "--to", &to, "--unratified"]);
    let id = sent["txId"].as_str().unwrap();
    stage.wait_transaction(0, id, "Pending");
    stage.client(0, &["pay", sent["payId"].as_str().unwrap(), "--simulate"]);
    stage.wait_transaction(0, id, "Confirmed");
    let text = prove(&stage, &[]);
    let told = holds(&title, &[]);
    assert!(told.contains(&format!("belongs to {to}.")), "{told}");
    assert!(told.contains("passed on once"), "{told}");

    for at in (0..text.len()).step_by(97) {
        let mut changed = text.clone();
        changed[at] ^= 1;
        std::fs::write(&title, changed).unwrap();
        refused(&title, &[], "this title does NOT hold");
    }

    // With a known block the title is shorter and hangs on that one.
    let digest = stage.client(0, &["peer", "hash", "2"]);
    let known = format!("2={}", digest["digest"].as_str().unwrap());
    prove(&stage, &["--from-known", "2"]);
    let told = holds(&title, &["--known", &known]);
    assert!(told.contains("hangs on block 2"), "{told}");
    let wrong = format!("2={}", "00".repeat(32));
    refused(&title, &["--known", &wrong], "not the one that is known");

    // A known block above the title, and two of one number, are refused: it may be of any chain.
    let above = format!("99={}", "00".repeat(32));
    refused(&title, &["--known", &above], "made since");
    refused(
        &title,
        &["--known", &known, "--known", &wrong],
        "one block of each number",
    );

    let nowhere = stage.client_output(0, &["prove", &"00".repeat(32)]);
    assert_eq!(nowhere.status.code(), Some(1));
    let error = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(error.contains("is it confirmed yet?"), "{error}");
}
