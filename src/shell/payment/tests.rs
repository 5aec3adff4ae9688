//! Both modes against stand-ins that speak the real formats over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use serde_json::{Value, json};

use super::*;
use crate::core::currency::Currency;
use crate::core::id::PayId;
use crate::core::payment::Timing;
use crate::shell::counters::Health;
use crate::shell::zmq::Context;

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

fn sink() -> (Sink, Receiver<SeenPayment>) {
    let (sender, seen) = unbounded();
    let sink = Box::new(move |payment| {
        let _ = sender.send(payment);
    });
    (sink, seen)
}

fn pay_id(number: u8) -> PayId {
    PayId([number; 48])
}

/// A transaction as a daemon shows it.
fn paying(number: u8) -> Value {
    json!({"txid": format!("{number:064x}"), "vout": [
        {"value": 0, "scriptPubKey": {"hex": format!("6a30{}", pay_id(number))}},
        {"value": 0.0002, "scriptPubKey": {"hex": "00", "addresses": ["address"]}},
    ]})
}

fn seen(seen: &Receiver<SeenPayment>) -> (u8, Currency) {
    let payment = seen.recv_timeout(PATIENCE).expect("a payment is seen");
    assert_eq!(payment.amounts, [(b"address".to_vec(), 20_000)].into());
    (payment.pay_id.0[0], payment.currency)
}

/// Waits until it holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}: it never came to this");
        // Watchers count and log, and tell nobody.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Keeps the warnings of this module.
struct Warnings;

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "payment" && metadata.level() == log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            WARNINGS.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn keep_warnings() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Warnings).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
}

/// What was told about an address so far.
fn warnings(address: SocketAddr) -> Vec<String> {
    let all = WARNINGS.lock().unwrap();
    let address = address.to_string();
    all.iter()
        .filter(|text| text.contains(&address))
        .cloned()
        .collect()
}

/// The discovery service.
struct Service {
    publisher: ::zmq::Socket,
    replier: ::zmq::Socket,
    _context: ::zmq::Context,
}

impl Service {
    fn at(setup: &discovery::Setup) -> Self {
        let context = ::zmq::Context::new();
        let open = |kind, address| {
            let socket = context.socket(kind).unwrap();
            socket.set_linger(0).unwrap();
            socket.set_rcvtimeo(20_000).unwrap();
            socket.bind(&format!("tcp://{address}")).unwrap();
            socket
        };
        Self {
            publisher: open(::zmq::SocketType::XPUB, setup.publisher),
            replier: open(::zmq::SocketType::REP, setup.replier),
            _context: context,
        }
    }

    /// Waits until somebody hears what is published.
    fn is_heard(&self) {
        assert_eq!(self.publisher.recv_bytes(0).unwrap(), [1]);
    }

    fn publish(&self, frames: &[&[u8]]) {
        self.publisher.send_multipart(frames, 0).unwrap();
    }

    fn question(&self) -> (String, u64) {
        let frames = self.replier.recv_multipart(0).unwrap();
        let [currency, since] = <[Vec<u8>; 2]>::try_from(frames).unwrap();
        let since = String::from_utf8(since).unwrap().parse().unwrap();
        (String::from_utf8(currency).unwrap(), since)
    }

    fn answer(&self, frames: &[&[u8]]) {
        self.replier.send_multipart(frames, 0).unwrap();
    }
}

fn quick() -> discovery::Setup {
    discovery::Setup {
        answer_within: SHORT,
        retry: Duration::from_millis(10),
        retry_max: SHORT,
        renew: Duration::from_millis(50),
        renew_max: SHORT,
        ..discovery::Setup::new(free(), free())
    }
}

#[test]
fn the_discovery_service_may_come_late_and_go_and_come_again() {
    let context = Context::new().unwrap();
    let (sink, payments) = sink();
    let setup = discovery::Setup {
        answer_within: PATIENCE,
        ..quick()
    };
    let watcher = discovery::Watcher::start(&context, setup, sink).unwrap();
    let health = watcher.health.clone();
    let bitcoin = &health[&Currency::Bitcoin];
    let litecoin = &health[&Currency::Litecoin];
    for round in [1, 2] {
        until("it is noticed that nobody is there", || {
            !bitcoin.is_reachable() && !litecoin.is_reachable()
        });
        let service = Service::at(&setup);
        service.is_heard();
        let (first, since) = service.question();
        assert_eq!(first, "BTC");
        assert!((now() - 72 * 3600).abs_diff(since) < 60);
        let past = json!([{"txid": 7}, paying(round), 5]).to_string();
        service.answer(&[b"BTC", past.as_bytes()]);
        assert_eq!(seen(&payments), (round, Currency::Bitcoin));
        assert_eq!(service.question().0, "LTC");
        service.answer(&[b"LTC", b"[]", b"more"]);
        let news = paying(round + 10).to_string();
        service.publish(&[b"LTC", news.as_bytes()]);
        assert_eq!(seen(&payments), (round + 10, Currency::Litecoin));
        for coin in [bitcoin, litecoin] {
            until("it answered", || coin.is_reachable());
            assert!(now().abs_diff(coin.last_answer().unwrap()) < 60);
            assert_eq!((coin.seen(), coin.failures()), (u64::from(round), 0));
        }
    }
    assert!(watcher.is_running());
}

#[test]
fn unknown_coins_and_garbage_are_passed_over() {
    let context = Context::new().unwrap();
    let (sink, payments) = sink();
    let setup = discovery::Setup {
        answer_within: PATIENCE,
        ..quick()
    };
    let _watcher = discovery::Watcher::start(&context, setup, sink).unwrap();
    let service = Service::at(&setup);
    service.is_heard();
    service.question();
    service.answer(&[b"nonsense"]);
    service.question();
    service.answer(&[b"LTC", b"{]"]);
    let good = paying(3).to_string();
    let many = vec![b"x".as_slice(); 100];
    for frames in [
        &[b"DOGE".as_slice(), good.as_bytes()][..],
        &[b"BTC"],
        &[b"BTC", b"{"],
        &[b"BTC", b"\xff\xfe"],
        &[b"BTC", b"null"],
        &[b"BTC", good.as_bytes(), b""],
        &many,
        &[b"BTC", good.as_bytes()],
    ] {
        service.publish(frames);
    }
    assert_eq!(seen(&payments), (3, Currency::Bitcoin));
    assert!(payments.is_empty());
}

#[test]
fn a_service_that_does_not_answer_is_heard_all_the_same_and_asked_again() {
    let context = Context::new().unwrap();
    let (sink, payments) = sink();
    let setup = quick();
    let watcher = discovery::Watcher::start(&context, setup, sink).unwrap();
    let service = Service::at(&setup);
    service.is_heard();
    service.question();
    let news = paying(1).to_string();
    service.publish(&[b"BTC", news.as_bytes()]);
    assert_eq!(seen(&payments), (1, Currency::Bitcoin));
    // The answer comes when nobody waits for it any more; the next question is a new one.
    let failures = || watcher.health.values().map(Health::failures).sum::<u64>();
    until("the question is given up", || failures() > 0);
    service.answer(&[b"BTC", b"[]"]);
    // Under load a question may be given up before it is answered here: the next one counts.
    service.replier.set_rcvtimeo(5).unwrap();
    let mut paid = BTreeSet::new();
    let end = Instant::now() + PATIENCE;
    while paid.len() < 2 {
        assert!(Instant::now() < end, "only {paid:?} were seen");
        if let Ok(question) = service.replier.recv_multipart(0) {
            let number = if question[0] == b"BTC" { 2 } else { 3 };
            service.answer(&[b"x", json!([paying(number)]).to_string().as_bytes()]);
        }
        paid.extend(payments.try_iter().map(|payment| payment.pay_id.0[0]));
    }
    assert_eq!(paid, BTreeSet::from([2, 3]));
    let begin = Instant::now();
    drop(watcher);
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_message_over_the_limit_ends_the_connection_and_a_new_one_is_made() {
    keep_warnings();
    let context = Context::new().unwrap();
    let (sink, payments) = sink();
    let setup = discovery::Setup {
        answer_within: PATIENCE,
        ..quick()
    };
    let watcher = discovery::Watcher::start(&context, setup, sink).unwrap();
    let service = Service::at(&setup);
    for round in [1, 2] {
        service.is_heard();
        for coin in ["BTC", "LTC"] {
            assert_eq!(service.question().0, coin);
            service.answer(&[b"x", b"[]"]);
        }
        for coin in watcher.health.values() {
            until("it answered", || coin.is_reachable());
        }
        let news = paying(round).to_string();
        service.publish(&[b"BTC", news.as_bytes()]);
        assert_eq!(seen(&payments), (round, Currency::Bitcoin));
        service.publish(&[b"BTC", &vec![b'x'; 6_000_000]]);
        // It unsubscribes by going.
        assert_eq!(service.publisher.recv_bytes(0).unwrap(), [0]);
        for coin in watcher.health.values() {
            until("it is noticed", || !coin.is_reachable());
        }
        let told = warnings(setup.publisher);
        let about = |text: &&String| text.contains("published more than 5000000 bytes");
        assert_eq!(
            told.iter().filter(about).count(),
            usize::from(round),
            "{told:?}"
        );
    }
    assert!(watcher.is_running());
}

#[test]
fn a_server_that_does_not_speak_the_protocol_is_dialled_until_another_is_there() {
    keep_warnings();
    let context = Context::new().unwrap();
    let (sink, payments) = sink();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = discovery::Setup {
        answer_within: PATIENCE,
        publisher: listener.local_addr().unwrap(),
        ..quick()
    };
    let watcher = discovery::Watcher::start(&context, setup, sink).unwrap();
    // More than once: the library alone would not come again after such an answer.
    for _ in 0..3 {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(&[0xfe; 10_000]);
    }
    for coin in watcher.health.values() {
        until("it is a failure", || coin.failures() > 0);
    }
    let told = warnings(setup.publisher);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("does not speak"), "{told:?}");
    drop(listener);
    let service = Service::at(&setup);
    service.is_heard();
    service.question();
    service.answer(&[b"x", json!([paying(1)]).to_string().as_bytes()]);
    assert_eq!(seen(&payments), (1, Currency::Bitcoin));
}

#[test]
fn that_nobody_is_there_is_told_once() {
    keep_warnings();
    let context = Context::new().unwrap();
    let setup = quick();
    let _watcher = discovery::Watcher::start(&context, setup, sink().0).unwrap();
    until("it is told", || !warnings(setup.publisher).is_empty());
    // Several further tries, which nothing tells or counts: the time is what is waited for.
    std::thread::sleep(2 * SHORT);
    let told = warnings(setup.publisher);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("no connection to"), "{told:?}");
}

#[test]
fn answers_that_are_garbage_or_over_the_limit_are_failures_and_asked_for_again() {
    keep_warnings();
    let context = Context::new().unwrap();
    let (sink, payments) = sink();
    let setup = discovery::Setup {
        answer_within: PATIENCE,
        answer_bytes: 100_000,
        // Nothing of this test is about the publisher; none of its pauses ends within it.
        renew: 10 * PATIENCE,
        ..quick()
    };
    let watcher = discovery::Watcher::start(&context, setup, sink).unwrap();
    let service = Service::at(&setup);
    service.is_heard();
    let (bitcoin, litecoin) = (
        &watcher.health[&Currency::Bitcoin],
        &watcher.health[&Currency::Litecoin],
    );
    let large = vec![b' '; 100_001];
    let halves = [b"x".as_slice(), &large[..60_000], &large[..60_000]];
    let bad: [&[&[u8]]; 5] = [
        &[b"nonsense"],
        &[b"x", b"{\"error\":\"no database\"}"],
        &[b"x", b"not json"],
        &halves,
        &[b"x", &large],
    ];
    for (count, answer) in (1..).zip(bad) {
        assert_eq!(service.question().0, "BTC");
        service.answer(answer);
        until("it is a failure", || bitcoin.failures() == count);
        assert!(!bitcoin.is_reachable());
        assert_eq!(bitcoin.last_answer(), None);
        if count == 1 {
            assert_eq!(service.question().0, "LTC");
            service.answer(&[b"x", b"[]"]);
            until("it answered", || litecoin.is_reachable());
        }
    }
    // One trouble: a good answer about the other coin did not end it.
    let told = warnings(setup.replier);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("BTC: the answer has 1 frames"), "{told:?}");
    service.question();
    service.answer(&[b"x", json!([paying(1)]).to_string().as_bytes()]);
    assert_eq!(seen(&payments), (1, Currency::Bitcoin));
    assert!(bitcoin.is_reachable());
    assert_eq!((bitcoin.failures(), litecoin.failures()), (5, 0));
}

#[test]
fn an_answer_about_the_past_may_be_larger_than_what_is_published() {
    let context = Context::new().unwrap();
    let (sink, payments) = sink();
    let setup = discovery::Setup {
        answer_within: PATIENCE,
        ..quick()
    };
    let _watcher = discovery::Watcher::start(&context, setup, sink).unwrap();
    let service = Service::at(&setup);
    service.is_heard();
    service.question();
    let many = "{},".repeat(3_000_000 / 4);
    let mut list = format!("[{many}{}", paying(1)).into_bytes();
    list.resize(8_000_000, b' ');
    list.push(b']');
    service.answer(&[b"x", &list]);
    assert_eq!(seen(&payments), (1, Currency::Bitcoin));
}

/// What a stand-in of a daemon does with a question.
#[derive(Debug, Clone)]
enum Reply {
    Status(u16, Vec<u8>),
    Raw(Vec<u8>),
    Hang,
}

type Replies = Arc<Mutex<BTreeMap<String, Reply>>>;

/// The REST service of a daemon.
struct Daemon {
    replies: Replies,
    over: Arc<AtomicBool>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (replies, over) = (Replies::default(), Arc::new(AtomicBool::new(false)));
        let (shown, ends) = (Arc::clone(&replies), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    held.extend(serve(stream, &shown));
                }
            }
        });
        Self {
            replies,
            over,
            address,
            thread: Some(thread),
        }
    }

    fn put(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// A chain of blocks, each of which pays for the number of its height; the branch is part of
    /// the hashes from `fork` on.
    fn chain(&self, height: u8, fork: u8, branch: u8) {
        let hash = |at: u8| format!("{:02x}{at:062x}", if at >= fork { branch } else { 0 });
        let mut replies = BTreeMap::new();
        let info = json!({"chain": "regtest", "blocks": height, "bestblockhash": hash(height - 1)});
        let json = |value: &Value| Reply::Status(200, value.to_string().into_bytes());
        replies.insert("/rest/chaininfo.json".to_owned(), json(&info));
        for at in 0..height {
            let mut block = json!({
                "hash": hash(at), "confirmations": height - at, "height": at, "time": now(),
                "nextblockhash": (at + 1 < height).then(|| hash(at + 1)),
                "previousblockhash": at.checked_sub(1).map(hash),
            });
            let path = format!("/rest/headers/1/{}.json", hash(at));
            replies.insert(path, json(&json!([block])));
            block["tx"] = json!([paying(200), paying(at)]);
            replies.insert(format!("/rest/block/{}.json", hash(at)), json(&block));
        }
        // All at once: nobody sees half of a chain.
        *self.replies.lock().unwrap() = replies;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one question; a connection that hangs is handed back to be held.
fn serve(stream: TcpStream, replies: &Replies) -> Option<TcpStream> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let path = first.split(' ').nth(1)?.to_owned();
    let reply = replies.lock().unwrap().get(&path).cloned();
    let mut stream = stream;
    match reply.unwrap_or(Reply::Status(404, b"not found".to_vec())) {
        Reply::Status(status, body) => {
            let head = format!(
                "HTTP/1.1 {status} Text\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
            None
        }
        Reply::Raw(bytes) => {
            let _ = stream.write_all(&bytes);
            None
        }
        Reply::Hang => Some(stream),
    }
}

fn watch(address: SocketAddr) -> (rest::Watcher, Receiver<SeenPayment>) {
    let (sink, payments) = sink();
    let setup = rest::Setup {
        currency: Currency::Bitcoin,
        is_live: false,
        url: format!("http://{address}/rest/"),
        timing: Timing {
            poll_ms: 20,
            retry_ms: 10,
            retry_max_ms: 40,
        },
        patience: rest::Patience {
            connect: SHORT,
            whole: SHORT,
        },
    };
    (rest::Watcher::start(setup, sink).unwrap(), payments)
}

fn numbers(payments: &Receiver<SeenPayment>, count: usize) -> Vec<u8> {
    (0..count).map(|_| seen(payments).0).collect()
}

#[test]
fn a_daemon_that_comes_late_is_scanned_back_and_then_followed_over_a_reorganisation() {
    let address = free();
    let (watcher, payments) = watch(address);
    assert_eq!(payments.recv_timeout(SHORT).ok(), None);
    let health = watcher.health.clone();
    assert_eq!((health.is_reachable(), health.last_answer()), (false, None));
    let failures = health.failures();
    assert!(failures > 0);
    let daemon = Daemon::at(address);
    daemon.chain(8, 8, 0);
    assert_eq!(numbers(&payments, 5), [4, 3, 2, 1, 0]);
    assert!(health.is_reachable());
    assert!(now().abs_diff(health.last_answer().unwrap()) < 60);
    assert_eq!(health.seen(), 5);
    daemon.chain(10, 10, 0);
    assert_eq!(numbers(&payments, 2), [5, 6]);
    // From block 4 on another branch: 5 and 6 are looked at again, where they are now.
    daemon.chain(12, 4, 1);
    assert_eq!(numbers(&payments, 5), [4, 5, 6, 7, 8]);
    assert!(payments.recv_timeout(SHORT).is_err());
    assert!(watcher.is_running());
    drop(daemon);
    until("it is noticed that it went", || !health.is_reachable());
    assert!(health.failures() > failures);
    assert_eq!(health.seen(), 12);
}

#[test]
fn a_daemon_that_hangs_or_talks_nonsense_is_asked_again() {
    let daemon = Daemon::at("127.0.0.1:0".parse().unwrap());
    daemon.put("/rest/chaininfo.json", Reply::Hang);
    let (watcher, payments) = watch(daemon.address);
    let replies = [
        Reply::Status(200, b"{".to_vec()),
        Reply::Status(200, vec![b'['; 100_000]),
        Reply::Status(503, Vec::new()),
        Reply::Status(302, b"http://127.0.0.1:1/".to_vec()),
        Reply::Raw(b"nonsense\r\n\r\n".to_vec()),
        Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort".to_vec()),
        Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec()),
    ];
    for reply in replies {
        daemon.put("/rest/chaininfo.json", reply);
        assert!(payments.recv_timeout(SHORT).is_err());
    }
    daemon.chain(5, 5, 0);
    assert_eq!(numbers(&payments, 2), [1, 0]);
    // The stop does not wait for an answer.
    for path in daemon.replies.lock().unwrap().values_mut() {
        *path = Reply::Hang;
    }
    let begin = Instant::now();
    drop(watcher);
    assert!(begin.elapsed() < Duration::from_secs(2));
}
