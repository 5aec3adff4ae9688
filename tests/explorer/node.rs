//! A node that is alone: it is alive and not ready, and shows what it has.

use crate::http::get;
use crate::stage::Stage;

#[test]
fn a_lone_node_is_alive_and_not_ready_and_shows_genesis() {
    let mut stage = Stage::new("devnet", 1);
    stage.nodes[0].start();
    stage.nodes[0].wait_status("a status", |status| status["height"] == 1);
    let at = format!("127.0.0.1:{}", stage.nodes[0].plan.explorer);
    crate::stage::eventually("the explorer", || std::net::TcpStream::connect(&at).ok());
    let network = std::fs::read_to_string(stage.folder().join("nodes.json")).unwrap();
    assert!(network.contains(&format!("\"explorer\":\"{at}\"")));
    // Its services for clients are where the file says.
    let plan = &stage.nodes[0].plan;
    let rpc = [
        format!("127.0.0.1:{}", plan.rpc4),
        format!("[::1]:{}", plan.rpc6),
    ];
    let https = format!("127.0.0.1:{}", plan.https);
    assert!(network.contains(&format!("\"rpc\":{}", serde_json::json!(rpc))));
    assert!(network.contains(&format!("\"https\":\"{https}\"")));
    for service in rpc.iter().chain([&https]) {
        std::net::TcpStream::connect(service).expect(service);
    }

    assert_eq!(get(&at, "/healthz").status, 200);
    let ready = get(&at, "/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.body, "not ready: catching up, block 1 of 1\n");
    let overview = get(&at, "/api/overview").json();
    assert_eq!(overview["mode"], "Resynchronise");
    assert_eq!(overview["chain"], "devnet");
    let blocks = get(&at, "/api/blocks").json();
    assert_eq!(blocks["blocks"][0]["number"], 1);
    assert_eq!(get(&at, "/api/blocks/newest").json()["number"], 1);
    assert_eq!(get(&at, "/api/blocks/2").status, 404);
    assert_eq!(
        get(&at, "/api/search?text=1").json()["found"][0]["number"],
        1
    );
    assert_eq!(get(&at, "/api/pending").json()["pending"], 0);
    let own = stage.nodes[0].plan.key().to_string();
    assert_eq!(get(&at, "/api/peers").json()["own"], own);
    let metrics = get(&at, "/metrics");
    assert!(
        metrics.body.contains("\nbitmarkd_height 1\n"),
        "{}",
        metrics.body
    );
    assert!(metrics.body.contains("\nbitmarkd_mode_normal 0\n"));
    assert!(!metrics.body.contains("\nbitmarkd_store_bytes 0\n"));
    stage.nodes[0].stop();
}

#[test]
fn nodes_that_are_connected_count_what_they_send_each_other() {
    let mut stage = Stage::new("devnet", 4);
    let other = &stage.nodes[1].plan;
    let entry = format!(
        "\n[[subscribing.connect]]\npublic_key = \"{}\"\naddress = \"127.0.0.1:{}\"\n",
        other.key(),
        other.publish4
    );
    // The test network's nodes are connected without subscriptions.
    stage.nodes[0].configure(|text| text.replace("\n[proofing]", &format!("{entry}\n[proofing]")));
    for node in &mut stage.nodes {
        node.start();
    }
    stage.wait_normal();
    stage.mine_at(0);
    let at = format!("127.0.0.1:{}", stage.nodes[0].plan.explorer);
    stage.create(0, "counted", true);
    let wanted = [
        "bitmarkd_received_bytes_total{socket=\"listener\"}",
        "bitmarkd_sent_bytes_total{socket=\"listener\"}",
        "bitmarkd_received_bytes_total{socket=\"outgoing\"}",
        "bitmarkd_sent_bytes_total{socket=\"outgoing\"}",
        "bitmarkd_received_bytes_total{socket=\"subscriptions\"}",
        "bitmarkd_sent_bytes_total{socket=\"publisher\"}",
        "bitmarkd_sent_bytes_total{socket=\"work\"}",
        "bitmarkd_received_bytes_total{socket=\"submission\"}",
        "bitmarkd_sent_bytes_total{socket=\"submission\"}",
        "bitmarkd_peer_connections",
        "bitmarkd_peer_requests_total{command=\"R\",result=\"answered\"}",
        "bitmarkd_peer_requests_total{command=\"N\",result=\"answered\"}",
        "bitmarkd_peer_requests_total{command=\"OVL1\",result=\"answered\"}",
    ];
    let mut metrics = String::new();
    for name in wanted {
        crate::stage::eventually(name, || {
            metrics = get(&at, "/metrics").body;
            let sample = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
            metrics
                .lines()
                .find_map(sample)
                .filter(|value: &u64| *value > 0)
        });
    }
    // What only one direction can have.
    for line in [
        "bitmarkd_received_bytes_total{socket=\"publisher\"} 0",
        "bitmarkd_received_bytes_total{socket=\"work\"} 0",
        "bitmarkd_sent_bytes_total{socket=\"subscriptions\"} 0",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}");
    }
    stage.nodes[0].stop();
}
