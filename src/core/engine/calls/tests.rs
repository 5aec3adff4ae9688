//! Calls against a whole node in memory. The recorded ones are in `tests/vectors/rpc.rs`.

use serde_json::{Value, json};

use crate::core::engine::tests::settings;
use crate::core::engine::{Effect, Engine, Input};
use crate::core::keys::PrivateKey;
use crate::core::record::{AssetData, BitmarkIssue, Record, sign};
use crate::core::rpc::{Call, Outcome, Surroundings};
use crate::core::state::MemoryStore;
use crate::core::time::Now;
use crate::core::wire::connection::{Connection, pack_list};

const AT: Now = Now {
    mono: 754_975,
    wall: 1_795_219_961,
};
const AROUND: Surroundings = Surroundings {
    rpcs: 3,
    incoming: 2,
};

struct Node {
    engine: Engine,
    store: MemoryStore,
}

impl Node {
    /// A node in mode Normal that knows the peers with these first bytes of their keys.
    fn new(peers: &[u8]) -> Self {
        let store = MemoryStore::new();
        let start = Now { mono: 0, ..AT };
        let (mut engine, _) = Engine::new(start, settings(), &store).unwrap();
        let mut out = Vec::new();
        engine.start(start, &store, &mut out);
        let mut node = Self { engine, store };
        while !node.engine.status().normal {
            let mono = node.engine.next_wakeup();
            node.step(Now { mono, ..AT }, Input::Wake);
        }
        let address = Connection::from_text("[::1]:2136").unwrap();
        for byte in peers {
            let listeners = pack_list([&address]);
            let peer = Input::Bootstrap([*byte; 32], listeners, AT.wall - 60);
            node.step(AT, peer);
        }
        node
    }

    /// The answers, each with whether it waited for the flush.
    fn step(&mut self, now: Now, input: Input) -> Vec<(Outcome, bool)> {
        let mut out = Vec::new();
        self.engine.step(now, input, &self.store, &mut out);
        let mut answers = Vec::new();
        for effect in out {
            match effect {
                Effect::Commit(batch, after) => {
                    self.store.apply(&batch);
                    answers.extend(after.into_iter().filter_map(|effect| answer(effect, true)));
                }
                effect => answers.extend(answer(effect, false)),
            }
        }
        answers
    }

    fn call(&mut self, call: Call) -> (Outcome, bool) {
        let mut answers = self.step(AT, Input::Rpc(1, call, AROUND));
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    fn ask(&mut self, method: &str, argument: &Value) -> Outcome {
        let call = Call::of(method, argument)?;
        self.call(call).0
    }

    fn shown(&mut self, call: Call) -> Value {
        let (outcome, waited) = self.call(call);
        assert!(!waited, "what only looks is answered at once");
        serde_json::from_str(&outcome.unwrap()).unwrap()
    }
}

fn answer(effect: Effect, waited: bool) -> Option<(Outcome, bool)> {
    match effect {
        Effect::Rpc(1, outcome) => Some((outcome, waited)),
        _ => None,
    }
}

fn asset(key: &PrivateKey, fingerprint: &str) -> Value {
    let mut record = Record::AssetData(AssetData {
        name: b"asset".to_vec(),
        fingerprint: fingerprint.into(),
        metadata: b"k\0v".to_vec(),
        registrant: key.account().unwrap(),
        signature: Vec::new(),
    });
    sign(&mut record, key).unwrap();
    serde_json::from_str(&record.to_json()).unwrap()
}

fn issue(key: &PrivateKey, fingerprint: &str) -> Value {
    let mut record = Record::BitmarkIssue(BitmarkIssue {
        asset_id: crate::core::id::AssetId::of(fingerprint.as_bytes()),
        owner: key.account().unwrap(),
        nonce: 1,
        signature: Vec::new(),
    });
    sign(&mut record, key).unwrap();
    serde_json::from_str(&record.to_json()).unwrap()
}

#[test]
fn what_a_client_creates_is_answered_after_the_flush() {
    let mut node = Node::new(&[]);
    let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
    let argument = json!({"assets": [asset(&key, "one")], "issues": [issue(&key, "one")]});
    let call = Call::of("Bitmarks.Create", &argument).unwrap();
    let (outcome, waited) = node.call(call);
    assert!(waited);
    let reply: Value = serde_json::from_str(&outcome.unwrap()).unwrap();
    let status = json!({"txId": reply["issues"][0]["txId"]});
    let status = node.ask("Transaction.Status", &status);
    assert_eq!(status.unwrap(), "{\"status\":\"Pending\"}");
}

#[test]
fn records_of_the_other_network_are_refused() {
    let mut node = Node::new(&[]);
    let key = PrivateKey::from_ed25519_seed(&[7; 32], false);
    let wrong = Err("wrong network for public key".to_owned());
    let argument = json!({"assets": [asset(&key, "one")]});
    assert_eq!(node.ask("Bitmarks.Create", &argument), wrong);
    // It is not kept either.
    let found = node.ask("Assets.Get", &json!({"fingerprints": ["one"]}));
    assert_eq!(
        found.unwrap(),
        "{\"assets\":[{\"record\":\"\",\"confirmed\":false,\"data\":null}]}"
    );
}

#[test]
fn what_is_absent_is_refused_where_the_reference_ends() {
    let mut node = Node::new(&[]);
    for (method, argument) in [
        ("Owner.Bitmarks", json!({"count": 1})),
        ("Bitmark.Transfer", json!({})),
        ("BlockOwner.Transfer", json!({})),
        ("Bitmarks.Create", json!({"assets": [null]})),
        ("Bitmarks.Create", json!({"issues": [null]})),
    ] {
        let wanted = Err("invalid item".to_owned());
        assert_eq!(node.ask(method, &argument), wanted, "{method} {argument}");
    }
}

#[test]
fn an_asset_without_a_registrant_is_refused_in_its_turn() {
    let mut node = Node::new(&[]);
    let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
    let mut nobody = asset(&key, "two");
    nobody["registrant"] = Value::Null;
    let argument = json!({"assets": [asset(&key, "one"), nobody]});
    let refused = node.ask("Bitmarks.Create", &argument);
    assert_eq!(refused, Err("invalid owner or registrant".to_owned()));
    // The one before it stays.
    let found = node.ask("Assets.Get", &json!({"fingerprints": ["one"]}));
    assert!(found.unwrap().contains("\"record\":\"AssetData\""));
}

#[test]
fn a_proof_is_read_after_the_mode_and_the_length() {
    let mut node = Node::new(&[]);
    let ask = |node: &mut Node, nonce: &str| node.ask("Bitmarks.Proof", &json!({"nonce": nonce}));
    let invalid = Err("invalid nonce".to_owned());
    assert_eq!(ask(&mut node, &"zz".repeat(7)), invalid);
    assert_eq!(ask(&mut node, &"zz".repeat(65)), invalid);
    let odd = Err("encoding/hex: odd length hex string".to_owned());
    assert_eq!(ask(&mut node, &"0".repeat(129)), odd);
    let not_found = ask(&mut node, &"00".repeat(64));
    assert_eq!(not_found.unwrap(), "{\"status\":\"NotFound\"}");
}

#[test]
fn the_details_tell_both_directions_apart() {
    let mut node = Node::new(&[]);
    let details = node.shown(Call::Details);
    assert_eq!(details["blocks"], json!({"local": 1, "remote": 0}));
    assert_eq!(details["peers"], json!({"incoming": 2, "outgoing": 0}));
    assert_eq!(details["rpcs"], 3);
    assert_eq!(details["uptime"], "12m34.975s");
    let names: Vec<&String> = details.as_object().unwrap().keys().collect();
    let wanted = [
        "chain",
        "mode",
        "blocks",
        "rpcs",
        "peers",
        "transactionCounters",
        "difficulty",
        "version",
        "uptime",
        "publicKey",
    ];
    assert_eq!(names, wanted);
    assert_eq!(node.shown(Call::NodeInfo)["peers"], 2);
    assert_eq!(node.shown(Call::Connections), json!({"connectedTo": []}));
}

#[test]
fn a_page_of_peers_starts_behind_a_key_that_is_known() {
    // This node's key is of ones.
    let mut node = Node::new(&[3, 5]);
    let mut keys = |count, after: Option<u8>| -> Vec<String> {
        let after = after.map(|byte| [byte; 32]);
        let page = node.shown(Call::Peers { count, after });
        let first = |peer: &Value| peer["publicKey"].as_str().unwrap()[..2].to_owned();
        page.as_array().unwrap().iter().map(first).collect()
    };
    assert_eq!(keys(10, None), ["01", "03", "05"]);
    assert_eq!(keys(2, None), ["01", "03"]);
    assert_eq!(keys(10, Some(1)), ["03", "05"]);
    assert_eq!(keys(10, Some(0)), ["01", "03", "05"]);
    assert!(keys(10, Some(4)).is_empty());
    assert!(keys(10, Some(5)).is_empty());
    let page = node.shown(Call::Peers {
        count: 1,
        after: Some([1; 32]),
    });
    let wanted = json!([{
        "publicKey": "03".repeat(32),
        "listeners": ["[::1]:2136"],
        "timestamp": "2026-11-21T00:11:41Z",
    }]);
    assert_eq!(page, wanted);
}
