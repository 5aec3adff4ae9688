//! A network of one address family alone.

use crate::stage::Stage;

#[test]
fn a_network_on_ipv6_alone_is_normal_and_confirms() {
    let mut stage = Stage::new("devnet", 4);
    for node in &stage.nodes {
        let plan = &node.plan;
        node.configure(|text| {
            text.replace(&format!("\"127.0.0.1:{}\", ", plan.peer4), "")
                .replace(&format!("\"127.0.0.1:{}\", ", plan.publish4), "")
                .replace("prefer_ipv6 = false", "prefer_ipv6 = true")
        });
    }
    for node in &mut stage.nodes {
        node.start();
    }
    stage.wait_normal();
    let text = std::fs::read_to_string(stage.nodes[0].config()).unwrap();
    assert!(!text.contains(&format!("127.0.0.1:{}", stage.nodes[0].plan.peer4)));
    stage.mine_at(0);
    let plan = &stage.nodes[1].plan;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
        .args(["--json", "peer", "info", "--chain", "devnet"])
        .args(["--connect", &format!("[::1]:{}", plan.peer6)])
        .args(["--server-key", &plan.key().to_string()])
        .output()
        .unwrap();
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(info["normal"], true);
    let peers = stage.nodes[2]
        .control(&serde_json::json!({"command": "peers"}))
        .unwrap();
    for upstream in peers["upstreams"].as_array().unwrap() {
        assert!(upstream["address"].as_str().unwrap().starts_with("[::1]:"));
    }
}
