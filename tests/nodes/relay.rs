//! News travel: to peers and subscribers, once.

use std::time::Duration;

use bitmarkd::core::keys::{PeerPrivateKey, PrivateKey};
use bitmarkd::core::record::{self, AssetData, Record};
use bitmarkd::shell::zmq::outward::{News, Order, Outward, Publishing};
use bitmarkd::shell::zmq::requester::fresh_key;
use bitmarkd::shell::zmq::{Context, Frames};
use crossbeam_channel::{Receiver, unbounded};

use crate::stage::{Asker, PATIENCE, Stage, eventually};

/// Everything that a node publishes.
struct Listener {
    news: Receiver<News>,
    _outward: Outward,
    _context: Context,
}

impl Listener {
    /// Subscribes and waits for the first message, so that none is missed afterwards.
    fn new(stage: &Stage, node: usize) -> Self {
        Self::with_key(stage, node, &fresh_key())
    }

    fn with_key(stage: &Stage, node: usize, key: &PeerPrivateKey) -> Self {
        let context = Context::new().unwrap();
        let (tell, news) = unbounded();
        let nothing = Publishing {
            key,
            zap_domain: "broadcaster",
            addresses: &[],
        };
        let outward = Outward::start(&context, key.clone(), &nothing, "listener", move |item| {
            let _ = tell.send(item);
        })
        .unwrap();
        let plan = &stage.nodes[node].plan;
        let address = format!("127.0.0.1:{}", plan.publish4).parse().unwrap();
        outward
            .orders()
            .give(Order::Subscribe(1, plan.key(), address));
        let listener = Self {
            news,
            _outward: outward,
            _context: context,
        };
        listener.wait(|_| true);
        listener
    }

    /// The next message that fits.
    fn wait(&self, fits: impl Fn(&Frames) -> bool) -> Frames {
        loop {
            match self.news.recv_timeout(PATIENCE).expect("a message") {
                News::Received(_, frames) if fits(&frames) => return frames,
                _ => {}
            }
        }
    }

    /// What came within a moment, of this command.
    fn drain(&self, command: &[u8]) -> usize {
        let mut count = 0;
        while let Ok(item) = self.news.recv_timeout(Duration::from_millis(500)) {
            if let News::Received(_, frames) = item {
                count += usize::from(frames[1] == command);
            }
        }
        count
    }
}

fn asset(fingerprint: &str) -> Vec<u8> {
    let key = PrivateKey::from_ed25519_seed(&[3; 32], true);
    let mut asset = Record::AssetData(AssetData {
        name: b"news".to_vec(),
        fingerprint: fingerprint.as_bytes().to_vec(),
        metadata: Vec::new(),
        registrant: key.account().unwrap(),
        signature: Vec::new(),
    });
    record::sign(&mut asset, &key).unwrap()
}

#[test]
fn what_is_new_is_relayed_once_to_peers_and_subscribers() {
    let stage = Stage::normal("devnet", 4);
    let (near, far) = (Listener::new(&stage, 0), Listener::new(&stage, 3));
    let asker = Asker::new(&stage.nodes[0], "devnet");
    let (first, second) = (asset("first"), asset("second"));
    asker.ask("assets", &[&first, b"not relayed"]).unwrap();
    let expected = vec![b"devnet".to_vec(), b"assets".to_vec(), first.clone()];
    let is_assets = |frames: &Frames| frames[1] == b"assets";
    assert_eq!(near.wait(is_assets), expected);
    assert_eq!(far.wait(is_assets), expected);
    // Known alone is not relayed; beside something new it is.
    asker.ask("assets", &[&first]).unwrap();
    assert_eq!(near.drain(b"assets"), 0);
    let both = [first, second.clone()].concat();
    asker.ask("assets", &[&both]).unwrap();
    assert_eq!(near.wait(is_assets)[2], both);
    // Between nodes of our kind each asset goes once.
    assert_eq!(far.wait(is_assets)[2], second);
    asker.ask("hello", &[b"x"]).unwrap();
    asker.ask("proof", &[&[0; 56]]).unwrap();
    asker.ask("transfer", &[&both]).unwrap();
    assert_eq!(near.drain(b"hello") + near.drain(b"proof"), 0);
    assert_eq!(far.drain(b"assets"), 0);
}

#[test]
fn a_subscriber_that_is_banned_hears_no_more() {
    let stage = Stage::normal("devnet", 4);
    let key = fresh_key();
    let banned = Listener::with_key(&stage, 0, &key);
    let other = Listener::new(&stage, 0);
    let ban = serde_json::json!({"command": "ban", "key": key.public_key(), "seconds": 600});
    stage.nodes[0].control(&ban).unwrap();
    banned.drain(b"assets");
    let asker = Asker::new(&stage.nodes[0], "devnet");
    // The others connect again.
    let mut number = 0;
    eventually("news", || {
        number += 1;
        asker.ask("assets", &[&asset(&format!("after {number}"))])?;
        (other.drain(b"assets") > 0).then_some(())
    });
    assert_eq!(banned.drain(b"assets"), 0);
}

#[test]
fn an_idle_publisher_shows_that_it_lives() {
    let mut stage = Stage::new("devnet", 1);
    stage.nodes[0].configure(|text| {
        text.replace("heartbeat_ms = 5000", "heartbeat_ms = 200")
            .replace(
                "announce_initial_ms = 1000",
                "announce_initial_ms = 3600000",
            )
    });
    stage.nodes[0].start();
    stage.nodes[0].wait_status("an answer", |_| true);
    let listener = Listener::new(&stage, 0);
    for _ in 0..3 {
        let beat = listener.wait(|_| true);
        assert_eq!(
            beat,
            [b"devnet".to_vec(), b"heart".to_vec(), b"beat".to_vec()]
        );
    }
}

#[test]
fn a_block_is_published_after_it_was_stored() {
    let mut stage = Stage::normal("devnet", 4);
    let listener = Listener::new(&stage, 2);
    stage.mine_at(0);
    stage.create(1, "published", false);
    let frames = listener.wait(|frames| frames[1] == b"block");
    let (header, _) = bitmarkd::core::block::Header::unpack(&frames[2]).unwrap();
    assert_eq!(header.number, 2);
    let asker = Asker::new(&stage.nodes[2], "devnet");
    let stored = asker.ask("B", &[&2_u64.to_be_bytes()]).unwrap();
    assert_eq!(stored, [b"B".to_vec(), frames[2].clone()]);
}
