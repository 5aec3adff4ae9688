//! The client says the same over both protocols, and over JSON-RPC what is to be paid.

use bitmarkd::cli::client::identity;
use bitmarkd::core::keys::{PrivateKey, Seed};
use serde_json::{Value, json};

use crate::stage::Stage;

const RPC: [&str; 2] = ["--over", "rpc"];

/// The answers over both protocols.
fn both(stage: &Stage, node: usize, arguments: &[&str]) -> [Value; 2] {
    let over_rpc = [arguments, &RPC].concat();
    [stage.client(node, arguments), stage.client(node, &over_rpc)]
}

/// The answer, which is the same over both.
fn same(stage: &Stage, node: usize, arguments: &[&str]) -> Value {
    let [peer, rpc] = both(stage, node, arguments);
    assert_eq!(peer, rpc, "{arguments:?}");
    rpc
}

/// The error over JSON-RPC.
fn told(stage: &Stage, arguments: &[&str]) -> String {
    let output = stage.client_output(0, &[arguments, &RPC].concat());
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// An identity of the stage's own making; the arguments that name it.
fn identity(stage: &Stage, name: &str, seed: &Seed) -> Vec<String> {
    let folder = stage.folder().join("others");
    std::fs::create_dir_all(&folder).unwrap();
    let phrase = stage.folder().join("phrase");
    std::fs::write(&phrase, "correct horse\n").unwrap();
    identity::write(
        &folder.join(format!("{name}.json")),
        name,
        seed,
        "correct horse",
    )
    .unwrap();
    let folder = folder.display().to_string();
    let phrase = phrase.display().to_string();
    let names = ["--identity", "--identities", "--passphrase-file"];
    let values = [name.to_owned(), folder, phrase];
    let pairs = names.iter().zip(values);
    pairs.flat_map(|(n, v)| [(*n).to_owned(), v]).collect()
}

fn account(seed: &Seed) -> String {
    let key = PrivateKey::from_seed(seed);
    key.account().unwrap().to_string()
}

/// The asset of a provenance without its block, which JSON-RPC does not tell.
fn without_the_block_of_the_asset(mut steps: Value) -> Value {
    for step in steps.as_array_mut().unwrap() {
        if step["type"] == "AssetData" {
            step.as_object_mut().unwrap().remove("block");
        }
    }
    steps
}

#[test]
fn a_bitmark_is_created_passed_on_and_looked_up_alike_over_both_protocols() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    let create = ["create", "--name", "A house", "--fingerprint", "house"];
    let waiting = [&create[..], &["--wait", "--timeout", "60"], &RPC].concat();
    let made = stage.client(1, &waiting);
    assert_eq!(made["proofStatus"], "Accepted");
    assert!(made["confirmed"][0]["block"].as_u64().unwrap() >= 2);
    let issue = made["issueIds"][0].as_str().unwrap().to_owned();
    for node in 0..4 {
        stage.wait_transaction(node, &issue, "Confirmed");
    }

    let [over_peer, over_rpc] = both(&stage, 0, &["peer", "info"]);
    for (name, value) in over_peer.as_object().unwrap() {
        assert_eq!(&over_rpc[name], value, "{name}");
    }
    assert_eq!(over_rpc["mode"], "Normal");
    same(&stage, 0, &["peer", "height"]);
    assert_eq!(
        text(&same(&stage, 0, &["status", &issue]), "status"),
        "Confirmed"
    );
    let steps = both(&stage, 2, &["provenance", &issue]);
    let [over_peer, over_rpc] = steps.map(without_the_block_of_the_asset);
    assert_eq!(over_peer, over_rpc);
    let own = stage.identity.account.clone();
    let owned = same(&stage, 0, &["owned", &own]);
    assert_eq!(owned[0]["txId"], issue);
    assert_eq!(owned[0]["name"], "A house");

    // Under another name nothing is sent.
    let other = ["create", "--name", "Another", "--fingerprint", "house"];
    assert!(told(&stage, &other).contains("under another name, \"A house\""));

    // What is confirmed can be paid for in coins.
    let to_pay = stage.client(0, &[&create[..], &["--payment"], &RPC].concat());
    assert_eq!(to_pay["proofStatus"], "NotFound");
    assert_eq!(to_pay["payments"]["BTC"][0]["currency"], "BTC");
    let pay_id = text(&to_pay, "payId");
    assert!(text(&to_pay["commands"], "LTC").contains(pay_id));
    let second = to_pay["issueIds"][0].as_str().unwrap();
    let waits = stage.client(0, &[&["status", second][..], &RPC].concat());
    assert_eq!(waits["status"], "Pending");
    stage.client(0, &["pay", pay_id, "--simulate"]);
    stage.wait_transaction(0, second, "Confirmed");

    let bob = Seed::new(true, [7; 32]);
    let to = account(&bob);
    let sent = ["transfer", &issue, "--to", &to, "--unratified"];
    let sent = stage.client(0, &[&sent[..], &RPC].concat());
    assert_eq!(sent["transferId"], sent["txId"]);
    assert!(sent["payments"]["LTC"].is_array(), "{sent}");
    let id = text(&sent, "txId");
    let again = ["transfer", &issue, "--to", &own, "--unratified"];
    let refused = told(&stage, &again);
    assert!(refused.contains("double transfer attempt"), "{refused}");
    stage.client(0, &["pay", text(&sent, "payId"), "--simulate"]);
    stage.wait_transaction(0, id, "Confirmed");
    assert!(told(&stage, &again).contains("passed on already"));

    // Back again, this time with the agreement of both.
    let signer = identity(&stage, "bob", &bob);
    let signer: Vec<&str> = signer.iter().map(String::as_str).collect();
    let half = [&["transfer", id, "--to", &own][..], &signer, &RPC].concat();
    let half = stage.client(0, &half);
    assert_eq!(half["identity"], own);
    let agree = ["countersign", text(&half, "transfer")];
    let whole = stage.client(0, &[&agree[..], &RPC].concat());
    stage.client(0, &["pay", text(&whole, "payId"), "--simulate"]);
    let last = text(&whole, "txId");
    stage.wait_transaction(0, last, "Confirmed");
    let steps = both(&stage, 0, &["provenance", last]);
    let [over_peer, over_rpc] = steps.map(without_the_block_of_the_asset);
    assert_eq!(over_peer, over_rpc);
    assert_eq!(over_rpc.as_array().unwrap().len(), 4);
    assert_eq!(over_rpc[0]["isOwner"], true);
    let owned = same(&stage, 0, &["owned", &own]);
    let ids: Vec<&str> = owned
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(one, "txId"))
        .collect();
    assert_eq!(ids, [second, last]);
    assert_eq!(same(&stage, 0, &["owned", &to]), json!([]));
    for node in &mut stage.nodes {
        node.stop();
    }
}

#[test]
fn a_block_is_given_to_a_new_owner_who_agrees() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    stage.create(0, "in block two", true);
    let signing = stage.nodes[0].plan.directory.join("proof.sign");
    let signing = std::fs::read_to_string(signing).unwrap();
    let miner = Seed::from_text(signing.trim().trim_start_matches("SEED:")).unwrap();
    let owned = same(&stage, 0, &["owned", &account(&miner)]);
    assert_eq!(owned[0]["item"], "Block", "{owned}");
    assert_eq!(owned[0]["blockNumber"], 2);
    let id = text(&owned[0], "txId");
    let way = same(&stage, 0, &["provenance", id]);
    assert_eq!(way[0]["type"], "BlockFoundation");
    let asked = ["call", "BlockOwner.TxIdForBlock", "{\"blockNumber\": 2}"];
    let asked = stage.client(0, &[&asked[..], &RPC].concat());
    assert_eq!(text(&asked, "txId"), id);

    let bob = Seed::new(true, [7; 32]);
    let to = account(&bob);
    let addresses = [
        "--bitcoin",
        "msxN7C7cRNgbgyUzt3EcvrpmWXc59sZVN4",
        "--litecoin",
        "mjPkDNakVA4w4hJZ6WF7p8yKUV2merhyCM",
    ];
    let signer = identity(&stage, "miner", &miner);
    let signer: Vec<&str> = signer.iter().map(String::as_str).collect();
    let give = [
        &["block-transfer", id, "--to", &to][..],
        &addresses,
        &signer,
    ]
    .concat();
    let half = same(&stage, 0, &give);
    let half = text(&half, "blockTransfer");
    let signer = identity(&stage, "bob", &bob);
    let signer: Vec<&str> = signer.iter().map(String::as_str).collect();
    let agree = [&["block-countersign", half][..], &signer, &RPC].concat();
    let whole = stage.client(0, &agree);
    let last = text(&whole, "txId");
    stage.client(0, &["pay", text(&whole, "payId"), "--simulate"]);
    stage.wait_transaction(0, last, "Confirmed");
    let owned = same(&stage, 0, &["owned", &to]);
    assert_eq!(owned[0]["blockNumber"], 2);
    assert_eq!(owned[0]["txId"], last);
    assert_eq!(owned[0]["issue"], id);
}
