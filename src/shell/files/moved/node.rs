//! `bitmarkd.conf`.

use super::logging;
use super::written::quoted;
use super::{Converted, Fields, Found, Note, Origin, Work};
use crate::shell::files::config::{Address, HexKey, ListenAddress, Nodes};
use crate::shell::files::ucl::{Document, Place, Text, shortened};

/// Peers that both programs want before they synchronise.
const PEERS_WANTED: usize = 3;

/// A configuration of the reference's node as one of ours.
///
/// # Errors
/// What cannot be had here, or means nothing; all of it is told.
pub fn node(document: &Document, origin: &Origin) -> Result<Converted, Vec<Note>> {
    let mut work = Work::new("bitmarkd", document, origin);
    let mut root = Fields::new(&document.root);
    work.data_directory(&mut root);
    work.pidfile(&mut root);
    let chain = work.chain(&mut root);
    nodes(&mut work, &mut root);
    files_of_chain(&mut work, &mut root, &chain);
    client_rpc(&mut work, &mut root);
    https_rpc(&mut work, &mut root);
    let wanted = peering(&mut work, &mut root);
    publishing(&mut work, &mut root);
    proofing(&mut work, &mut root);
    payment(&mut work, &mut root);
    logging::node(&mut work, &mut root);
    if let Some(wanted) = wanted {
        work.out.section("timing");
        work.out.set("minimum_upstreams", &wanted.to_string(), None);
    }
    work.finish(&root)
}

fn nodes(work: &mut Work<'_>, root: &mut Fields<'_>) {
    match root.text("nodes", &mut work.report) {
        Some(found) if work.checked::<Nodes>("nodes", &found) => work.out.text("nodes", &found),
        Some(_) => {}
        None => {
            let place = Place {
                file: None,
                line: 1,
            };
            let told = "is not there, and has to be: none, chain or a domain";
            work.report.problem("nodes", &place, told);
        }
    }
}

/// The store, and what goes with it. While the store has no name of its own, the reference takes all
/// three names from the chain, whatever else is given.
fn files_of_chain(work: &mut Work<'_>, root: &mut Fields<'_>, chain: &str) {
    let peers = root.text("peer_file", &mut work.report);
    let reservoir = root.text("reservoir_file", &mut work.report);
    let mut database = root.section("database", &mut work.report);
    let name = database
        .as_mut()
        .and_then(|database| database.text("name", &mut work.report));
    let is_default = name
        .as_ref()
        .is_none_or(|name| name.value.value() == "bitmark");
    let is_overruled = is_default && chain != "bitmark";
    match peers {
        Some(found) if is_overruled => {
            let told = format!(
                "the reference takes peers-{chain}.json all the same, since database.name is not set, and so does this; write peer_file here to have another one"
            );
            work.tell("peer_file", &found.place, &told);
        }
        Some(found) => work.named_file("peer_file", "peer_file", &found),
        None if !is_overruled && chain != "bitmark" => {
            work.default("peer_file", "peers-bitmark.json")
        }
        None => {}
    }
    pending(work, reservoir.as_ref(), name.as_ref(), chain, is_overruled);
    let Some(mut database) = database else {
        return;
    };
    work.out.section("database");
    work.path(&mut database, "directory", "data", "data");
    if let Some(found) = name.as_ref().filter(|_| is_default) {
        work.tell_frozen("database.name", found);
    }
    if let Some(found) = name.filter(|_| !is_default) {
        if found.value.value().contains('/') {
            work.report
                .problem("database.name", &found.place, "not a plain name");
        }
        work.out.text("name", &found);
    }
    database.finish(&mut work.report);
}

/// What is pending is in a file there that is not used here, and that `import` reads: it looks for the
/// usual names by itself.
fn pending(
    work: &mut Work<'_>,
    given: Option<&Found<Text>>,
    name: Option<&Found<Text>>,
    chain: &str,
    is_overruled: bool,
) {
    let file = match given {
        _ if is_overruled => format!("reservoir-{chain}.cache"),
        Some(found) => found.value.value(),
        None => "reservoir-bitmark.cache".to_owned(),
    };
    let usual = ["cache", "json"].into_iter().any(|end| {
        file == format!("reservoir-{chain}.{end}") || file == format!("reservoir.{end}")
    });
    let how = if usual {
        "`bitmarkd import` finds it".to_owned()
    } else {
        "`bitmarkd import` reads it with --reservoir and this name".to_owned()
    };
    let told = format!(
        "there is none here, for the store keeps what is pending; what the reference's node left is in {}: {how}",
        work.data.join(&file).display()
    );
    match (given, name) {
        (Some(found), _) => work.tell("reservoir_file", &found.place, &told),
        (None, Some(name)) if !usual => work.tell("database.name", &name.place, &told),
        _ => {}
    }
}

/// Certificate and key, and how many may come.
fn service(work: &mut Work<'_>, fields: &mut Fields<'_>) {
    work.number(fields, "maximum_connections");
    work.addresses::<ListenAddress>(fields, "listen");
    work.path(fields, "certificate", "rpc.crt", "rpc.crt");
    work.path(fields, "private_key", "rpc.key", "rpc.key");
}

fn client_rpc(work: &mut Work<'_>, root: &mut Fields<'_>) {
    let Some(mut fields) = root.section("client_rpc", &mut work.report) else {
        return;
    };
    work.out.section("client_rpc");
    service(work, &mut fields);
    work.addresses::<Address>(&mut fields, "announce");
    fields.finish(&mut work.report);
}

fn https_rpc(work: &mut Work<'_>, root: &mut Fields<'_>) {
    let Some(mut fields) = root.section("https_rpc", &mut work.report) else {
        return;
    };
    work.out.section("https_rpc");
    service(work, &mut fields);
    if let Some(mut allow) = fields.section("allow", &mut work.report) {
        work.out.section("https_rpc.allow");
        for key in ["details", "connections", "peers"] {
            allowed(work, &mut allow, key);
        }
        allow.finish(&mut work.report);
    }
    fields.finish(&mut work.report);
}

/// Who may see a page. What is no IP address counts for nothing in the reference, and so does a key
/// in other letters of case.
fn allowed(work: &mut Work<'_>, allow: &mut Fields<'_>, key: &'static str) {
    for (other, place) in allow.other_spellings(key) {
        let told = format!(
            "in these letters it lets nobody in in the reference, which knows {key} alone; to let them in, write them to {key} here"
        );
        work.tell(&allow.key(&other), &place, &told);
    }
    let Some(list) = allow.exact_list(key, &mut work.report) else {
        return;
    };
    let is_ip = |found: &Found<Text>| {
        let text = found.value.value();
        text.trim().parse::<std::net::IpAddr>().is_ok()
    };
    let (mut kept, passed): (Vec<_>, Vec<_>) = list.into_iter().partition(is_ip);
    for found in passed {
        work.tell_frozen(&allow.key(key), &found);
        let text = found.value.value();
        let told = format!(
            "{:?} is no IP address, and the reference lets nobody in for it; to allow it, write the address alone, an IPv6 one without brackets",
            shortened(&text)
        );
        work.tell(&allow.key(key), &found.place, &told);
    }
    for found in &mut kept {
        // Blanks around it are none of it there, and not allowed here.
        let trimmed = found.value.trimmed();
        if trimmed.variables() != found.value.variables() {
            work.tell_frozen(&allow.key(key), found);
        }
        found.value = trimmed;
    }
    work.out.list(key, &kept);
}

/// The files of a pair of keys. The reference's defaults have the two names the wrong way round.
fn key_files(work: &mut Work<'_>, fields: &mut Fields<'_>, name: &str) {
    let (public, private) = (format!("{name}.public"), format!("{name}.private"));
    work.path(fields, "public_key", &private, &public);
    work.path(fields, "private_key", &public, &private);
}

/// Gives the peers that have to be enough, where there can be no more.
fn peering(work: &mut Work<'_>, root: &mut Fields<'_>) -> Option<usize> {
    let mut fields = root.section("peering", &mut work.report)?;
    work.out.section("peering");
    let is_dynamic = fields.boolean("dynamic_connections", &mut work.report);
    if let Some(found) = &is_dynamic {
        let value = found.value.to_string();
        work.out
            .set("dynamic_connections", &value, Some(&found.place));
    }
    work.boolean(&mut fields, "prefer_ipv6");
    work.addresses::<Address>(&mut fields, "listen");
    work.addresses::<Address>(&mut fields, "announce");
    key_files(work, &mut fields, "peer");
    let connect = fields.each("connect", &mut work.report);
    let count = connect.len();
    let wanted = is_dynamic
        .filter(|dynamic| !dynamic.value && (1..PEERS_WANTED).contains(&count))
        .map(|dynamic| {
            let told = format!(
                "off, and only {count} in peering.connect: the reference waits for {PEERS_WANTED} and never synchronises. Here timing.minimum_upstreams is {count}, so that it does; set more peers if you can"
            );
            work.tell("peering.dynamic_connections", &dynamic.place, &told);
            count
        });
    for mut peer in connect {
        work.out.one_more("peering.connect");
        one_of(work, &mut peer, &["address"]);
    }
    fields.finish(&mut work.report);
    wanted
}

/// One peer: its key and its addresses, all of which have to be there.
pub(super) fn one_of(work: &mut Work<'_>, peer: &mut Fields<'_>, addresses: &[&str]) {
    let key = "public_key";
    match required(work, peer, key) {
        Some(found) if work.checked::<HexKey>(&peer.key(key), &found) => work.out.text(key, &found),
        _ => {}
    }
    addresses_of(work, peer, addresses);
    peer.finish(&mut work.report);
}

/// A text without which nothing is made.
fn required(work: &mut Work<'_>, fields: &mut Fields<'_>, key: &str) -> Option<Found<Text>> {
    if !fields.has(key) {
        missing(work, &fields.key(key), fields.place());
        return None;
    }
    fields.text(key, &mut work.report)
}

/// Tells that a key is not there.
pub(super) fn missing(work: &mut Work<'_>, key: &str, place: &Place) {
    work.report
        .problem(key, place, "is not there, and has to be");
}

/// Addresses, all of which have to be there.
fn addresses_of(work: &mut Work<'_>, fields: &mut Fields<'_>, keys: &[&str]) {
    for key in keys {
        if let Some(found) = required(work, fields, key)
            && work.checked::<Address>(&fields.key(key), &found)
        {
            work.out.text(key, &found);
        }
    }
}

fn publishing(work: &mut Work<'_>, root: &mut Fields<'_>) {
    let Some(mut fields) = root.section("publishing", &mut work.report) else {
        return;
    };
    work.out.section("publishing");
    work.addresses::<Address>(&mut fields, "broadcast");
    key_files(work, &mut fields, "peer");
    fields.finish(&mut work.report);
}

fn proofing(work: &mut Work<'_>, root: &mut Fields<'_>) {
    let Some(mut fields) = root.section("proofing", &mut work.report) else {
        return;
    };
    work.out.section("proofing");
    work.addresses::<Address>(&mut fields, "publish");
    work.addresses::<Address>(&mut fields, "submit");
    key_files(work, &mut fields, "proof");
    work.path(&mut fields, "signing_key", "proof.sign", "proof.sign");
    if let Some(mut addresses) = fields.section("payment_address", &mut work.report) {
        work.out.section("proofing.payment_address");
        let mut seen = Vec::new();
        for (name, found) in addresses.map(&mut work.report) {
            let whole = addresses.key(&shortened(&name));
            let currency = match name.to_lowercase().as_str() {
                "bitcoin" | "btc" => "bitcoin",
                "litecoin" | "ltc" => "litecoin",
                _ => {
                    let told = "no currency: bitcoin or litecoin is wanted";
                    work.report.problem(&whole, &found.place, told);
                    continue;
                }
            };
            if seen.contains(&currency) {
                let told = format!("{currency} is there by another name, too; take one away");
                work.report.problem(&whole, &found.place, &told);
                continue;
            }
            seen.push(currency);
            work.out.text(currency, &found);
        }
    }
    fields.finish(&mut work.report);
}

fn payment(work: &mut Work<'_>, root: &mut Fields<'_>) {
    let Some(mut fields) = root.section("payment", &mut work.report) else {
        return;
    };
    work.out.section("payment");
    work.boolean(&mut fields, "use_discovery");
    if let Some(mut discovery) = fields.last_section("discovery", &mut work.report) {
        work.out.section("payment.discovery");
        addresses_of(work, &mut discovery, &["sub_endpoint", "req_endpoint"]);
        discovery.finish(&mut work.report);
    }
    for currency in ["bitcoin", "litecoin"] {
        if let Some(mut daemon) = fields.last_section(currency, &mut work.report) {
            work.out.section(&format!("payment.{currency}"));
            match daemon.text("url", &mut work.report) {
                Some(found) => work.out.text("url", &found),
                None => work.out.set("url", &quoted(""), None),
            }
            daemon.finish(&mut work.report);
        }
    }
    fields.finish(&mut work.report);
}
