//! The machine and its tables, rule by rule.

use rand::SeedableRng;

use super::peers::{CAPACITY, SOURCE_QUOTA};
use super::*;
use crate::core::wire::connection::pack_list;

const NOW: Now = Now {
    mono: 10_000,
    wall: 1_800_000_000,
};

fn address(last: u8) -> Connection {
    Connection::from_ip_bytes(&[10, 0, 0, last], 2136).unwrap()
}

fn listeners(last: u8) -> Vec<u8> {
    pack_list(&[address(last)])
}

fn v6() -> Vec<u8> {
    Connection::from_text("[2001:db8::1]:2136").unwrap().pack()
}

const fn key(first: u8) -> Key {
    let mut key = [0; 32];
    key[0] = first;
    key
}

fn numbered(number: usize) -> Key {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&(number as u64).to_be_bytes());
    key
}

fn setup() -> Setup {
    Setup {
        key: key(100),
        listeners: listeners(100),
        rpc: Some(OwnRpc {
            fingerprint: [9; 32],
            addresses: listeners(100),
        }),
        configured: BTreeSet::new(),
        prefer_ipv6: true,
    }
}

struct Bench {
    machine: Announce,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        Self::with(setup())
    }

    fn with(setup: Setup) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(1);
        Self {
            machine: Announce::new(NOW, setup, Timing::default(), rng),
            now: NOW,
        }
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.machine.step(self.now, input, &mut out);
        out
    }

    fn peer(&mut self, key: &[u8], listeners: &[u8], time: u64) -> Vec<Effect> {
        let time = time.to_be_bytes().to_vec();
        let parameters = [key.to_vec(), listeners.to_vec(), time];
        let mut out = self.step(Input::PeerNews(parameters, 1));
        out.retain(|effect| !matches!(effect, Effect::Probe { .. }));
        out
    }

    fn register(&mut self, who: Key, client_key: Option<Key>) -> Candidate {
        let registration = Registration {
            key: who.to_vec(),
            listeners: listeners(who[0]),
            timestamp: self.now.wall,
            source: u64::from(who[0]),
            client_key,
        };
        let mut out = Vec::new();
        self.machine.register(self.now, &registration, &mut out)
    }

    fn prove(&mut self, who: Key) {
        self.register(who, Some(who));
    }

    fn orders(&mut self) -> Vec<(String, u8)> {
        self.step(Input::Reconnect)
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Connect(order) => Some((order.label.to_string(), order.key[0])),
                _ => None,
            })
            .collect()
    }
}

fn is_relay(out: &[Effect]) -> bool {
    matches!(out, [Effect::Relay { .. }])
}

fn refused(out: &[Effect]) -> Option<Refusal> {
    match out {
        [Effect::Counted(refusal)] => Some(*refusal),
        _ => None,
    }
}

#[test]
fn news_are_relayed_with_the_bytes_they_came_with() {
    let mut bench = Bench::new();
    let parameters = [key(1).to_vec(), listeners(1), [0_u8; 12].to_vec()];
    let out = bench.step(Input::PeerNews(parameters.clone(), 1));
    let relay = Effect::Relay {
        command: "peer",
        parameters: parameters.into(),
    };
    assert_eq!(out[0], relay);
    assert_eq!(
        bench.machine.peers().get(&key(1)).unwrap().time(),
        NOW.wall,
        "a time of zero counts as now"
    );
}

#[test]
fn a_short_or_absurd_timestamp_is_dropped() {
    for length in [0, 7, 65] {
        let mut bench = Bench::new();
        let time = vec![0; length];
        let peer = [key(1).to_vec(), listeners(1), time.clone()];
        let out = bench.step(Input::PeerNews(peer, 1));
        assert_eq!(refused(&out), Some(Refusal::InvalidTimestamp));
        let rpc = [key(1).to_vec(), listeners(1), time];
        let out = bench.step(Input::RpcNews(rpc, 1));
        assert_eq!(refused(&out), Some(Refusal::InvalidTimestamp));
        assert!(bench.machine.peers().is_empty());
    }
}

#[test]
fn what_the_reference_would_choke_on_is_neither_stored_nor_relayed() {
    let truncated = [listeners(1), vec![0x13, 8, 0x58, 0x20, 1, 0xd, 0xb8]].concat();
    let long = listeners(1).repeat(55);
    for (bytes, why) in [
        (truncated, Refusal::InvalidAddresses),
        (vec![1], Refusal::InvalidAddresses),
        (long, Refusal::InvalidAddresses),
        (Vec::new(), Refusal::NoUsableAddress),
        (
            Connection::from_ip_bytes(&[0; 4], 5).unwrap().pack(),
            Refusal::NoUsableAddress,
        ),
    ] {
        let mut bench = Bench::new();
        assert_eq!(refused(&bench.peer(&key(1), &bytes, 0)), Some(why));
        let rpc = [key(1).to_vec(), bytes, vec![0; 8]];
        assert_eq!(refused(&bench.step(Input::RpcNews(rpc, 1))), Some(why));
        assert!(bench.machine.peers().is_empty());
        assert_eq!(bench.machine.rpcs().services().len(), 1);
    }
    let mut bench = Bench::new();
    let out = bench.peer(&[1; 31], &listeners(1), 0);
    assert_eq!(refused(&out), Some(Refusal::NotAKey));
}

#[test]
fn an_ipv6_only_peer_is_relayed_in_an_ipv6_only_network_alone() {
    let mut bench = Bench::new();
    assert!(bench.peer(&key(1), &v6(), 0).is_empty());
    assert_eq!(bench.machine.peers().len(), 1);
    let mut bench = Bench::with(Setup {
        listeners: v6(),
        ..setup()
    });
    assert!(is_relay(&bench.peer(&key(1), &v6(), 0)));
}

#[test]
fn an_ipv6_only_peer_is_named_to_those_with_ipv6_alone() {
    let mut bench = Bench::new();
    bench.peer(&key(1), &v6(), 0);
    let nowhere = Connection::from_ip_bytes(&[0; 4], 2136).unwrap().pack();
    bench.peer(&key(2), &[nowhere, v6()].concat(), 0);
    let closed = Connection::from_ip_bytes(&[10, 0, 0, 3], 0).unwrap().pack();
    bench.peer(&key(3), &[closed, v6()].concat(), 0);
    let mut named = |of: u8, listeners: Vec<u8>| {
        let registration = Registration {
            key: key(of).to_vec(),
            listeners,
            timestamp: 0,
            source: u64::from(of),
            client_key: None,
        };
        let mut out = Vec::new();
        let machine = &mut bench.machine;
        machine.register(NOW, &registration, &mut out).key[0]
    };
    assert_eq!(named(4, listeners(4)), 100, "nobody but the node itself");
    // Of both families; its own entry is one with IPv4 from now on.
    assert_eq!(named(5, [v6(), listeners(5)].concat()), 4);
    let all: BTreeSet<u8> = (0..200).map(|_| named(6, v6())).collect();
    assert_eq!(all, BTreeSet::from([1, 2, 3, 4, 5]));
}

#[test]
fn addresses_of_a_known_peer_change_after_420_s_alone() {
    let mut bench = Bench::new();
    bench.peer(&key(1), &listeners(1), NOW.wall - 450);
    let out = bench.peer(&key(1), &listeners(2), NOW.wall - 31);
    assert_eq!(refused(&out), Some(Refusal::TooSoon));
    assert!(is_relay(&bench.peer(&key(1), &listeners(2), NOW.wall - 30)));
    let entry = bench.machine.peers().get(&key(1)).unwrap();
    assert_eq!(entry.listeners(), listeners(2));
}

#[test]
fn a_proven_peer_too_moves_after_420_s_alone() {
    let mut bench = Bench::new();
    bench.prove(key(1));
    for (wait, dialled) in [(419_000, 1), (1_000, 2)] {
        bench.now = bench.now.plus_ms(wait);
        let moved = Registration {
            key: key(1).to_vec(),
            listeners: listeners(2),
            timestamp: bench.now.wall,
            source: 1,
            client_key: Some(key(1)),
        };
        let mut out = Vec::new();
        bench.machine.register(bench.now, &moved, &mut out);
        let entry = bench.machine.peers().get(&key(1)).unwrap();
        assert_eq!(entry.to_dial(), listeners(dialled));
        assert!(entry.is_proven());
    }
}

#[test]
fn nobody_changes_the_own_key_or_fingerprint() {
    let mut bench = Bench::new();
    let out = bench.peer(&key(100), &listeners(1), 0);
    assert_eq!(refused(&out), Some(Refusal::Own));
    bench.now = bench.now.plus_ms(500_000);
    let rpc = [vec![9; 32], listeners(1), vec![0; 8]];
    let out = bench.step(Input::RpcNews(rpc, 1));
    assert!(out.contains(&Effect::Counted(Refusal::Own)));
    let own = bench.machine.rpcs().get(&[9; 32]).unwrap();
    assert_eq!(own.addresses(), listeners(100));
}

#[test]
fn a_replayed_rpc_message_refreshes_nothing() {
    let mut bench = Bench::new();
    let old = (NOW.wall - 500).to_be_bytes().to_vec();
    let message = [vec![1; 32], listeners(1), old];
    assert!(is_relay(&bench.step(Input::RpcNews(message.clone(), 1))));
    let out = bench.step(Input::RpcNews(message, 1));
    assert_eq!(refused(&out), Some(Refusal::TooSoon));
    let service = bench.machine.rpcs().get(&[1; 32]).unwrap();
    assert_eq!(service.time(), NOW.wall - 500);
}

#[test]
fn the_first_announcement_comes_after_two_minutes_and_then_every_eleven() {
    let mut bench = Bench::new();
    for wait in [120_000, 660_000, 660_000] {
        let due = bench.now.mono + wait;
        assert_eq!(bench.machine.next_wakeup(), Some(due));
        bench.now = bench.now.plus_ms(wait - 1);
        assert!(bench.step(Input::Wake).is_empty());
        bench.now = bench.now.plus_ms(1);
        let time = bench.now.wall.to_be_bytes().to_vec();
        let expected = [
            Effect::Broadcast {
                command: "rpc",
                parameters: vec![vec![9; 32], listeners(100), time.clone()],
            },
            Effect::Broadcast {
                command: "peer",
                parameters: vec![key(100).to_vec(), listeners(100), time],
            },
        ];
        assert_eq!(bench.step(Input::Wake), expected);
    }
}

#[test]
fn a_registration_is_answered_with_another_peer_or_the_node_itself() {
    let mut bench = Bench::new();
    let own = Candidate {
        key: key(100),
        listeners: listeners(100),
        timestamp: NOW.wall,
    };
    assert_eq!(bench.register(key(1), None), own, "nobody else is known");
    assert_eq!(bench.register(key(2), None).key, key(1));
    for _ in 0..50 {
        assert_eq!(bench.register(key(1), None).key, key(2));
    }
}

#[test]
fn a_registration_that_cannot_be_stored_is_answered() {
    let mut bench = Bench::new();
    let odd = Registration {
        key: vec![1; 5],
        listeners: vec![0x13; 9],
        timestamp: 1,
        source: 1,
        client_key: None,
    };
    let mut out = Vec::new();
    let candidate = bench.machine.register(NOW, &odd, &mut out);
    assert_eq!(candidate.key, key(100));
    assert_eq!(out, [Effect::Counted(Refusal::NotAKey)]);
}

#[test]
fn proven_peers_are_named_before_others() {
    let mut bench = Bench::new();
    for number in 1..20 {
        bench.peer(&key(number), &listeners(number), 0);
    }
    bench.prove(key(50));
    for _ in 0..20 {
        assert_eq!(bench.register(key(1), None).key, key(50));
    }
}

#[test]
fn a_registration_with_the_key_of_its_session_is_a_proof() {
    let mut bench = Bench::new();
    bench.register(key(1), Some(key(2)));
    assert!(!bench.machine.peers().get(&key(1)).unwrap().is_proven());
    assert!(bench.orders().is_empty());
    bench.register(key(1), Some(key(1)));
    assert!(bench.machine.peers().get(&key(1)).unwrap().is_proven());
    assert_eq!(bench.orders(), [("N1".to_owned(), 1)]);
}

#[test]
fn four_and_five_dynamic_nodes_get_three_peers_each() {
    for others in [[110, 120, 130].as_slice(), &[110, 120, 90, 80]] {
        let mut bench = Bench::new();
        for other in others {
            bench.prove(key(*other));
        }
        let distinct: BTreeSet<u8> = bench.orders().into_iter().map(|(_, key)| key).collect();
        assert!(distinct.len() >= 3);
    }
}

#[test]
fn an_unproven_peer_is_probed_and_then_chosen() {
    let mut bench = Bench::new();
    let parameters = [key(1).to_vec(), listeners(1), vec![0; 8]];
    let out = bench.step(Input::PeerNews(parameters, 1));
    let probe = Effect::Probe {
        key: key(1),
        listeners: listeners(1),
    };
    assert_eq!(out.last(), Some(&probe));
    assert!(bench.orders().is_empty());
    bench.step(Input::Proven {
        key: key(1),
        address: address(1),
    });
    assert_eq!(bench.orders(), [("N1".to_owned(), 1)]);
}

#[test]
fn probes_are_few_and_failures_make_them_rarer() {
    let mut bench = Bench::new();
    let mut probes = Vec::new();
    for number in 1..100 {
        bench.peer(&key(number), &listeners(number), 0);
    }
    for _ in 0..30 {
        let at = bench.now.mono;
        let probed = bench.step(Input::Wake);
        let probed = probed.iter().filter(|e| matches!(e, Effect::Probe { .. }));
        probes.extend(probed.map(|_| at));
        bench.now = bench.now.plus_ms(250);
    }
    assert!(probes.len() <= probes::IN_FLIGHT_MAX);
    assert!(probes.windows(2).all(|pair| pair[1] - pair[0] >= 1_000));

    let mut bench = Bench::new();
    bench.peer(&key(1), &listeners(1), 0);
    bench.machine.next_announcement = Millis::MAX;
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let failed = Input::DialFailed {
            key: key(1),
            address: address(1),
        };
        assert!(bench.step(failed).is_empty());
        let failed_at = bench.now.mono;
        while !matches!(bench.step(Input::Wake)[..], [Effect::Probe { .. }]) {
            let due = bench.machine.next_wakeup().unwrap();
            bench.now = bench.now.plus_ms(due - bench.now.mono);
        }
        pauses.push(bench.now.mono - failed_at);
    }
    assert_eq!(pauses, [60_000, 120_000, 240_000, 480_000]);
}

#[test]
fn a_probe_without_a_result_fails_after_its_time() {
    let mut bench = Bench::new();
    bench.machine.next_announcement = Millis::MAX;
    bench.peer(&key(1), &listeners(1), 0);
    assert_eq!(bench.machine.next_wakeup(), Some(NOW.mono + 60_000));
    bench.now = bench.now.plus_ms(60_000);
    assert!(bench.step(Input::Wake).is_empty());
    assert_eq!(bench.machine.next_wakeup(), Some(NOW.mono + 120_000));
}

#[test]
fn new_addresses_of_a_proven_peer_are_dialled_after_their_proof() {
    let mut bench = Bench::new();
    bench.prove(key(1));
    bench.now = bench.now.plus_ms(430_000);
    let news = [key(1).to_vec(), listeners(66), vec![0; 8]];
    let out = bench.step(Input::PeerNews(news, 1));
    let probe = Effect::Probe {
        key: key(1),
        listeners: listeners(66),
    };
    assert!(out.contains(&probe));
    let entry = bench.machine.peers().get(&key(1)).unwrap();
    assert_eq!(entry.to_dial(), listeners(1));
    for _ in 0..5 {
        bench.step(Input::DialFailed {
            key: key(1),
            address: address(66),
        });
    }
    let entry = bench.machine.peers().get(&key(1)).unwrap();
    assert!(entry.is_proven(), "the lie of another withdraws no proof");
    assert_eq!(entry.to_dial(), listeners(1));
    bench.step(Input::Proven {
        key: key(1),
        address: address(66),
    });
    let entry = bench.machine.peers().get(&key(1)).unwrap();
    assert_eq!(entry.to_dial(), listeners(66));
}

#[test]
fn three_failed_dials_withdraw_a_proof() {
    let mut bench = Bench::new();
    bench.prove(key(1));
    for expected in [true, true, false] {
        bench.step(Input::DialFailed {
            key: key(1),
            address: address(1),
        });
        let entry = bench.machine.peers().get(&key(1)).unwrap();
        assert_eq!(entry.is_proven(), expected);
    }
    assert!(bench.orders().is_empty());
}

#[test]
fn a_peer_of_dns_is_chosen_until_dialling_it_fails() {
    let mut bench = Bench::new();
    bench.step(Input::Bootstrap {
        key: key(1),
        listeners: listeners(1),
        timestamp: 0,
    });
    assert_eq!(bench.orders(), [("N1".to_owned(), 1)]);
    bench.step(Input::DialFailed {
        key: key(1),
        address: address(1),
    });
    assert!(bench.orders().is_empty());
}

#[test]
fn a_peer_of_an_old_file_lives_one_announcement_more() {
    let mut bench = Bench::new();
    bench.step(Input::Bootstrap {
        key: key(1),
        listeners: [listeners(1), vec![0]].concat(),
        timestamp: NOW.wall - 1_000_000,
    });
    let entry = bench.machine.peers().get(&key(1)).unwrap();
    assert_eq!(entry.time(), NOW.wall - 3300 + 660);
    assert_eq!(entry.listeners(), listeners(1));
}

#[test]
fn what_is_silent_for_55_minutes_is_forgotten_unless_it_was_proven_since() {
    let mut bench = Bench::new();
    bench.peer(&key(1), &listeners(1), 0);
    bench.peer(&key(2), &listeners(2), 0);
    let fingerprint = [vec![1; 32], listeners(1), vec![0; 8]];
    bench.step(Input::RpcNews(fingerprint, 1));
    bench.now = bench.now.plus_ms(600_000);
    bench.step(Input::Proven {
        key: key(2),
        address: address(2),
    });
    bench.now = bench.now.plus_ms(2_700_000);
    bench.machine.next_announcement = bench.now.mono;
    bench.step(Input::Wake);
    assert!(bench.machine.peers().get(&key(1)).is_none());
    assert!(bench.machine.peers().get(&key(2)).is_some());
    assert_eq!(bench.machine.rpcs().services().len(), 1, "the own one");
}

#[test]
fn a_source_with_a_thousand_lies_pushes_out_its_own_alone() {
    let mut bench = Bench::new();
    let timing = Timing::default();
    let mut table = PeerTable::new(key(100), BTreeSet::new());
    let mut add = |number: usize, source, trust| {
        let key = numbered(number);
        let news = News {
            key: &key,
            listeners: &listeners(1),
            timestamp: NOW.wall - 3000 + number as u64 % 2000,
            source,
            trust,
        };
        table.add(NOW, &timing, news).map(|_| table.len())
    };
    for number in 0..SOURCE_QUOTA {
        add(number, 1, Trust::Heard).unwrap();
    }
    assert_eq!(add(SOURCE_QUOTA, 1, Trust::Heard), Ok(SOURCE_QUOTA));
    for number in SOURCE_QUOTA + 1..CAPACITY + 1 {
        add(number, number as u64, Trust::Authenticated).unwrap();
    }
    assert_eq!(add(CAPACITY + 1, 5, Trust::Heard), Ok(CAPACITY));
    for number in CAPACITY + 2..CAPACITY + 2 + SOURCE_QUOTA {
        add(number, number as u64, Trust::Authenticated).unwrap();
    }
    assert_eq!(add(9_000, 5, Trust::Heard), Err(Refusal::Full));

    for number in 0..2 * CAPACITY {
        let news = [numbered(number).to_vec(), listeners(1), vec![0; 8]];
        bench.step(Input::RpcNews(news, number as u64 % 7));
    }
    assert!(bench.machine.rpcs().services().len() <= rpcs::CAPACITY);
    assert_eq!(bench.machine.rpcs().services()[0].fingerprint(), &[9; 32]);
}

#[test]
fn two_places_are_kept_for_configured_then_longest_reached_peers() {
    let mut bench = Bench::with(Setup {
        configured: BTreeSet::from([key(40)]),
        ..setup()
    });
    for number in [10, 20, 30] {
        bench.prove(key(number));
        bench.now = bench.now.plus_ms(5_000);
    }
    assert_eq!(bench.machine.kept(), [key(10), key(20)]);
    bench.step(Input::Proven {
        key: key(30),
        address: address(30),
    });
    assert_eq!(bench.machine.kept(), [key(30), key(10)]);
    bench.peer(&key(40), &listeners(40), 0);
    assert_eq!(bench.machine.kept(), [key(40), key(30)]);
    for number in 101..120 {
        bench.prove(key(number));
    }
    let ordered: BTreeSet<u8> = bench.orders().into_iter().map(|(_, key)| key).collect();
    assert!(ordered.is_superset(&BTreeSet::from([40, 30])));
}

#[test]
fn an_ipv4_node_neither_chooses_nor_probes_ipv6() {
    let mut bench = Bench::with(Setup {
        prefer_ipv6: false,
        ..setup()
    });
    bench.step(Input::Bootstrap {
        key: key(1),
        listeners: v6(),
        timestamp: 0,
    });
    assert!(bench.orders().is_empty());
    assert_eq!(bench.machine.probes.next_wakeup(), None);
}
