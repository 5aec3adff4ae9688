//! JSON-RPC over TLS: framing, what is no request, and bounds of time and size.

use std::io::{BufRead as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bitmarkd::shell::rpc::Settings;

use super::speaker::{Client, is_ended};
use super::stage::{Stage, eventually, reply, request};

/// Time-outs that are waited for; long enough for a handshake on a machine that has much to do.
const SHORT: Duration = Duration::from_millis(500);

fn usual() -> Settings {
    Settings::new(10)
}

#[test]
fn requests_need_no_line_end_and_each_reply_is_one_line() {
    let stage = Stage::rpc(usual());
    let mut client = stage.client();
    let (one, two) = (request("One", 1), request("Two", 2));
    assert_eq!(client.ask(&one), reply("One", 1));
    assert_eq!(client.ask(&format!(" \r\n\t{two}")), reply("Two", 2));
    client.send(format!("{one}{two}\n\n{one}"));
    let mut replies = [client.line(), client.line(), client.line()];
    replies.sort();
    assert_eq!(replies, [reply("One", 1), reply("One", 1), reply("Two", 2)]);
    for byte in two.bytes() {
        client.send([byte]);
    }
    assert_eq!(client.line(), reply("Two", 2));
}

#[test]
fn both_versions_of_tls_and_both_families_are_served_with_the_certificate_of_the_file() {
    let stage = Stage::rpc(usual());
    for address in [stage.v4, stage.v6] {
        for version in rustls::ALL_VERSIONS {
            let mut client = Client::with(address, &[], &[version]).unwrap();
            let session = client.session();
            assert_eq!(session.protocol_version(), Some(version.version));
            assert_eq!(session.alpn_protocol(), None);
            let shown = session.peer_certificates().unwrap();
            assert_eq!(shown[0].as_ref(), stage.certificate);
            assert!(client.is_answered());
        }
    }
    eventually("all have gone", || stage.count.get() == 0);
}

#[test]
fn replies_come_as_they_are_ready() {
    let stage = Stage::rpc(usual());
    let mut client = stage.client();
    client.send(request("Wait", 1) + &request("Quick", 2));
    assert_eq!(client.line(), reply("Quick", 2));
    stage.stub.open_gate();
    assert_eq!(client.line(), reply("waited", 1));
}

#[test]
fn requests_beyond_the_bound_wait_for_the_first_replies() {
    let stage = Stage::rpc(Settings {
        running: 3,
        ..usual()
    });
    let mut client = stage.client();
    for id in 0..10 {
        client.send(request("Wait", id));
    }
    eventually("three are begun", || stage.stub.begun() == 3);
    assert!(stage.client().is_answered(), "others are served");
    assert_eq!(stage.stub.begun(), 4, "three of the first client");
    stage.stub.open_gate();
    let mut replies: Vec<String> = (0..10).map(|_| client.line()).collect();
    replies.sort();
    let wanted: Vec<String> = (0..10).map(|id| reply("waited", id)).collect();
    assert_eq!(replies, wanted);
}

#[test]
fn who_has_sent_all_is_still_answered() {
    let stage = Stage::rpc(usual());
    let mut client = stage.client();
    client.send(request("Wait", 1));
    eventually("it is begun", || stage.stub.begun() == 1);
    let stream = client.stream.get_mut();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    stage.stub.open_gate();
    assert_eq!(client.line(), reply("waited", 1));
    assert!(client.is_ended());
}

#[test]
fn what_is_no_request_gets_one_reply_and_the_connection_is_closed() {
    let stage = Stage::rpc(usual());
    let texts = [
        "hello\n",
        "17 ",
        "[{\"id\":1,\"method\":\"A.B\",\"params\":[{}]}]",
        "{\"id\":23,\"method\":7,\"params\":[{}]}",
        "{\"id\":23,\"method\":7,\"params\":[{}]}{\"id\":24,\"method\":7}",
        "{]",
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\u{0}\u{0}\u{0}",
    ];
    for text in texts {
        let mut client = stage.client();
        client.send(text);
        let reply = client.line();
        let start = "{\"id\":null,\"result\":null,\"error\":\"";
        assert!(reply.starts_with(start), "{text:?}: {reply:?}");
        assert!(client.is_ended(), "{text:?}");
    }
    eventually("all have gone", || stage.count.get() == 0);
}

#[test]
fn what_came_before_garbage_is_answered() {
    let stage = Stage::rpc(usual());
    let mut client = stage.client();
    client.send(request("Wait", 1) + "garbage" + &request("Late", 2));
    let refused = client.line();
    assert!(refused.starts_with("{\"id\":null"), "{refused}");
    stage.stub.open_gate();
    assert_eq!(client.line(), reply("waited", 1));
    assert!(client.is_ended());
    assert_eq!(stage.stub.begun(), 1);
}

#[test]
fn a_request_has_a_limit_of_size() {
    let stage = Stage::rpc(usual());
    let limit = usual().request_bytes;
    let padded = |size: usize| {
        let request = request("Long", 1);
        let (start, end) = request.split_at(1);
        format!("{start}{}{end}", " ".repeat(size - request.len()))
    };
    let mut client = stage.client();
    assert_eq!(client.ask(&padded(limit)), reply("Long", 1));
    // The whole of it is sent before the reply is read: it is not lost for that.
    client.send(padded(limit + 1));
    let refused = client.line();
    assert!(refused.contains("longer than 1048576 bytes"), "{refused}");
    assert!(client.is_ended());
    assert_eq!(stage.stub.begun(), 1);
}

#[test]
fn a_handshake_has_a_limit_of_time() {
    let stage = Stage::rpc(Settings {
        handshake: SHORT,
        ..usual()
    });
    let mut silent = stage.tcp();
    assert!(is_ended(&mut silent));
    let mut half = stage.tcp();
    // The head of a record that promises more than it holds.
    half.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    assert!(is_ended(&mut half));
    let mut garbage = stage.tcp();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut alert = [0; 7];
    let _ = std::io::Read::read(&mut garbage, &mut alert);
    eventually("nobody has a place", || stage.count.get() == 0);
    assert!(stage.client().is_answered());
}

#[test]
fn silence_and_dripping_end_a_connection_but_waiting_does_not() {
    let stage = Stage::rpc(Settings {
        idle: SHORT,
        ..usual()
    });
    let mut waiting = stage.client();
    waiting.send(request("Wait", 1));
    eventually("it is begun", || stage.stub.begun() == 1);
    // Between two drops it waits for its end; there is no more for it than a hundred time-outs.
    let mut dripping = stage.client();
    let socket = &dripping.stream.get_ref().sock;
    socket.set_read_timeout(Some(SHORT / 20)).unwrap();
    let drops = (0..2_000).take_while(|_| dripping.try_send(" ").is_ok() && !dripping.is_ended());
    assert!(drops.count() < 2_000, "it goes on for ever");
    assert!(stage.client().is_ended(), "silent");
    stage.stub.open_gate();
    assert_eq!(waiting.line(), reply("waited", 1));
    assert!(waiting.is_ended());
}

#[test]
fn replies_that_nobody_reads_are_bounded_and_end_the_connection() {
    let stage = Stage::rpc(Settings {
        idle: SHORT,
        unsent_bytes: 1 << 20,
        ..usual()
    });
    let mut client = stage.client();
    let mut sent = 0;
    let short = Some(Duration::from_secs(1));
    client
        .stream
        .get_ref()
        .sock
        .set_write_timeout(short)
        .unwrap();
    while sent < 100_000 && client.try_send(request("Big", 1 << 18)).is_ok() {
        sent += 1;
    }
    assert!(stage.stub.begun() < 200, "{}", stage.stub.begun());
    eventually("it has gone", || stage.count.get() == 0);
}

#[test]
fn at_the_limit_the_longest_idle_is_closed_and_the_newcomer_served() {
    let stage = Stage::rpc(Settings::new(3));
    let mut clients: Vec<Client> = (0..3).map(|_| stage.client()).collect();
    for client in &mut clients {
        assert!(client.is_answered());
    }
    assert!(clients[0].is_answered(), "the second is idle longest now");
    assert!(stage.client().is_answered());
    assert!(clients[1].is_ended());
    assert!(clients[0].is_answered() && clients[2].is_answered());
    let count = &stage.count;
    assert_eq!((count.accepted(), count.evicted()), (4, 1));
    assert_eq!(count.turned_away(), 0);
}

#[test]
fn where_all_are_busy_the_newcomer_gets_the_place_of_one_that_has_had_its_turn() {
    let stage = Stage::rpc(Settings::new(2));
    let mut clients = [stage.client(), stage.client()];
    for client in &mut clients {
        client.send(request("Wait", 1));
    }
    eventually("both are begun", || stage.stub.begun() == 2);
    // It waits for the end of a turn, and nobody is closed before.
    let mut newcomer = stage.client();
    assert!(newcomer.is_answered());
    assert_eq!(stage.count.get(), 2);
    assert_eq!((stage.count.relieved(), stage.count.evicted()), (1, 0));
    stage.stub.open_gate();
    // The first had its turn before the second; what it had asked is answered in time.
    for client in &mut clients {
        assert_eq!(client.line(), reply("waited", 1));
    }
    assert!(clients[0].is_ended());
    assert!(clients[1].is_answered());
    assert_eq!(stage.count.turned_away(), 0);
}

#[test]
fn clients_that_call_without_a_pause_on_all_places_leave_room_for_the_next() {
    let stage = Stage::rpc(Settings::new(3));
    let is_over = AtomicBool::new(false);
    let many = request("Here", 1).repeat(50);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // Each comes again when it is closed.
                while !is_over.load(Ordering::SeqCst) {
                    let Ok(mut client) = Client::new(stage.v4, &[]) else {
                        continue;
                    };
                    while !is_over.load(Ordering::SeqCst) && client.try_send(&many).is_ok() {
                        let mut line = String::new();
                        let mut is_read = || {
                            line.clear();
                            client.stream.read_line(&mut line).is_ok() && !line.is_empty()
                        };
                        if !(0..50).all(|_| is_read()) {
                            break;
                        }
                    }
                }
            });
        }
        eventually("they are many", || stage.stub.begun() > 1000);
        let served = (0..5).filter(|_| stage.client().is_answered()).count();
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(served, 5);
    });
}

#[test]
fn after_a_long_reply_only_as_many_calls_run_as_fit() {
    let stage = Stage::rpc(usual());
    let mut client = stage.client();
    let long = client.ask(&request("Big", 1 << 20));
    assert!(long.len() > 1 << 20);
    for id in 0..3 {
        client.send(request("Wait", id));
    }
    eventually("one is begun", || stage.stub.begun() == 2);
    assert!(stage.client().is_answered(), "others are served");
    assert_eq!(stage.stub.begun(), 3, "one of the three");
    stage.stub.open_gate();
    let mut replies: Vec<String> = (0..3).map(|_| client.line()).collect();
    replies.sort();
    let wanted: Vec<String> = (0..3).map(|id| reply("waited", id)).collect();
    assert_eq!(replies, wanted);
}

#[test]
fn long_requests_run_one_after_the_other() {
    let stage = Stage::rpc(usual());
    let mut client = stage.client();
    let long = |id| request("Wait", id) + &" ".repeat(10);
    let padded = |id| long(id).replacen('{', &format!("{{{}", " ".repeat(300_000)), 1);
    client.send(padded(0) + &padded(1) + &padded(2));
    eventually("one is begun", || stage.stub.begun() == 1);
    assert!(stage.client().is_answered(), "others are served");
    assert_eq!(stage.stub.begun(), 2, "one of the three");
    stage.stub.open_gate();
    let replies: Vec<String> = (0..3).map(|_| client.line()).collect();
    let wanted: Vec<String> = (0..3).map(|id| reply("waited", id)).collect();
    assert_eq!(replies, wanted);
}

#[test]
fn who_stops_the_service_closes_its_connections() {
    let stage = Stage::rpc(usual());
    let mut client = stage.client();
    client.send(request("Wait", 1));
    eventually("it is begun", || stage.stub.begun() == 1);
    let count = stage.count.clone();
    drop(stage);
    assert!(client.is_ended());
    assert_eq!(count.get(), 0);
}
