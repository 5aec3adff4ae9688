//! The loops over real sockets on loopback.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::monitor::Event;
use super::outward::{News, Order, Outward, Publishing};
use super::receive::Received;
use super::server::{Binding, Bound, Server, Service};
use super::*;
use crate::core::keys::{PeerPrivateKey, PeerPublicKey};
use crate::shell::counters::Flow;

const WAIT: Duration = Duration::from_secs(20);

fn key(number: u8) -> PeerPrivateKey {
    PeerPrivateKey::from_bytes([number; 32])
}

/// Sends back what it gets, and tells what it saw.
struct Echo {
    replies: Vec<(usize, Frames)>,
    seen: Sender<Option<[u8; 32]>>,
    events: Sender<Event>,
    stop: Receiver<()>,
    over: bool,
}

impl Service for Echo {
    fn message(&mut self, socket: usize, received: Received) {
        let _ = self.seen.send(received.client);
        self.replies.push((socket, received.frames));
    }
    fn woken(&mut self) {
        self.over |= self.stop.try_recv().is_ok();
    }
    fn event(&mut self, _: usize, event: Event) {
        let _ = self.events.send(event);
    }
    fn next_reply(&mut self) -> Option<(usize, Frames)> {
        (!self.replies.is_empty()).then(|| self.replies.remove(0))
    }
    fn is_over(&self) -> bool {
        self.over
    }
}

struct Stage {
    context: Context,
    access: Access,
    _thread: AccessThread,
    server: Server,
    bytes: Flow,
    stop: Sender<()>,
    seen: Receiver<Option<[u8; 32]>>,
    events: Receiver<Event>,
}

impl Stage {
    fn new(addresses: &[&str]) -> Self {
        let context = Context::new().unwrap();
        let access = Access::default();
        let thread = AccessThread::start(&context, access.clone()).unwrap();
        let addresses: Vec<SocketAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let bound = Bound::new(
            &context,
            &Binding {
                name: "listener",
                key: &key(1),
                zap_domain: "listen",
                addresses: &addresses,
            },
        )
        .unwrap();
        let bytes = bound.bytes.clone();
        let (tell_seen, seen) = unbounded();
        let (tell_event, events) = unbounded();
        let (stop, stopped) = unbounded();
        let server = bound
            .serve(Echo {
                replies: Vec::new(),
                seen: tell_seen,
                events: tell_event,
                stop: stopped,
                over: false,
            })
            .unwrap();
        Self {
            context,
            access,
            _thread: thread,
            server,
            bytes,
            stop,
            seen,
            events,
        }
    }

    fn dial(&self, own: u8, server: &PeerPublicKey, address: usize) -> (Outward, Receiver<News>) {
        let (tell, news) = unbounded();
        let publishing = Publishing {
            key: &key(own),
            zap_domain: "broadcaster",
            addresses: &[],
        };
        let name = format!("outward-{own}");
        let outward = Outward::start(&self.context, key(own), &publishing, &name, move |n| {
            let _ = tell.send(n);
        })
        .unwrap();
        let address = self.server.addresses[address];
        outward.orders().give(Order::Dial(7, *server, address));
        (outward, news)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.stop.send(());
    }
}

#[test]
fn a_request_comes_back_over_both_families_and_tells_whose_it_was() {
    let stage = Stage::new(&["127.0.0.1:0", "[::1]:0"]);
    for (address, own) in [(0, 2), (1, 3)] {
        let (outward, news) = stage.dial(own, &key(1).public_key(), address);
        let frames = vec![b"devnet".to_vec(), b"N".to_vec()];
        outward.orders().give(Order::Request(7, frames.clone()));
        assert_eq!(news.recv_timeout(WAIT), Ok(News::Received(7, frames)));
        let seen = stage.seen.recv_timeout(WAIT).unwrap();
        assert_eq!(seen, Some(key(own).public_key().0));
    }
}

#[test]
fn the_monitor_counts_who_is_connected() {
    let stage = Stage::new(&["127.0.0.1:0"]);
    let (mut outward, news) = stage.dial(2, &key(1).public_key(), 0);
    outward
        .orders()
        .give(Order::Request(7, vec![b"x".to_vec()]));
    news.recv_timeout(WAIT).unwrap();
    assert_eq!(stage.server.connections.get(), 1);
    outward.stop();
    let gone = |event: Event| event == Event::Disconnected;
    while !gone(stage.events.recv_timeout(WAIT).expect("it is seen to go")) {}
    assert_eq!(stage.server.connections.get(), 0);
    assert_eq!(stage.server.connections.accepted(), 1);
    assert_eq!(stage.server.connections.failed(), 0);
}

#[test]
fn a_wrong_server_key_and_a_key_that_is_not_allowed_are_met_with_silence() {
    let stage = Stage::new(&["127.0.0.1:0"]);
    stage.access.allow("listen", [key(2).public_key()]);
    let (wrong, silence) = stage.dial(4, &key(9).public_key(), 0);
    wrong.orders().give(Order::Request(7, vec![b"x".to_vec()]));
    let (stranger, more_silence) = stage.dial(3, &key(1).public_key(), 0);
    stranger
        .orders()
        .give(Order::Request(7, vec![b"x".to_vec()]));
    while stage.events.recv_timeout(WAIT).expect("a handshake fails") != Event::HandshakeFailed {}
    assert!(stage.server.connections.failed() > 0);
    let (friend, news) = stage.dial(2, &key(1).public_key(), 0);
    friend.orders().give(Order::Request(7, vec![b"x".to_vec()]));
    assert_eq!(
        news.recv_timeout(WAIT),
        Ok(News::Received(7, vec![b"x".to_vec()]))
    );
    assert!(silence.try_recv().is_err() && more_silence.try_recv().is_err());
}

#[test]
fn bytes_are_counted_at_both_ends_of_a_request_and_those_that_are_dropped_too() {
    let stage = Stage::new(&["127.0.0.1:0"]);
    let (outward, news) = stage.dial(2, &key(1).public_key(), 0);
    let ask = |frames: Frames| {
        outward.orders().give(Order::Request(7, frames));
        news.recv_timeout(WAIT).unwrap()
    };
    // A reply may be here before it is counted there.
    let served = |received: u64, sent: u64| {
        let begin = Instant::now();
        while (stage.bytes.received(), stage.bytes.sent()) != (received, sent) {
            assert!(begin.elapsed() < WAIT, "{:?}", stage.bytes);
            std::thread::yield_now();
        }
    };
    ask(vec![b"devnet".to_vec(), b"N".to_vec()]);
    let requests = &outward.bytes.requests;
    assert_eq!((requests.sent(), requests.received()), (7, 7));
    // The library puts the number of the request, of four bytes, in front of it.
    served(7 + 4, 7 + 4);
    // Routing id, number and delimiter are three of the frames that are kept.
    let kept = u64::try_from(receive::MAX_FRAMES - 3).unwrap();
    ask(vec![b"x".to_vec(); 100]);
    assert_eq!((requests.sent(), requests.received()), (107, 7 + kept));
    served(107 + 8, 7 + kept + 8);
    let others = [&outward.bytes.subscriptions, &outward.bytes.publisher];
    assert!(others.iter().all(|flow| flow.sent() + flow.received() == 0));
}

#[test]
fn a_banned_key_is_kept_out_until_its_time() {
    let access = Access::default();
    let key = key(5).public_key();
    assert!(access.admits("listen", &key));
    access.ban(key, u64::MAX);
    assert!(!access.admits("listen", &key));
    access.ban(key, 1);
    assert!(access.admits("listen", &key));
}

#[test]
fn a_frame_over_the_limit_costs_its_sender_alone() {
    let stage = Stage::new(&["127.0.0.1:0"]);
    let (large, news) = stage.dial(2, &key(1).public_key(), 0);
    large
        .orders()
        .give(Order::Request(7, vec![vec![1; 4_999_967]]));
    let News::Received(_, frames) = news.recv_timeout(WAIT).unwrap() else {
        panic!("the largest frame is answered");
    };
    assert_eq!(frames[0].len(), 4_999_967);
    large
        .orders()
        .give(Order::Request(7, vec![vec![1; 4_999_968]]));
    while stage.events.recv_timeout(WAIT).expect("it is cut off") != Event::Disconnected {}
    let (other, news) = stage.dial(3, &key(1).public_key(), 0);
    other.orders().give(Order::Request(7, vec![b"x".to_vec()]));
    assert_eq!(
        news.recv_timeout(WAIT),
        Ok(News::Received(7, vec![b"x".to_vec()]))
    );
}

#[test]
fn what_is_published_reaches_a_subscriber() {
    let context = Context::new().unwrap();
    let _access = AccessThread::start(&context, Access::default()).unwrap();
    let (tell, _news) = unbounded();
    let addresses = ["[::1]:0".parse().unwrap()];
    let publishing = Publishing {
        key: &key(1),
        zap_domain: "broadcaster",
        addresses: &addresses,
    };
    let publisher = Outward::start(&context, key(1), &publishing, "publisher", move |n| {
        let _ = tell.send(n);
    })
    .unwrap();
    let (tell, news) = unbounded();
    let silent = Publishing {
        addresses: &[],
        ..publishing
    };
    let subscriber = Outward::start(&context, key(2), &silent, "subscriber", move |n| {
        let _ = tell.send(n);
    })
    .unwrap();
    let order = Order::Subscribe(1, key(1).public_key(), publisher.publishing[0]);
    subscriber.orders().give(order);
    assert_eq!(news.recv_timeout(WAIT), Ok(News::Connected(1)));
    // The subscription itself follows the handshake by an unknown moment.
    let message = vec![b"devnet".to_vec(), b"heart".to_vec(), b"beat".to_vec()];
    let begin = Instant::now();
    loop {
        publisher.orders().give(Order::Publish(message.clone()));
        if let Ok(got) = news.recv_timeout(Duration::from_millis(50)) {
            assert_eq!(got, News::Received(1, message));
            // Each message has 15 bytes; who came too late for the first ones got fewer.
            let heard = subscriber.bytes.subscriptions.received();
            assert_eq!(heard % 15, 0);
            assert!(15 <= heard, "{heard}");
            // What was sent is counted a moment after it left.
            while publisher.bytes.publisher.sent() < heard {
                assert!(begin.elapsed() < WAIT);
                std::thread::yield_now();
            }
            assert_eq!(publisher.bytes.publisher.sent() % 15, 0);
            break;
        }
        assert!(begin.elapsed() < WAIT);
    }
}

/// Answers `big` with more bytes than are kept, and all else with itself.
struct Heavy(Vec<(usize, Frames)>, Receiver<()>);

impl Service for Heavy {
    fn message(&mut self, socket: usize, received: Received) {
        let mut frames = received.frames;
        if frames.last().is_some_and(|last| last == b"big") {
            frames.extend([vec![0; 2_600_000], vec![0; 2_600_000]]);
        }
        self.0.push((socket, frames));
    }
    fn woken(&mut self) {}
    fn event(&mut self, _: usize, _: Event) {}
    fn next_reply(&mut self) -> Option<(usize, Frames)> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }
    fn is_over(&self) -> bool {
        self.1.try_recv().is_ok()
    }
}

#[test]
fn each_of_several_requests_under_way_has_its_own_answer_and_one_too_large_is_a_fault() {
    let context = Context::new().unwrap();
    let _thread = AccessThread::start(&context, Access::default()).unwrap();
    let binding = Binding {
        name: "heavy",
        key: &key(1),
        zap_domain: "listen",
        addresses: &["127.0.0.1:0".parse().unwrap()],
    };
    let (stop, stopped) = unbounded();
    let server = Bound::new(&context, &binding)
        .unwrap()
        .serve(Heavy(Vec::new(), stopped))
        .unwrap();
    let (tell, news) = unbounded();
    let publishing = Publishing {
        key: &key(2),
        zap_domain: "broadcaster",
        addresses: &[],
    };
    let outward = Outward::start(&context, key(2), &publishing, "several", move |n| {
        let _ = tell.send(n);
    })
    .unwrap();
    let orders = outward.orders();
    orders.give(Order::Dial(7, key(1).public_key(), server.addresses[0]));
    for request in ["one", "two", "big", "three"] {
        orders.give(Order::Request(7, vec![request.as_bytes().to_vec()]));
    }
    let mut told = Vec::new();
    while told.len() < 4 {
        match news.recv_timeout(WAIT).unwrap() {
            News::Received(7, frames) => told.push(String::from_utf8(frames.concat()).unwrap()),
            News::Failed(7, why) => told.push(why),
            _ => {}
        }
    }
    assert_eq!(told, ["one", "two", "a reply that is too large", "three"]);
    let _ = stop.send(());
}
