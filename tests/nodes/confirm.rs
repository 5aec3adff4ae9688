//! What is pushed at one node is confirmed at all.

use crate::stage::Stage;

#[test]
fn four_nodes_reach_normal_and_an_issue_pushed_at_one_is_confirmed_at_all() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    let id = stage.create(2, "confirmed everywhere", true);
    let height = stage.wait_agreement(2);
    for node in 0..4 {
        stage.wait_transaction(node, &id, "Confirmed");
        assert_eq!(stage.nodes[node].height(), height);
    }
    let counts = stage.nodes[3].status().unwrap();
    assert_eq!(counts["reservoir"]["verified"], 0);
    assert_eq!(counts["reservoir"]["assets"], 0);
    for node in &mut stage.nodes {
        node.stop();
    }
}

#[test]
fn a_transfer_is_confirmed_once_its_payment_was_seen() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(1);
    let issue = stage.create(0, "to be passed on", true);
    let places = stage.folder().join("others");
    let phrase = stage.folder().join("phrase");
    std::fs::write(&phrase, "correct horse battery\n").unwrap();
    let (places, phrase) = (places.to_str().unwrap(), phrase.to_str().unwrap());
    let other = ["--identities", places, "--passphrase-file", phrase];
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
        .args(["--json", "identity", "new", "other"])
        .args(other)
        .output()
        .unwrap();
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let account = made["account"].as_str().unwrap();

    let half = stage.client(0, &["transfer", &issue, "--to", account]);
    let half = half["transfer"].as_str().unwrap();
    let mut arguments = vec!["countersign", half, "--identity", "other"];
    arguments.extend(other);
    let whole = stage.client(0, &arguments);
    let id = whole["txId"].as_str().unwrap();
    stage.wait_transaction(3, id, "Pending");
    stage.client(0, &["pay", whole["payId"].as_str().unwrap(), "--simulate"]);
    for node in 0..4 {
        stage.wait_transaction(node, id, "Confirmed");
    }
    let way = stage.client(2, &["provenance", &issue]);
    let types: Vec<&str> = way
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        ["BitmarkTransferCountersigned", "BitmarkIssue", "AssetData"]
    );
    assert_eq!(way[0]["data"]["owner"], account);
}

#[test]
fn who_asks_a_node_that_is_not_normal_sends_nothing_and_is_told() {
    let mut stage = Stage::new("devnet", 4);
    stage.nodes[0].start();
    stage.nodes[0].wait_status("an answer", |_| true);
    let output = stage.client_output(0, &["create", "--name", "n", "--fingerprint", "f"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("still synchronising"), "{said}");
    let status = stage.nodes[0].status().unwrap();
    assert_eq!(status["reservoir"]["assets"], 0);
}
