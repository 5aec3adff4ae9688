//! What was acknowledged is there after any end.

use std::collections::BTreeSet;
use std::time::Duration;

use bitmarkd::core::id::TxId;
use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::record::{self, AssetData, BitmarkIssue, Record};
use serde_json::json;

use crate::stage::{Asker, Stage, eventually};

/// Rounds of `kill -9`.
const ROUNDS: usize = 20;
/// Acknowledgements before each.
const LOAD: usize = 12;

fn issue(key: &PrivateKey, fingerprint: &[u8], nonce: u64) -> Vec<u8> {
    let mut issue = Record::BitmarkIssue(BitmarkIssue {
        asset_id: bitmarkd::core::id::AssetId::of(fingerprint),
        owner: key.account().unwrap(),
        nonce,
        signature: Vec::new(),
    });
    record::sign(&mut issue, key).unwrap()
}

fn asset(key: &PrivateKey, fingerprint: &[u8]) -> Vec<u8> {
    let mut asset = Record::AssetData(AssetData {
        name: b"kept".to_vec(),
        fingerprint: fingerprint.to_vec(),
        metadata: Vec::new(),
        registrant: key.account().unwrap(),
        signature: Vec::new(),
    });
    record::sign(&mut asset, key).unwrap()
}

#[test]
fn twenty_kills_during_load_lose_nothing_that_was_acknowledged() {
    let mut stage = Stage::normal("devnet", 4);
    let key = PrivateKey::from_ed25519_seed(&[9; 32], true);
    let fingerprint = b"twenty kills";
    let mut acknowledged: BTreeSet<TxId> = BTreeSet::new();
    let mut nonce = 0;
    for round in 0..ROUNDS {
        // Alone with its disk: the others could bring back what it lost.
        let asker = Asker::with_timeout(&stage.nodes[0], "devnet", Duration::from_secs(10));
        if round == 0 {
            let reply = asker.ask("assets", &[&asset(&key, fingerprint)]);
            assert_eq!(reply, Some(vec![b"assets".to_vec(), b"A".to_vec()]));
            for node in &mut stage.nodes[1..] {
                node.stop();
            }
        }
        for number in 0..LOAD {
            nonce += 1;
            let packed = issue(&key, fingerprint, nonce);
            if number + 1 == LOAD {
                // The last one of a round is under way when the end comes.
                let (sent, kill) = crossbeam_channel::bounded(1);
                let node = &mut stage.nodes[0];
                let own = Asker::with_timeout(node, "devnet", Duration::from_secs(1));
                own.ask("N", &[]).expect("the connection stands");
                let packed_again = packed.clone();
                let asking = std::thread::spawn(move || {
                    sent.send(()).unwrap();
                    own.ask("issues", &[&packed_again])
                });
                kill.recv().unwrap();
                node.kill();
                if asking.join().unwrap().is_some() {
                    acknowledged.insert(TxId::of(&packed));
                }
            } else if asker.ask("issues", &[&packed]).is_some() {
                acknowledged.insert(TxId::of(&packed));
            }
        }
        stage.nodes[0].start();
        stage.nodes[0].wait_status("an answer", |_| true);
        for id in &acknowledged {
            let question = json!({"command": "transaction", "txId": id});
            let answer = eventually("an answer", || stage.nodes[0].control(&question));
            assert_eq!(answer["status"], "Pending", "{id} in round {round}");
        }
        if round + 1 < ROUNDS {
            // It takes records in mode Normal alone: one neighbour is woken for that.
            if round == 0 {
                stage.nodes[0].configure(|text| {
                    text.replace("[timing]\n", "[timing]\nminimum_upstreams = 0\n")
                });
                stage.nodes[0].kill();
                stage.nodes[0].start();
            }
            stage.nodes[0].wait_status("mode Normal", |s| s["mode"] == "Normal");
        }
    }
    assert!(
        acknowledged.len() >= ROUNDS * (LOAD - 2),
        "{}",
        acknowledged.len()
    );
}
