//! `announce.json`: TXT records, packed connections, peer file, choice of peers, the rules of the
//! peer and RPC tables, the peer named to a registration, key files.

use std::collections::{BTreeMap, BTreeSet};

use bitmarkd::core::announce::dns::TxtRecord;
use bitmarkd::core::announce::neighbours::{Label, reference_orders};
use bitmarkd::core::announce::peer_file::{self, Item};
use bitmarkd::core::announce::peers::{Key, News, PeerTable, Trust};
use bitmarkd::core::announce::rpcs::RpcTable;
use bitmarkd::core::announce::{Announce, Effect, Input, Registration, Setup, Timing};
use bitmarkd::core::keys::{KeyError, PeerPrivateKey, PeerPublicKey};
use bitmarkd::core::time::Now;
use bitmarkd::core::wire::connection::{Connection, FirstOfEach, is_whole_list, list, pack_list};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::connection::{deviating_pair, text};
use crate::harness::{self, Case};

/// Keys have 32 bytes and addresses are whole, usable records; the reference takes anything.
const WHOLE: &str = "keys-and-addresses-are-whole";
/// An empty address in a TXT record ends the reference's process.
const EMPTY_ADDRESS: &str = "an-empty-txt-address-is-refused";
/// The reference cannot read the peer files it writes, and dies of truncated ones.
const PEER_FILE: &str = "the-peer-file-is-read-back";
/// With fewer than three distinct peers the next successors are ordered, too.
const THREE: &str = "small-rings-give-three-peers";
/// News of a client service follow the time rules of the peer table.
const RPC_TIME: &str = "client-services-keep-their-time";
/// All candidates are looked at, and the node itself is named when there is none.
const CANDIDATE: &str = "a-registration-always-names-a-peer";

const NOW: u64 = 1_800_000_000;

#[test]
fn announce() {
    harness::run("announce.json", |case| match case.text("kind") {
        "dns_tag" => dns_tag(case),
        "connection_from_text" => connection_from_text(case),
        "connection_unpack46" => connection_unpack46(case),
        "backup_item" | "backup_item_parse" => backup_item(case),
        "backup_file" => backup_file(case),
        "choose_connections" => choose_connections(case),
        "peer_table" => peer_table(case),
        "peer_expiry" => peer_expiry(case),
        "rpc_table" => rpc_table(case),
        "rpc_expiry" => rpc_expiry(case),
        "rpc_fetch" => rpc_fetch(case),
        "random_peer" => random_peer(case),
        "key_file" => key_file(case),
        other => case.fail("kind", format!("{other} is unknown")),
    });
}

/// What a rule promises where it makes a difference, equality where it makes none.
fn compare(case: &Case, rule: &str, path: &str, recorded: &Value, got: &Value, promised: &Value) {
    if promised == recorded {
        case.expect_value(path, recorded, got);
    } else {
        case.deviates_value(rule, path, recorded, got, promised);
    }
}

const fn at(wall: u64) -> Now {
    Now { mono: 0, wall }
}

fn some_listeners() -> Vec<u8> {
    Connection::from_text("10.9.9.9:2136").unwrap().pack()
}

fn key_of(value: &Value) -> Key {
    let bytes = hex::decode(value.as_str().unwrap()).unwrap();
    bytes.try_into().unwrap()
}

fn keys_of(value: &Value) -> Vec<Key> {
    value.as_array().unwrap().iter().map(key_of).collect()
}

/// A machine with key `own` that has reached each of `others`.
fn machine(own: Key, others: &[Key]) -> Announce {
    let setup = Setup {
        key: own,
        listeners: some_listeners(),
        rpc: None,
        configured: BTreeSet::new(),
        prefer_ipv6: true,
    };
    let rng = ChaCha8Rng::seed_from_u64(1);
    let mut machine = Announce::new(at(NOW), setup, Timing::default(), rng);
    for key in others {
        machine.register(at(NOW), &registration(*key), &mut Vec::new());
    }
    machine
}

fn registration(key: Key) -> Registration {
    Registration {
        key: key.to_vec(),
        listeners: some_listeners(),
        timestamp: NOW,
        source: 1,
        client_key: Some(key),
    }
}

fn dns_tag(case: &Case) {
    let result = TxtRecord::parse(case.text("txt"));
    if case.has("panic") {
        let error = result.err().map(|error| error.to_string());
        return case.deviates(EMPTY_ADDRESS, "panic", error, "invalid IP Address");
    }
    match result {
        Ok(record) => {
            case.expect("error", Value::Null);
            let v4 = record.ipv4.map_or(String::new(), |ip| ip.to_string());
            let v6 = record.ipv6.map_or(String::new(), |ip| ip.to_string());
            case.expect("ipv4", v4);
            case.expect("ipv6", v6);
            case.expect("connect_port", record.connect_port);
            case.expect("rpc_port", record.rpc_port);
            case.expect("fingerprint", hex::encode(record.fingerprint));
            case.expect("public_key", hex::encode(record.public_key));
        }
        Err(error) => case.expect("error", error.to_string()),
    }
}

fn connection_from_text(case: &Case) {
    match Connection::from_text(case.text("text")) {
        Ok(connection) => {
            case.expect("error", Value::Null);
            case.expect("canonical", connection.endpoint());
            case.expect("is_ipv6", connection.is_ipv6());
            case.expect("packed", hex::encode(connection.pack()));
        }
        Err(error) => case.expect("error", error.to_string()),
    }
}

fn connection_unpack46(case: &Case) {
    let bytes = case.bytes("packed");
    if case.has("panic") {
        return deviating_pair(case, "panic", &bytes);
    }
    let pair = FirstOfEach::of(&bytes);
    case.expect("first_ipv4", text(pair.v4));
    case.expect("first_ipv6", text(pair.v6));
}

/// Whether ours stores and tells these.
fn is_sound(key: &[u8], addresses: &[u8]) -> bool {
    key.len() == 32
        && is_whole_list(addresses)
        && list(addresses).any(|connection| connection.is_usable())
}

fn backup_item(case: &Case) {
    let written = case.text("text");
    let result = Item::parse(written);
    let error = result.as_ref().err().map(ToString::to_string);
    if case.has("restore_panic") {
        // Cut short inside the key or inside the listeners.
        let promised = if written.len() < 2 * 33 {
            "not public key"
        } else {
            "invalid IP Address"
        };
        return case.deviates(PEER_FILE, "restore_panic", error, promised);
    }
    if case.has("listeners") {
        let (key, listeners) = (case.bytes("public_key"), case.bytes("listeners"));
        let timestamp: u64 = case.text("timestamp").parse().unwrap();
        case.expect("text", peer_file::pack(&key, &listeners, timestamp));
        let promised = if key.len() != 32 {
            json!("not public key")
        } else if is_sound(&key, &listeners) {
            Value::Null
        } else {
            json!("invalid IP Address")
        };
        let recorded = case.input("restore_error");
        let path = "restore_error";
        compare(case, PEER_FILE, path, recorded, &json!(error), &promised);
        if let Ok(item) = result {
            let same = (item.key.to_vec(), item.listeners, item.timestamp);
            if same != (key, listeners, timestamp) {
                case.fail("text", "other fields are read back");
            }
        }
    } else {
        case.expect("restore_error", error);
    }
}

fn backup_file(case: &Case) {
    let time: u64 = case.text("peer_timestamp").parse().unwrap();
    let count = usize::try_from(case.input("peers_in_tree").as_u64().unwrap()).unwrap();
    case.expect("backup_error", Value::Null);
    let written: Vec<String> = if case.has("file_text") {
        serde_json::from_str(case.text("file_text")).unwrap()
    } else {
        (0..count)
            .map(|n| peer_file::pack(&[u8::try_from(n).unwrap(); 32], &some_listeners(), time))
            .collect()
    };
    let items: Vec<Item> = written.iter().filter_map(|t| Item::parse(t).ok()).collect();
    if items.len() != count {
        return case.fail("file_text", "an entry cannot be read");
    }
    let mut table = PeerTable::new(items[0].key, BTreeSet::new());
    for item in &items[1..] {
        let news = News {
            key: &item.key,
            listeners: &item.listeners,
            timestamp: item.timestamp,
            source: 1,
            trust: Trust::Reached,
        };
        table.add(at(time), &Timing::default(), news).unwrap();
    }
    let own = &items[0];
    let file = peer_file::write(&own.key, &own.listeners, time, &table);
    case.expect("file_written", file.is_some());
    if let Some(file) = file {
        case.expect("file_text", file.clone());
        let (restored, faults) = peer_file::read(&file);
        let fault = faults.first().map(ToString::to_string);
        case.deviates(PEER_FILE, "restore_error", fault, Value::Null);
        case.deviates(PEER_FILE, "peers_after_restore", restored.len(), count);
    }
}

fn choose_connections(case: &Case) {
    let keys = keys_of(case.input("sorted_public_keys"));
    let this = usize::try_from(case.input("this_index").as_u64().unwrap()).unwrap();
    case.expect("tree_size", keys.len());
    let steps_to = |key: &Key| {
        let at = keys.iter().position(|other| other == key).unwrap();
        (at + keys.len() - this) % keys.len()
    };
    let order = |label: &str, key: &Key| json!({"label": label, "public_key": hex::encode(key), "steps_after_this_node": steps_to(key)});

    let own = keys[this];
    let others: Vec<Key> = keys.iter().filter(|key| **key != own).copied().collect();
    let mut out = Vec::new();
    machine(own, &others).step(at(NOW), Input::Reconnect, &mut out);
    let got: Vec<Value> = out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Connect(it) if it.label != Label::Kept => Some(order(it.label.text(), &it.key)),
            _ => None,
        })
        .collect();

    let recorded = case.input("orders_sent_to_connector");
    let successor = |steps: usize| keys[(this + steps) % keys.len()];
    let of_reference: Vec<Value> = reference_orders(keys.len())
        .iter()
        .map(|(label, steps)| order(label.text(), &successor(*steps)))
        .collect();
    case.expect_value("reference_orders", recorded, &json!(of_reference));
    let mut promised = of_reference;
    let peers = promised.iter().map(|o| o["public_key"].as_str());
    let distinct: BTreeSet<Option<&str>> = peers.collect();
    if keys.len() > 3 && distinct.len() < 3 {
        promised.push(order("fill", &successor(3)));
    }
    let path = "orders_sent_to_connector";
    compare(case, THREE, path, recorded, &json!(got), &json!(promised));
}

/// `zero`, `max`, `now-500`, `now+0`.
fn time_of(text: &str, now: u64) -> u64 {
    match text {
        "zero" => 0,
        "max" => u64::MAX,
        _ => now
            .checked_add_signed(text.strip_prefix("now").unwrap().parse().unwrap())
            .unwrap(),
    }
}

fn bytes_of(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn known_fields(case: &Case, step: &Value, path: &str, known: &[&str]) {
    for field in step.as_object().unwrap().keys() {
        if !known.contains(&field.as_str()) {
            case.fail(path, format!("{field} was not compared"));
        }
    }
}

fn peer_table(case: &Case) {
    let own = key_of(case.input("this_public_key"));
    let mut table = PeerTable::new(own, BTreeSet::new());
    let mut refused: BTreeSet<Vec<u8>> = BTreeSet::new();
    for (n, step) in case.input("steps").as_array().unwrap().iter().enumerate() {
        let path = |field: &str| format!("steps[{n}].{field}");
        let fields = [
            "accepted_and_to_be_relayed",
            "listeners",
            "public_key",
            "stored_timestamp_minus_now_s",
            "timestamp",
            "tree_size_after",
        ];
        known_fields(case, step, &path(""), &fields);
        let (key, listeners) = (bytes_of(&step["public_key"]), bytes_of(&step["listeners"]));
        let news = News {
            key: &key,
            listeners: &listeners,
            timestamp: time_of(step["timestamp"].as_str().unwrap(), NOW),
            source: 1,
            trust: Trust::Heard,
        };
        let accepted = table.add(at(NOW), &Timing::default(), news).is_ok();
        let entry = Key::try_from(key.as_slice())
            .ok()
            .and_then(|key| table.get(&key).cloned());
        let stored = entry.map(|entry| entry.time().cast_signed() - NOW.cast_signed());
        let size = table.len() + 1;

        let sound = is_sound(&key, &listeners) && key != own;
        if sound {
            refused.remove(&key);
        } else if key != own {
            refused.insert(key.clone());
        }
        let recorded_size = step["tree_size_after"].as_u64().unwrap();
        let promised_size = recorded_size - refused.len() as u64;
        for (field, got, promised) in [
            (
                fields[0],
                json!(accepted),
                if sound {
                    step[fields[0]].clone()
                } else {
                    json!(false)
                },
            ),
            (
                fields[3],
                json!(stored),
                if sound {
                    step[fields[3]].clone()
                } else {
                    Value::Null
                },
            ),
            (fields[5], json!(size), json!(promised_size)),
        ] {
            compare(case, WHOLE, &path(field), &step[field], &got, &promised);
        }
    }
}

fn peer_expiry(case: &Case) {
    case.set_aside("note", "says how the case was made");
    let age = case.input("age_s").as_u64().unwrap();
    let mut machine = machine([1; 32], &[]);
    let timing = Timing::default();
    let mut table = PeerTable::new([1; 32], BTreeSet::new());
    let news = News {
        key: &[2; 32],
        listeners: &some_listeners(),
        timestamp: NOW,
        source: 1,
        trust: Trust::Heard,
    };
    table.add(at(NOW), &timing, news).unwrap();
    table.expire(NOW + age, &timing);
    case.expect("peer_kept", table.get(&[2; 32]).is_some());
    let mut later = at(NOW + age);
    later.mono = timing.initial_ms;
    machine.step(later, Input::Wake, &mut Vec::new());
    let named = machine.register(later, &registration([3; 32]), &mut Vec::new());
    case.expect("own_entry_kept", named.key == [1; 32]);
}

/// Our rules for a client service, told once more: (addresses, time) by fingerprint.
#[derive(Default)]
struct Services(BTreeMap<Vec<u8>, (Vec<u8>, u64)>);

impl Services {
    fn add(&mut self, now: u64, own: &[u8], print: &[u8], addresses: &[u8], time: u64) -> bool {
        let time = if time == 0 || time > now { now } else { time };
        let sound = is_sound(print, addresses) && addresses.len() <= 100 && print != own;
        let soon = self.0.get(print).is_some_and(|(_, t)| time < t + 420);
        let taken = sound && !soon && now - time < 3300;
        if taken {
            self.0.insert(print.to_vec(), (addresses.to_vec(), time));
        }
        taken
    }
}

fn rpc_table(case: &Case) {
    let own = key_of(case.input("own_fingerprint"));
    let mut table = RpcTable::new();
    table.set_own(own, &some_listeners(), NOW);
    let mut model = Services::default();
    let mut now = NOW;
    for (n, step) in case.input("steps").as_array().unwrap().iter().enumerate() {
        let path = |field: &str| format!("steps[{n}].{field}");
        let fields = [
            "accepted_and_to_be_relayed",
            "addresses",
            "entry_age_set_before_call_s",
            "fingerprint",
            "list_size_after",
            "stored_addresses",
            "stored_timestamp_minus_now_s",
            "timestamp",
        ];
        known_fields(case, step, &path(""), &fields);
        let print = bytes_of(&step["fingerprint"]);
        let addresses = bytes_of(&step["addresses"]);
        if let Some(age) = step.get("entry_age_set_before_call_s") {
            // Here the clock moves instead of the entry.
            let stored = model.0.get(&print).map_or(now, |(_, time)| *time);
            now = stored + age.as_u64().unwrap();
        }
        let time = time_of(step["timestamp"].as_str().unwrap(), now);
        let accepted = table
            .add(now, &Timing::default(), &print, &addresses, time, 1)
            .is_ok();
        let promised = model.add(now, &own, &print, &addresses, time);
        let service = Key::try_from(print.as_slice())
            .ok()
            .and_then(|print| table.get(&print));
        let age = |time: u64| time.cast_signed() - now.cast_signed();
        let entry = model.0.get(&print);
        let rule = if is_sound(&print, &addresses) {
            RPC_TIME
        } else {
            WHOLE
        };
        for (field, got, promised) in [
            (
                "accepted_and_to_be_relayed",
                json!(accepted),
                json!(promised),
            ),
            (
                "list_size_after",
                json!(table.services().len()),
                json!(model.0.len() + 1),
            ),
            (
                "stored_addresses",
                json!(service.map(|service| hex::encode(service.addresses()))),
                json!(entry.map(|(addresses, _)| hex::encode(addresses))),
            ),
            (
                "stored_timestamp_minus_now_s",
                json!(service.map(|service| age(service.time()))),
                json!(entry.map(|(_, time)| age(*time))),
            ),
        ] {
            compare(case, rule, &path(field), &step[field], &got, &promised);
        }
    }
}

fn rpc_expiry(case: &Case) {
    let own = key_of(case.input("own_fingerprint"));
    let age = case.input("age_s").as_u64().unwrap();
    let aged = keys_of(case.input("aged_fingerprints"));
    let mut table = RpcTable::new();
    for print in keys_of(case.input("fingerprints_before")) {
        let time = if aged.contains(&print) {
            NOW - age
        } else {
            NOW
        };
        if print == own {
            table.set_own(own, &some_listeners(), time);
        } else {
            table
                .add(time, &Timing::default(), &print, &some_listeners(), time, 1)
                .unwrap();
        }
    }
    table.expire(NOW, &Timing::default());
    let after: Vec<String> = table
        .services()
        .iter()
        .map(|service| hex::encode(service.fingerprint()))
        .collect();
    case.expect("fingerprints_after_in_order", after);
}

fn rpc_fetch(case: &Case) {
    let expected: Value = serde_json::from_str(case.text("records_json")).unwrap();
    let mut table = RpcTable::new();
    for print in keys_of(case.input("fingerprints_in_list")) {
        let shown = expected
            .as_array()
            .into_iter()
            .flatten()
            .find(|record| record["fingerprint"] == hex::encode(print));
        let addresses = shown.map_or_else(some_listeners, |record| {
            let connections: Vec<Connection> = record["connections"]
                .as_array()
                .unwrap()
                .iter()
                .map(|text| Connection::from_text(text.as_str().unwrap()).unwrap())
                .collect();
            pack_list(&connections)
        });
        table
            .add(NOW, &Timing::default(), &print, &addresses, NOW, 1)
            .unwrap();
    }
    let start = case.input("start").as_u64().unwrap();
    let count = case.input("count").as_i64().unwrap();
    let (page, next, error) = match table.page(start, count) {
        Ok((page, next)) => (page, next, None),
        Err(error) => (Vec::new(), 0, Some(error.to_string())),
    };
    let shown = if page.is_empty() {
        "null".to_owned()
    } else {
        serde_json::to_string(&page).unwrap()
    };
    case.expect("records_json", shown);
    case.expect("next_start", next);
    case.expect("error", error);
}

fn random_peer(case: &Case) {
    let own = key_of(case.input("responder_public_key"));
    let requester = key_of(case.input("requester_public_key"));
    let keys = keys_of(case.input("keys_in_tree"));
    let others: Vec<Key> = keys.iter().filter(|key| **key != own).copied().collect();
    let mut machine = machine(own, &others);
    let trials = case.input("trials").as_u64().unwrap();
    let mut counts: BTreeMap<Key, u64> = BTreeMap::new();
    for _ in 0..trials {
        let named = machine.register(at(NOW), &registration(requester), &mut Vec::new());
        *counts.entry(named.key).or_default() += 1;
    }
    let named: u64 = counts.values().sum();
    let candidates: Vec<Key> = others.into_iter().filter(|key| *key != requester).collect();
    let failures = case.input("failures");
    compare(
        case,
        CANDIDATE,
        "failures",
        failures,
        &json!(trials - named),
        &json!(0),
    );
    let error = case.input("failure_error");
    if *failures != json!(0) {
        case.deviates_value(
            CANDIDATE,
            "failure_error",
            error,
            &Value::Null,
            &Value::Null,
        );
    }

    // Chance decides how often each is named: the same peers, each about as often as the others.
    let recorded = case.input("counts");
    let recorded_sum: u64 = recorded
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    let answered = trials - failures.as_u64().unwrap();
    case.expect_value("counts (sum)", &json!(recorded_sum), &json!(answered));
    let names = |keys: &[Key]| json!(keys.iter().map(hex::encode).collect::<BTreeSet<_>>());
    let recorded_names: BTreeSet<String> = recorded.as_object().unwrap().keys().cloned().collect();
    let got = names(&counts.keys().copied().collect::<Vec<_>>());
    let promised = if candidates.is_empty() {
        names(&[own])
    } else {
        names(&candidates)
    };
    let path = "counts";
    compare(
        case,
        CANDIDATE,
        path,
        &json!(recorded_names),
        &got,
        &promised,
    );
    let share = trials / counts.len().max(1) as u64;
    for (key, count) in &counts {
        if count.abs_diff(share) > share / 10 {
            case.fail(
                "counts",
                format!("{}: {count} of {trials}", hex::encode(key)),
            );
        }
    }
}

fn key_file(case: &Case) {
    let content = case.text("content");
    let error = |e: Option<KeyError>| e.map_or(Value::Null, |e| json!(e.to_string()));
    let public = PeerPublicKey::from_file(content);
    if case.has("key") {
        let key = public.as_ref().map(ToString::to_string);
        case.expect("key", key.unwrap_or_default());
    }
    case.expect("read_as_public_error", error(public.err()));
    let private = PeerPrivateKey::from_file(content);
    case.expect("read_as_private_error", error(private.err()));
}
