//! Halves that mined apart agree again, and nobody's records are lost.

use serde_json::json;

use crate::stage::Stage;

#[test]
fn two_halves_that_mined_apart_agree_and_the_losing_sides_records_come_back() {
    let mut stage = Stage::new("devnet", 4);
    // Each half knows itself alone, and one neighbour is enough for it.
    for index in 0..4 {
        stage.know_alone(index, index ^ 1);
    }
    for node in &mut stage.nodes {
        node.start();
    }
    stage.wait_normal();
    stage.mine_at(0);
    stage.mine_at(2);
    let losing = stage.create(0, "of the shorter branch", true);
    let mut winning = Vec::new();
    for number in 0..3 {
        winning.push(stage.create(2, &format!("of the longer branch {number}"), true));
    }
    assert_eq!(stage.nodes[1].height(), 2);
    assert!(stage.nodes[3].height() >= 4);

    for (from, to) in [(0, 2), (1, 3), (2, 0), (3, 1)] {
        let other = &stage.nodes[to].plan;
        let order = json!({
            "command": "connect",
            "key": other.key(),
            "address": format!("127.0.0.1:{}", other.peer4),
        });
        stage.nodes[from]
            .control(&order)
            .expect("it is told to connect");
    }
    stage.wait_agreement(4);
    // The shorter branch's records went back to the pool, and into a later block.
    for node in 0..4 {
        stage.wait_transaction(node, &losing, "Confirmed");
        for id in &winning {
            stage.wait_transaction(node, id, "Confirmed");
        }
    }
    stage.wait_agreement(5);
}
