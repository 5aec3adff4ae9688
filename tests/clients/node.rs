//! The services of a whole node: the configuration, the node and the sockets joined.

use std::net::SocketAddr;
use std::time::SystemTime;

use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::node::Node;
use bitmarkd::shell::files::config::{Config, Variables};
use serde_json::Value;
use tempfile::TempDir;

use super::speaker::{Client, tcp};
use super::stage::eventually;

/// A node's folder, with services for clients and without their certificate.
pub fn prepared() -> (TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let mut ports = Ports::default();
    let plan = Plan::new(folder.path(), "n1", &mut ports).unwrap();
    let (four, six) = (ports.take("127.0.0.1").unwrap(), ports.take("::1").unwrap());
    let https = ports.take("127.0.0.1").unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let plans = std::slice::from_ref(&plan);
    make::write_node(&plan, plans, "devnet", now.unwrap().as_secs()).unwrap();
    ports.release();
    let file = plan.directory.join("bitmarkd.toml");
    let mut config = Config::load(&file, &Variables::default()).unwrap();
    let listen = |text: String| text.try_into().unwrap();
    config.client_rpc.listen = vec![
        // Nobody has this address: it is logged, and the others run.
        listen("192.0.2.1:2130".to_owned()),
        listen(format!("127.0.0.1:{four}")),
        listen(format!("[::1]:{six}")),
    ];
    config.https_rpc.listen = vec![listen(format!("127.0.0.1:{https}"))];
    config.https_rpc.allow.details = vec!["127.0.0.1".parse().unwrap()];
    config.https_rpc.allow.peers.clear();
    (folder, config)
}

/// Over HTTPS; `start` is the start of the head.
pub fn ask(node: &Node, start: &str, body: &str) -> String {
    let mut client = Client::new(node.bindings.https[0], &[]).unwrap();
    client.send(format!("{start}Host: a\r\nConnection: close\r\n\r\n{body}"));
    String::from_utf8(client.rest()).unwrap()
}

pub fn get(node: &Node, path: &str) -> String {
    ask(node, &format!("GET {path} HTTP/1.1\r\n"), "")
}

#[test]
fn a_node_answers_its_clients_over_tls_and_https() {
    let (_folder, config) = prepared();
    let mut node = Node::start(&config, None, None).unwrap();
    assert_eq!((node.bindings.rpc.len(), node.bindings.https.len()), (2, 1));
    let bare: Vec<_> = node.bindings.rpc.iter().copied().map(tcp).collect();
    let client = |address: &SocketAddr| Client::new(*address, &[]).unwrap();
    let mut kept: Vec<_> = node.bindings.rpc.iter().map(client).collect();
    for client in &mut kept {
        assert!(client.ask("{\"method\":\"A.B\"}").contains("A.B"));
    }
    for address in &node.bindings.rpc {
        let mut client = Client::new(*address, &[]).unwrap();
        let reply = client.ask("{\"id\":\"a\",\"method\":\"Node.Info\",\"params\":[{}]}");
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["id"], "a");
        assert_eq!(reply["result"]["chain"], "devnet");
        // Those without a handshake have no place.
        assert_eq!(reply["result"]["rpcs"], 3, "{reply}");
        let reply = client.ask("{\"id\":1,\"method\":\"Node.Nothing\",\"params\":[{}]}");
        let error = "rpc: can't find method Node.Nothing";
        assert!(reply.contains(error), "{reply}");
        let reply = client.ask("{\"id\":1,\"method\":7}");
        assert!(reply.starts_with("{\"id\":null,"), "{reply}");
        assert!(client.is_ended());
        drop(client);
        eventually("it has gone", || {
            let reply = kept[0].ask("{\"method\":\"Node.Info\",\"params\":[{}]}");
            let reply: Value = serde_json::from_str(&reply).unwrap();
            reply["result"]["rpcs"] == 2
        });
    }
    drop((bare, kept));
    let details = get(&node, "/bitmarkd/details");
    let (head, body) = details.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{details}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["chain"], "devnet");
    // The reference drops the connection here, and over TCP its process ends.
    let body =
        "{\"id\":1,\"method\":\"Owner.Bitmarks\",\"params\":[{\"start\":\"0\",\"count\":1}]}";
    let reply = ask(
        &node,
        &format!(
            "POST /bitmarkd/rpc HTTP/1.1\r\nContent-Length: {}\r\n",
            body.len()
        ),
        body,
    );
    let error = "{\"id\":1,\"result\":null,\"error\":\"invalid item\"}\n";
    assert!(reply.ends_with(error), "{reply}");
    assert!(get(&node, "/bitmarkd/peers").starts_with("HTTP/1.1 403 "));
    let mut client = Client::new(node.bindings.rpc[0], &[]).unwrap();
    node.stop();
    assert!(client.is_ended());
}

#[test]
fn a_node_without_the_certificate_says_what_to_do() {
    let (_folder, config) = prepared();
    std::fs::remove_file(&config.client_rpc.certificate).unwrap();
    let error = Node::start(&config, None, None).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.starts_with("client_rpc.certificate: "), "{text}");
    assert!(text.contains("rpc.crt: no such file"), "{text}");
    assert!(text.contains("`bitmarkd gen-rpc-cert`"), "{text}");
}

#[test]
fn a_node_whose_explorer_lacks_its_certificate_or_has_another_file_says_so_and_does_not_start() {
    let (folder, mut config) = prepared();
    let missing = folder.path().join("explorer.crt");
    config.explorer.certificate = Some(missing.clone());
    config.explorer.private_key = Some(config.client_rpc.private_key.clone());
    assert!(!config.explorer.listen.is_empty());
    let start = |config: &Config| {
        let error = Node::start(config, None, None).unwrap_err();
        format!("{error:#}")
    };
    let text = start(&config);
    assert!(text.starts_with("explorer.certificate: "), "{text}");
    assert!(text.contains("explorer.crt: no such file"), "{text}");
    std::fs::write(&missing, "").unwrap();
    let text = start(&config);
    assert!(
        text.contains("explorer.crt: no certificate in this file"),
        "{text}"
    );
    // Without a listener nobody needs them.
    config.explorer.listen.clear();
    Node::start(&config, None, None).unwrap().stop();
}
