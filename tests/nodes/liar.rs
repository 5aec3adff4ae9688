//! A peer that claims what it has not delays nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::listener::{Envelope, Reply};
use bitmarkd::shell::zmq::monitor::Event;
use bitmarkd::shell::zmq::receive::Received;
use bitmarkd::shell::zmq::requester::fresh_key;
use bitmarkd::shell::zmq::server::{Binding, Bound, Service};
use bitmarkd::shell::zmq::{Access, AccessThread, Context, Frames};

use crate::stage::Stage;

/// Registers everybody, claims the greatest height there is, and has no block.
struct Liar {
    replies: VecDeque<(usize, Frames)>,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    key: [u8; 32],
}

impl Service for Liar {
    fn message(&mut self, socket: usize, received: Received) {
        let mut frames = received.frames;
        let id = frames.remove(0);
        let Some((envelope, body)) = Envelope::split(frames) else {
            return;
        };
        let reply = match body[1].as_slice() {
            b"R" => {
                let other = bitmarkd::core::announce::Candidate {
                    key: self.key,
                    listeners: Vec::new(),
                    timestamp: 0,
                };
                Reply::registered(&DEVNET, &other)
            }
            b"N" => Reply::height(u64::MAX),
            // Not even an answer: the worst of all.
            b"B" | b"H" => {
                self.asked.store(true, Ordering::SeqCst);
                return;
            }
            command => Reply::acknowledge(command),
        };
        let mut out = vec![id];
        out.extend(envelope.around(reply.into_frames()));
        self.replies.push_back((socket, out));
    }
    fn woken(&mut self) {}
    fn event(&mut self, _: usize, _: Event) {}
    fn next_reply(&mut self) -> Option<(usize, Frames)> {
        self.replies.pop_front()
    }
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

#[test]
fn one_liar_among_three_honest_peers_delays_normal_by_less_than_ten_seconds() {
    let context = Context::new().unwrap();
    let _access = AccessThread::start(&context, Access::default()).unwrap();
    let key = fresh_key();
    let binding = Binding {
        name: "liar",
        key: &key,
        zap_domain: "listen",
        addresses: &["127.0.0.1:0".parse().unwrap()],
    };
    let (stop, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let liar = Liar {
        replies: VecDeque::new(),
        stop: Arc::clone(&stop),
        asked: Arc::clone(&asked),
        key: key.public_key().0,
    };
    let server = Bound::new(&context, &binding).unwrap().serve(liar).unwrap();

    let mut stage = Stage::new("devnet", 5);
    for index in 0..4 {
        stage.nodes[index].start();
    }
    for node in &stage.nodes[..4] {
        node.wait_status("mode Normal", |s| s["mode"] == "Normal");
    }
    // The fifth has the reference's own patience with answers, and the liar among its peers.
    stage.nodes[4].configure(|text| {
        let entry = format!(
            "\n[[peering.connect]]\npublic_key = \"{}\"\naddress = \"{}\"\n",
            key.public_key(),
            server.addresses[0]
        );
        text.replace("upstream_timeout_ms = 5000", "upstream_timeout_ms = 60000")
            .replace("\n[publishing]", &format!("{entry}\n[publishing]"))
    });
    let begin = Instant::now();
    stage.nodes[4].start();
    stage.nodes[4].wait_status("mode Normal", |s| s["mode"] == "Normal");
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    crate::stage::eventually("the liar was asked to prove it", || {
        asked.load(Ordering::SeqCst).then_some(())
    });
    stop.store(true, Ordering::SeqCst);
}
