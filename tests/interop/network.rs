//! Row 2: three nodes of each kind that know each other from peer files made by hand.

use std::time::Duration;

use bitmarkd::shell::files::certificate::fingerprint_of;

use crate::stage::{Kind, Stage};

/// Announcements come after two minutes, and then every eleven.
const ANNOUNCED: Duration = Duration::from_secs(900);

/// Three of each kind, ours first.
pub const SIX: [Kind; 6] = [
    Kind::Ours,
    Kind::Reference,
    Kind::Ours,
    Kind::Reference,
    Kind::Ours,
    Kind::Reference,
];

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_02_three_of_each_kind_reach_normal_and_learn_all_peers_and_services() {
    let mut stage = Stage::new(&SIX);
    // Nobody is told of all: each of ours knows the reference's nodes alone, and each of these knows
    // all but one.
    for (index, others) in [
        (0, &[0, 1, 3, 5][..]),
        (1, &[0, 1, 2, 3, 5]),
        (2, &[1, 2, 3, 5]),
        (3, &[1, 2, 3, 4, 5]),
        (4, &[1, 3, 4, 5]),
        (5, &[0, 1, 3, 4, 5]),
    ] {
        stage.tell(index, others);
    }
    stage.start_all();
    stage.wait_normal();
    let mut keys: Vec<String> = stage
        .nodes
        .iter()
        .map(|node| node.plan.key().to_string())
        .collect();
    keys.sort();
    stage.all("all peers", ANNOUNCED, |node| node.peers() == keys);
    let mut services: Vec<String> = stage
        .nodes
        .iter()
        .map(|node| hex::encode(fingerprint_of(&node.plan.directory.join("rpc.crt")).unwrap()))
        .collect();
    services.sort();
    stage.all("all client services", ANNOUNCED, |node| {
        node.services() == services
    });
}
