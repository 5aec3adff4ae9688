//! Ten places and 2,500 clients that want nothing: the service goes on answering.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use bitmarkd::shell::tcp::listener::HANDSHAKES;
use bitmarkd::shell::{https, rpc};

use super::speaker::Client;
use super::stage::{Kind, Stage, eventually};

/// The reference's default.
const PLACES: usize = 10;
/// Clients of the crowd at a time; each needs a descriptor here.
const CHUNK: usize = 100;
const CHUNKS: usize = 25;

/// Those who came, held open.
#[derive(Default)]
struct Crowd {
    plain: Vec<TcpStream>,
    secure: Vec<Client>,
}

impl Crowd {
    /// Silent, half a handshake, garbage instead of one, silent after it, garbage after it.
    fn grow(&mut self, stage: &Stage) {
        for number in 0..CHUNK {
            if number % 5 < 3 {
                let mut stream = stage.tcp();
                let bytes: &[u8] = match number % 5 {
                    0 => b"",
                    1 => &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
                    _ => b"hello, who is there?\n",
                };
                let _ = stream.write_all(bytes);
                self.plain.push(stream);
            } else {
                let mut client = stage.client();
                if number % 5 == 4 {
                    client.send("{\"id\":1,\"method\":7}nonsense");
                }
                self.secure.push(client);
            }
        }
    }
}

#[test]
fn a_crowd_of_idle_half_open_and_garbage_clients_leaves_json_rpc_answering() {
    let stage = Stage::rpc(rpc::Settings::new(PLACES));
    for _ in 0..CHUNKS {
        let mut crowd = Crowd::default();
        crowd.grow(&stage);
        assert!(stage.client().is_answered());
        assert!(stage.count.get() <= PLACES as u64);
    }
    eventually("all have gone", || stage.count.get() == 0);
}

#[test]
fn a_crowd_of_idle_half_open_and_garbage_clients_leaves_https_answering() {
    let stage = Stage::start(Kind::Https(https::Settings::new(
        PLACES,
        Default::default(),
    )));
    for _ in 0..CHUNKS {
        let mut crowd = Crowd::default();
        crowd.grow(&stage);
        let mut client = stage.client();
        client.send("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let text = String::from_utf8(client.rest()).unwrap();
        assert!(text.starts_with("HTTP/1.1 404 "), "{text:?}");
        assert!(stage.count.get() <= PLACES as u64);
    }
    eventually("all have gone", || stage.count.get() == 0);
}

/// Recorded: with the reference each of twenty such connections keeps its place for ever, also after
/// the client closed it, and five good ones are then refused.
#[test]
fn twenty_connections_with_text_that_is_no_json_leave_room_for_the_next() {
    let stage = Stage::rpc(rpc::Settings::new(20));
    let mut bad = Vec::new();
    for number in 0..20 {
        let mut client = stage.client();
        client.send(if number % 2 == 0 {
            "hello\n"
        } else {
            "{hello}"
        });
        bad.push(client);
    }
    let mut good: Vec<Client> = (0..5).map(|_| stage.client()).collect();
    assert!(good.iter_mut().all(Client::is_answered));
    // Each was told why, and lost its place while it was still there.
    for client in &mut bad {
        let text = String::from_utf8(client.rest()).unwrap();
        assert!(text.starts_with("{\"id\":null,\"result\":null,"), "{text}");
    }
    eventually("the good alone have places", || stage.count.get() == 5);
    assert!(good.iter_mut().all(Client::is_answered));
}

#[test]
fn while_a_flood_of_half_open_clients_comes_who_tries_again_is_served() {
    let stage = Stage::rpc(rpc::Settings::new(PLACES));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = VecDeque::new();
            while !is_over.load(Ordering::SeqCst) {
                held.extend(TcpStream::connect(stage.v4));
                if held.len() > CHUNK {
                    held.pop_front();
                }
            }
        });
        for _ in 0..20 {
            eventually("a client is served", || {
                Client::new(stage.v4, &[]).is_ok_and(|mut client| client.is_answered())
            });
        }
        is_over.store(true, Ordering::SeqCst);
    });
}

/// What of three hundred newcomers a second comes while one flight of a handshake from a tenth of a
/// second away is under way.
const PER_FLIGHT: usize = 300 / 10;

#[test]
fn three_hundred_bare_connections_a_second_harm_no_client_and_no_newcomer_from_far_away() {
    let stage = Stage::rpc(rpc::Settings::new(PLACES));
    let mut settled: Vec<Client> = (0..PLACES - 1).map(|_| stage.client()).collect();
    assert!(settled.iter_mut().all(Client::is_answered));
    // More than are let in at a time; they say nothing. They come between the flights, so how
    // many come meanwhile is not a matter of how fast this machine is.
    let mut held = VecDeque::new();
    let mut flood = || {
        for _ in 0..PER_FLIGHT {
            held.push_back(stage.tcp());
            if held.len() > HANDSHAKES + CHUNK {
                held.pop_front();
            }
        }
    };
    let mut served = 0;
    while stage.count.dismissed() == 0 {
        served += usize::from(
            Client::slow(stage.v4, &mut flood).is_ok_and(|mut client| client.is_answered()),
        );
    }
    for _ in 0..5 {
        let mut client = Client::slow(stage.v4, &mut flood).unwrap();
        assert!(client.is_answered());
    }
    assert!(served > 0);
    assert!(settled.iter_mut().all(Client::is_answered));
    assert_eq!(stage.count.evicted(), 0);
}
