//! A node that only listens to a publisher.

use crate::stage::Stage;

/// Four nodes and a fifth that subscribes to the first and has no upstream.
fn with_listener() -> Stage {
    let mut stage = Stage::new("devnet", 5);
    let first = &stage.nodes[0].plan;
    let entry = format!(
        "\n[[subscribing.connect]]\npublic_key = \"{}\"\naddress = \"127.0.0.1:{}\"\n",
        first.key(),
        first.publish4
    );
    let listener = &stage.nodes[4];
    std::fs::remove_file(listener.plan.directory.join("peers.json")).unwrap();
    listener.configure(|text| {
        text.replace("[timing]\n", "[timing]\nminimum_upstreams = 0\n")
            .replace(
                "private_key = \"peer.private\"\nprefer",
                "private_key = \"peer.private\"\ndynamic_connections = false\nprefer",
            )
            .replace("\n[proofing]", &format!("{entry}\n[proofing]"))
    });
    for node in &mut stage.nodes {
        node.start();
    }
    stage.wait_normal();
    stage.mine_at(0);
    stage
}

#[test]
fn subscriptions_alone_bring_records_and_blocks() {
    let stage = with_listener();
    let status = stage.nodes[4].wait_status("a heart beat", |s| s["subscriptions"] == 1);
    assert_eq!(status["upstreams"], 0);
    // The subscription may be a moment younger than the first news.
    stage.create(1, "the first", true);
    let height = stage.nodes[0].height();
    stage.nodes[4].wait_status("the block", |s| s["height"].as_u64() >= Some(height));
}

#[test]
fn a_publisher_that_vanishes_is_heard_again_when_it_is_back() {
    let mut stage = with_listener();
    stage.create(1, "before", true);
    let height = stage.nodes[0].height();
    stage.nodes[4].wait_status("the block", |s| s["height"].as_u64() >= Some(height));
    stage.nodes[0].kill();
    stage.nodes[0].start();
    stage.nodes[0].wait_status("mode Normal", |s| s["mode"] == "Normal");
    // Heart beats come every five seconds; after ten without, it connects anew.
    let peers = |s: &Stage| {
        s.nodes[4]
            .control(&serde_json::json!({"command": "peers"}))
            .map_or(0, |p| p["publishers"][0]["messages"].as_u64().unwrap())
    };
    let before = peers(&stage);
    crate::stage::eventually("news after the return", || {
        (peers(&stage) > before).then_some(())
    });
    stage.create(1, "after", true);
    let height = stage.nodes[0].height();
    stage.nodes[4].wait_status("the next block", |s| s["height"].as_u64() >= Some(height));
}
