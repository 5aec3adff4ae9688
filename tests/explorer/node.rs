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
