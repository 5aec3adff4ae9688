//! A node that was off catches up.

use crate::stage::Stage;

#[test]
fn a_node_that_was_off_has_every_block_soon_after_it_is_back() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    stage.nodes[3].stop();
    for number in 0..3 {
        stage.create(1, &format!("while it was off {number}"), true);
    }
    let height = stage.nodes[0].height();
    assert!(height >= 4);
    stage.nodes[3].start();
    stage.nodes[3].wait_status("the height of the others", |s| {
        s["mode"] == "Normal" && s["height"].as_u64() >= Some(height)
    });
    stage.wait_agreement(height);
}
