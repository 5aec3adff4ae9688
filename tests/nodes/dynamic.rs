//! Networks that find each other.

use crate::stage::Stage;

/// Nodes of which each knows the first alone.
fn with_one_seed(count: usize) -> Stage {
    let stage = Stage::new("devnet", count);
    let seed = &stage.nodes[0].plan;
    let entry = format!(
        "\n[[peering.connect]]\npublic_key = \"{}\"\naddress = \"127.0.0.1:{}\"\n",
        seed.key(),
        seed.peer4
    );
    for (index, node) in stage.nodes.iter().enumerate() {
        std::fs::remove_file(node.plan.directory.join("peers.json")).unwrap();
        if index > 0 {
            node.configure(|text| {
                text.replace("\n[publishing]", &format!("{entry}\n[publishing]"))
            });
        }
    }
    stage
}

fn all_become_normal(mut stage: Stage) {
    for node in &mut stage.nodes {
        node.start();
    }
    stage.wait_normal();
    for node in &stage.nodes {
        node.wait_status("three upstreams", |s| s["upstreams"].as_u64() >= Some(3));
    }
}

#[test]
fn four_dynamic_nodes_reach_normal() {
    all_become_normal(with_one_seed(4));
}

#[test]
fn six_dynamic_nodes_reach_normal() {
    all_become_normal(with_one_seed(6));
}

#[test]
fn the_first_node_that_dials_a_lone_seed_starts() {
    let mut stage = with_one_seed(2);
    for node in &mut stage.nodes {
        node.start();
    }
    stage.nodes[1].wait_status("the seed", |s| s["upstreams"].as_u64() >= Some(1));
}

#[test]
fn a_node_with_three_static_peers_is_normal_in_the_time_of_its_cycles() {
    let mut stage = Stage::new("devnet", 4);
    let mut entries = String::new();
    for node in &stage.nodes[1..] {
        let plan = &node.plan;
        entries.push_str(&format!(
            "\n[[peering.connect]]\npublic_key = \"{}\"\naddress = \"[::1]:{}\"\n",
            plan.key(),
            plan.peer6
        ));
    }
    std::fs::remove_file(stage.nodes[0].plan.directory.join("peers.json")).unwrap();
    stage.nodes[0].configure(|text| {
        text.replace("\n[publishing]", &format!("{entries}\n[publishing]"))
            .replace(
                "private_key = \"peer.private\"\nprefer",
                "private_key = \"peer.private\"\ndynamic_connections = false\nprefer",
            )
    });
    for node in &mut stage.nodes {
        node.start();
    }
    let status = stage.nodes[0].wait_status("mode Normal", |s| s["mode"] == "Normal");
    assert_eq!(status["upstreams"], 3);
}

#[test]
fn a_peer_that_stops_is_noticed_and_the_node_stays_normal() {
    let mut stage = Stage::normal("devnet", 4);
    stage.nodes[3].kill();
    for node in &stage.nodes[..3] {
        let status = node.wait_status("two upstreams", |s| s["upstreams"] == 2);
        assert_eq!(status["mode"], "Normal");
    }
    stage.nodes[3].start();
    for node in &stage.nodes[..3] {
        node.wait_status("three upstreams", |s| s["upstreams"] == 3);
    }
}
