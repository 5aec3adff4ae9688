//! What single values cannot tell: whether they go together, with the chain and with this machine.
//! Each problem begins with the key it is about; all are told at once.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{Addresses, Nodes};
use super::{Config, Logging, PaymentUrl, Reservoir, Timing};
use crate::core::announce::peers::LISTENERS_LIMIT;
use crate::core::announce::rpcs::ADDRESSES_LIMIT;
use crate::core::keys::PublicKey;
use crate::core::wire::connection::LONG_RECORD;

/// Longest name of a Unix socket on every system we know.
const SOCKET_NAME_MAX: usize = 103;

/// Looks at everything that needs no other file.
pub(super) fn check(config: &Config, problems: &mut Vec<String>) {
    check_names(config, problems);
    check_addresses(config, problems);
    check_peers(config, problems);
    check_timing(config, problems);
    let of_sharing = config.mempool.check();
    problems.extend(
        of_sharing
            .iter()
            .map(|problem| format!("mempool.{problem}")),
    );
    check_reservoir(&config.reservoir, problems);
    check_logging(&config.logging, problems);
    check_proofing(config, problems);
    check_explorer(config, problems);
    check_payment(config, problems);
    let keys = &config.snapshot.trusted_keys;
    if !keys
        .iter()
        .all(|key| matches!(key.key, PublicKey::Ed25519(_)))
    {
        problems.push("snapshot.trusted_keys: an account of nobody signs nothing".to_owned());
    }
    for (key, count) in [
        (
            "client_rpc.maximum_connections",
            config.client_rpc.maximum_connections,
        ),
        (
            "https_rpc.maximum_connections",
            config.https_rpc.maximum_connections,
        ),
    ] {
        if count == 0 {
            problems.push(format!("{key}: at least 1"));
        }
    }
}

/// The watchers speak plain HTTP, with a daemon on this machine or behind a tunnel.
fn check_payment(config: &Config, problems: &mut Vec<String>) {
    for (key, daemon) in [
        ("payment.bitcoin.url", &config.payment.bitcoin),
        ("payment.litecoin.url", &config.payment.litecoin),
    ] {
        let wrong = daemon.as_ref().and_then(wrong_url);
        problems.extend(wrong.map(|what| format!("{key}: {what}")));
    }
}

/// What is wrong with a daemon's address. The text does not repeat the address: it is shown where
/// a password has no place.
fn wrong_url(daemon: &PaymentUrl) -> Option<&'static str> {
    let Some(rest) = daemon.url.strip_prefix("http://") else {
        return Some("it does not begin with http://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_odd = |byte: u8| !byte.is_ascii_graphic();
    if rest.contains('@') {
        Some("a name and a password have no place in it: REST needs none, and the log shows it")
    } else if host.is_empty() || host.starts_with(':') {
        Some("no host")
    } else if rest.contains(['?', '#']) {
        Some("it is the base of other addresses: nothing may follow a ? or a #")
    } else if rest.bytes().any(is_odd) {
        Some("a space, or a sign that is not ASCII")
    } else {
        None
    }
}

/// What everybody can read on the way goes to this machine alone.
fn check_explorer(config: &Config, problems: &mut Vec<String>) {
    let explorer = &config.explorer;
    if explorer.certificate.is_some() != explorer.private_key.is_some() {
        problems.push("explorer: certificate and private_key belong together".to_owned());
    }
    if explorer.certificate.is_some() {
        return;
    }
    let sockets = explorer.listen.iter().flat_map(|listen| listen.sockets());
    for socket in sockets.filter(|socket| !socket.ip().is_loopback()) {
        problems.push(format!(
            "explorer.listen: {socket} is not loopback; give explorer.certificate and \
             explorer.private_key, or put a proxy before 127.0.0.1"
        ));
    }
}

fn check_names(config: &Config, problems: &mut Vec<String>) {
    let name = config.database.name.as_deref().unwrap_or_default();
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if config.database.name.is_some() && !plain {
        problems.push(format!("database.name: {name:?} is not a plain name"));
    }
    let socket = &config.control.socket;
    let length = socket.as_os_str().len();
    if length > SOCKET_NAME_MAX {
        problems.push(format!(
            "control.socket: {} has {length} bytes, a socket's name at most {SOCKET_NAME_MAX}",
            socket.display()
        ));
    }
    if config.nodes == Nodes::Chain && config.chain.domain().is_none() {
        problems.push(format!(
            "nodes: chain {:?} has no domain; use \"none\" or name one",
            config.chain.name()
        ));
    }
}

fn check_addresses(config: &Config, problems: &mut Vec<String>) {
    if config.peering.listen.is_empty() {
        problems.push("peering.listen: invalid length, at least one address".to_owned());
    }
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut once = |key: &'static str, text: String| {
        if let Some(other) = seen.insert(text.clone(), key) {
            problems.push(format!("{key}: {text} is in {other} already"));
        }
    };
    for (key, list) in [
        ("peering.listen", &config.peering.listen),
        ("publishing.broadcast", &config.publishing.broadcast),
        ("proofing.publish", &config.proofing.publish),
        ("proofing.submit", &config.proofing.submit),
    ] {
        for address in list.iter() {
            once(key, address.canonical());
        }
    }
    for (key, list) in [
        ("client_rpc.listen", &config.client_rpc.listen),
        ("https_rpc.listen", &config.https_rpc.listen),
        ("explorer.listen", &config.explorer.listen),
    ] {
        for socket in list.iter().flat_map(|address| address.sockets()) {
            once(key, socket.to_string());
        }
    }
    let mut fits = |key: &str, list: &Addresses, limit: usize| {
        let most = limit / usize::from(LONG_RECORD);
        if list.len() > most {
            problems.push(format!("{key}: more than {most} addresses are not heard"));
        }
    };
    fits(
        "peering.announce",
        &config.peering.announce,
        LISTENERS_LIMIT,
    );
    fits(
        "client_rpc.announce",
        &config.client_rpc.announce,
        ADDRESSES_LIMIT,
    );
}

fn check_peers(config: &Config, problems: &mut Vec<String>) {
    for (key, list) in [
        ("peering.connect", &config.peering.connect),
        ("subscribing.connect", &config.subscribing.connect),
    ] {
        let mut keys = BTreeSet::new();
        for peer in list {
            if !keys.insert(peer.public_key) {
                problems.push(format!("{key}: {:?} is there twice", peer.public_key));
            }
        }
    }
    let peering = &config.peering;
    let nobody = !peering.dynamic_connections && peering.connect.is_empty();
    let follows = config.timing.minimum_upstreams == 0 && !config.subscribing.connect.is_empty();
    if nobody && !follows {
        problems.push(
            "peering.connect: no connections available, and dynamic_connections is off".to_owned(),
        );
    }
}

fn check_timing(config: &Config, problems: &mut Vec<String>) {
    let of_itself = config.timing.check();
    problems.extend(of_itself.iter().map(|problem| format!("timing.{problem}")));
    let Timing {
        minimum_upstreams,
        dynamic_upstreams,
        ..
    } = config.timing;
    let dynamic = if config.peering.dynamic_connections {
        dynamic_upstreams
    } else {
        0
    };
    let most = config.peering.connect.len().saturating_add(dynamic);
    if minimum_upstreams > most {
        problems.push(format!(
            "timing.minimum_upstreams: {minimum_upstreams}, but there can be {most}"
        ));
    }
}

fn check_reservoir(caps: &Reservoir, problems: &mut Vec<String>) {
    let Reservoir {
        pending_records,
        pending_mebibytes,
        peer_share_percent,
        sets_per_owner,
        assets,
        orphan_payments,
    } = *caps;
    for (key, cap) in [
        ("pending_records", pending_records),
        ("pending_mebibytes", pending_mebibytes),
        ("peer_share_percent", peer_share_percent),
        ("sets_per_owner", sets_per_owner),
        ("assets", assets),
        ("orphan_payments", orphan_payments),
    ] {
        if cap == 0 {
            problems.push(format!("reservoir.{key}: at least 1"));
        }
    }
    if peer_share_percent > 100 {
        problems.push("reservoir.peer_share_percent: at most 100".to_owned());
    }
}

/// Looks at the log, of the node or the miner.
pub(super) fn check_logging(logging: &Logging, problems: &mut Vec<String>) {
    if logging.file.is_empty() || logging.file.contains('/') {
        problems.push(format!(
            "logging.file: {:?} is not a plain name",
            logging.file
        ));
    }
    if logging.count == 0 {
        problems.push("logging.count: at least 1".to_owned());
    }
    if logging.size < 1024 {
        problems.push("logging.size: at least 1024 bytes".to_owned());
    }
}

fn check_proofing(_config: &Config, _problems: &mut Vec<String>) {}
