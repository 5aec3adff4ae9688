//! Row 3: records that are pushed at any node reach the pool of every node, each once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::launch::seen;
use crate::network::SIX;
use crate::published::Listener;
use crate::stage::Stage;

/// From one node to all others.
const SPREAD: Duration = Duration::from_secs(60);
/// What circulates shows in this time.
const QUIET: Duration = Duration::from_secs(20);

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_03_records_pushed_at_any_node_reach_all_pools_once() {
    let mut stage = Stage::new(&SIX).acquainted();
    stage.start_all();
    stage.wait_normal();
    let listeners: Vec<Listener> = stage.nodes.iter().map(Listener::new).collect();
    let mut pushed = Vec::new();
    for index in 0..stage.nodes.len() {
        // Over the client service, and over the peer service.
        let own = stage.create(index, &format!("by service {index}"), 3);
        let plan = stage.nodes[index].plan.clone();
        let key = plan.key().to_string();
        let address = format!("127.0.0.1:{}", plan.peer4);
        let name = format!("by peer {index}");
        let connect = ["--connect", &address, "--server-key", &key];
        let asset = ["--name", &name, "--fingerprint", &name];
        let other = stage.client_with(&[&["create"][..], &asset, &connect].concat());
        for made in [own, other] {
            for id in made["issueIds"].as_array().unwrap() {
                let id = id.as_str().unwrap().to_owned();
                stage.all_think(&id, "Verified", SPREAD);
                pushed.push(id);
            }
        }
    }
    let before: Vec<_> = listeners.iter().map(|l| l.until_quiet(QUIET)).collect();
    for (node, messages) in stage.nodes.iter().zip(&before) {
        let mut counts = BTreeMap::new();
        for message in messages {
            *counts.entry(message.command.as_str()).or_insert(0) += 1;
        }
        println!("  {} published {counts:?}", node.plan.name);
    }
    let records: Vec<_> = before[0]
        .iter()
        .filter(|message| ["assets", "issues", "proof"].contains(&message.command.as_str()))
        .cloned()
        .collect();
    // Two sets from each node, of an asset, issues and a proof.
    assert_eq!(records.len(), 2 * 3 * stage.nodes.len());
    for (node, messages) in stage.nodes.iter().zip(&before) {
        let mut count = BTreeMap::new();
        for message in messages {
            let key = (message.command.clone(), message.parameters[0].clone());
            *count.entry(key).or_insert(0) += 1;
        }
        for record in &records {
            let key = (record.command.clone(), record.parameters[0].clone());
            assert_eq!(count.get(&key), Some(&1), "{} {}", node.plan.name, key.0);
        }
    }
    seen(stage.begin, "every record was published once by every node");
    // The same again at a node of each kind: nobody hears of it.
    for record in &records {
        for node in &stage.nodes[..2] {
            let reply = node.asker().ask(&record.command, &[&record.parameters[0]]);
            assert_eq!(reply.unwrap()[1], b"A");
        }
    }
    for (node, listener) in stage.nodes.iter().zip(&listeners) {
        for message in listener.until_quiet(QUIET) {
            let is_record = ["assets", "issues", "proof"].contains(&message.command.as_str());
            assert!(!is_record, "{} {}", node.plan.name, message.command);
        }
    }
    seen(stage.begin, "duplicates do not circulate");
    stage.all("alive", SPREAD, |node| node.info().is_some());
}
