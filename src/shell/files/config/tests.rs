//! The sample file against the structs, and each check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use super::*;

const MINIMUM: &str = "data_directory = \".\"\nnodes = \"none\"\npeering.listen = \"[::1]:2136\"\n";

fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bitmarkd.conf");
    fs::write(&path, text).unwrap();
    Config::load(&path, &Variables::default()).map_err(|error| {
        error
            .to_string()
            .replace(&folder.path().display().to_string(), "DIR")
    })
}

/// What is wrong when `lines` are added to a good file.
fn problem(lines: &str) -> String {
    match load(&format!("{MINIMUM}{lines}")) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error,
    }
}

/// The sample with every default and example switched on.
fn full_sample() -> String {
    let switched_on = |line: &str| {
        let bare = line.strip_prefix('#').unwrap_or(line);
        let is_setting = bare.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[');
        if is_setting { bare } else { line }.to_owned() + "\n"
    };
    SAMPLE.lines().map(switched_on).collect()
}

/// Every leaf of a document by its path; the first element stands for a list of tables.
fn leaves(value: &Value, path: &str, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                leaves(value, &format!("{path}.{key}"), out);
            }
        }
        Value::Array(list) if list.first().is_some_and(Value::is_object) => {
            leaves(&list[0], path, out);
        }
        _ => {
            out.insert(path.to_owned(), value.clone());
        }
    }
}

fn leaves_of(config: &Config) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    leaves(&serde_json::to_value(config).unwrap(), "", &mut out);
    out
}

#[test]
fn the_sample_is_a_configuration_that_starts() {
    let config = load(SAMPLE).unwrap();
    assert_eq!(config.peering.listen.len(), 2);
    assert!(config.data_directory.is_absolute());
    let name = config.peering.private_key.file_name().unwrap();
    assert_eq!(name, "peer.private");
    assert!(config.peering.private_key.is_absolute());
    assert_eq!(config.database.name.as_deref(), Some("bitmark"));
    let peers = config.peer_file.unwrap();
    assert_eq!(peers.file_name().unwrap(), "peers-bitmark.json");
}

#[test]
fn the_sample_holds_every_key_and_no_other() {
    let sample: toml::Table = full_sample().parse().unwrap();
    let mut written = BTreeMap::new();
    leaves(&serde_json::to_value(&sample).unwrap(), "", &mut written);
    let config = Config::parse("sample", &full_sample(), &Variables::default()).unwrap();
    let known: BTreeSet<String> = leaves_of(&config).into_keys().collect();
    assert_eq!(written.into_keys().collect::<BTreeSet<_>>(), known);
}

#[test]
fn each_key_of_the_sample_has_a_comment_above_it() {
    let mut described = false;
    for line in SAMPLE.lines() {
        let is_comment = line.starts_with("# ") || line == "#";
        let is_section = line.trim_start_matches('#').starts_with('[');
        assert!(
            described || line.is_empty() || is_comment || is_section || section_has_words(line),
            "{line}"
        );
        described = is_comment || (described && !line.is_empty());
    }
}

/// Keys that say all themselves.
fn section_has_words(line: &str) -> bool {
    let key = line.trim_start_matches('#').split(' ').next().unwrap();
    [
        "directory",
        "file",
        "certificate",
        "private_key",
        "maximum_connections",
        "listen",
        "public_key",
        "address",
        "sub_endpoint",
        "req_endpoint",
        "url",
        "bitcoin",
        "litecoin",
        "DEFAULT",
    ]
    .contains(&key)
}

#[test]
fn the_defaults_of_the_sample_are_those_of_the_node() {
    let full = Config::parse("full", &full_sample(), &Variables::default()).unwrap();
    let plain = Config::parse("plain", SAMPLE, &Variables::default()).unwrap();
    let plain = leaves_of(&plain);
    for (path, shown) in leaves_of(&full) {
        let Some(default) = plain.get(&path) else {
            continue;
        };
        let is_example = default.is_null() || *default == Value::Array(Vec::new());
        assert!(is_example || *default == shown, "{path}: {default} {shown}");
    }
}

#[test]
fn a_small_file_has_the_rest_by_default() {
    let config = Config::parse("small", MINIMUM, &Variables::default()).unwrap();
    assert_eq!(config.timing, Timing::default());
    assert_eq!(
        config.timing.announce(),
        crate::core::announce::Timing::default()
    );
    assert_eq!(config.peering.public_key, Path::new("peer.public"));
    assert_eq!(config.proofing.private_key, Path::new("proof.private"));
    assert!(!config.proofing.is_on());
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let text = problem("[timing]\nconector_cycle_ms = 5\n");
    assert!(text.contains("line 5"), "{text}");
    assert!(text.contains("unknown field `conector_cycle_ms`"), "{text}");
    let text = problem("[[peering.connect]]\npublic_kee = 1\n");
    assert!(
        text.contains("line 5") && text.contains("public_kee"),
        "{text}"
    );
}

#[test]
fn a_bad_value_is_named_with_its_line() {
    for (lines, why) in [
        ("chain = \"lokal\"", "\"lokal\": invalid chain"),
        ("publishing.broadcast = \"1.2.3.4\"", "invalid IP Address"),
        (
            "publishing.broadcast = [\"1.2.3.4:0\"]",
            "invalid port number",
        ),
        (
            "client_rpc.listen = [\"localhost:1\"]",
            "an IP address is wanted",
        ),
        ("peering.allow = [\"12\"]", "64 hex digits"),
        ("https_rpc.allow.peers = \"host\"", "invalid IP Address"),
        ("logging.levels.DEFAULT = \"loud\"", "unknown variant"),
    ] {
        let text = problem(lines);
        assert!(text.contains("line 4") && text.contains(why), "{text}");
    }
}

#[test]
fn what_does_not_go_together_is_told_all_at_once() {
    let text = problem(
        "chain = \"devnet\"\ndatabase.name = \"a/b\"\ntiming.heartbeat_ms = 120000\ntiming.minimum_upstreams = 11\n",
    );
    for key in [
        "database.name",
        "timing.heartbeat_ms",
        "timing.minimum_upstreams",
    ] {
        assert!(text.contains(&format!("\n  {key}: ")), "{text}");
    }
}

#[test]
fn the_explorer_is_plain_on_loopback_alone() {
    let text = problem("explorer.listen = [\"127.0.0.1:2132\", \"[::1]:2132\", \":2133\"]\n");
    assert!(text.contains("0.0.0.0:2133 is not loopback"), "{text}");
    assert!(!text.contains("127.0.0.1:2132 is not"), "{text}");
    let text = problem("explorer.certificate = \"a\"\n");
    assert!(text.contains("belong together"), "{text}");
}

#[test]
fn daemons_are_asked_over_plain_http() {
    let text = problem("payment.bitcoin.url = \"https://127.0.0.1:8332/rest\"\n");
    assert!(text.contains("payment.bitcoin.url"), "{text}");
}

#[test]
fn a_daemons_address_has_no_password_and_nothing_behind_its_path() {
    let told = |url: &str| problem(&format!("payment.litecoin.url = \"{url}\"\n"));
    for url in [
        "http://name:secret@127.0.0.1:9332/rest",
        "http://secret@127.0.0.1:9332/rest",
        "http://name:sec/secret@127.0.0.1:9332/rest",
        "ftp://name:secret@127.0.0.1:9332/rest",
    ] {
        let text = told(url);
        assert!(text.contains("payment.litecoin.url: "), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    for url in [
        "http://127.0.0.1:9332/rest?x=1#y",
        "http://127.0.0.1:9332/rest#y",
        "http://127.0.0.1:9332?x=1",
        "http:///rest",
        "http://:9332/rest",
        "http://127.0.0.1:9332/re st",
    ] {
        let text = told(url);
        assert!(text.contains("payment.litecoin.url: "), "{url}: {text}");
    }
}

#[test]
fn each_check_names_its_key() {
    let long = format!("control.socket = \"{}\"", "x".repeat(104));
    let many = format!("client_rpc.announce = {:?}", ["1.2.3.4:5"; 6]);
    let peer = "[[peering.connect]]\npublic_key = \"781d78a9eb338a511ae88a9be5383095ede46445596506e29ad8f022a3f8596e\"\naddress = \"a:1\"\n";
    let twice = peer.repeat(2);
    for (lines, why) in [
        (long.as_str(), "control.socket: "),
        (many.as_str(), "client_rpc.announce: more than 5"),
        (twice.as_str(), "is there twice"),
        (
            "publishing.broadcast = \"[0::1]:2136\"",
            "publishing.broadcast: [::1]:2136 is in peering.listen already",
        ),
        (
            "peering.dynamic_connections = false\ntiming.minimum_upstreams = 0",
            "no connections available",
        ),
        (
            "client_rpc.maximum_connections = 0",
            "client_rpc.maximum_connections: at least 1",
        ),
        (
            "reservoir.peer_share_percent = 101",
            "reservoir.peer_share_percent: at most 100",
        ),
        ("reservoir.assets = 0", "reservoir.assets: at least 1"),
        ("logging.count = 0", "logging.count: at least 1"),
        ("logging.file = \"a/b\"", "logging.file: "),
        (
            "timing.rebroadcast_ms = 0",
            "timing.rebroadcast_ms: at least 1",
        ),
        (
            "timing.announce_expiry_s = 660",
            "timing.announce_interval_ms: not below",
        ),
    ] {
        let text = problem(lines);
        assert!(text.contains(why), "{lines}: {text}");
    }
    let text = load("data_directory = \".\"\nnodes = \"none\"\n").unwrap_err();
    assert!(text.contains("peering.listen: invalid length"), "{text}");
    let text = load("data_directory = \".\"\nnodes = \"\"\n").unwrap_err();
    assert!(text.contains("line 2"), "{text}");
    let text = load(&MINIMUM.replace("none", "chain")).map(|_| ());
    assert_eq!(text, Ok(()));
    let devnet = format!("chain = \"devnet\"\n{}", MINIMUM.replace("none", "chain"));
    assert!(
        load(&devnet)
            .unwrap_err()
            .contains("nodes: chain \"devnet\" has no domain")
    );
}

#[test]
fn the_data_directory_must_be_a_directory() {
    for (given, why) in [
        ("", "name a directory"),
        ("~", "name a directory"),
        ("nowhere", "DIR/nowhere: No such file"),
        ("bitmarkd.conf", "is no directory"),
    ] {
        let text = MINIMUM.replace("\".\"", &format!("{given:?}"));
        let error = load(&text).unwrap_err();
        assert!(
            error.contains("data_directory: ") && error.contains(why),
            "{error}"
        );
    }
}

#[test]
fn empty_announcements_are_passed_over_and_one_text_is_a_list() {
    let config = load(&format!(
        "{MINIMUM}peering.announce = [\"\", \"a.example:5\", \" \"]\nclient_rpc.announce = \"\"\nclient_rpc.listen = [\":2130\"]\nhttps_rpc.allow.details = [\"[::1]\"]\n"
    ))
    .unwrap();
    assert_eq!(config.peering.announce.len(), 1);
    assert!(config.client_rpc.announce.is_empty());
    assert_eq!(config.client_rpc.listen[0].sockets().len(), 2);
    assert_eq!(config.https_rpc.allow.details[0].to_string(), "::1");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/x.conf"), &Variables::default()).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/x.conf: "));
}

#[test]
fn the_miner_has_a_configuration_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorderd.conf");
    let text = "data_directory = \".\"\nchain = \"Local\"\nthreads = 2\n[peering]\npublic_key = \"r.public\"\nprivate_key = \"r.private\"\n";
    fs::write(&path, text.to_owned() + "connect = []\n").unwrap();
    let error = RecorderConfig::load(&path, &Variables::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("peering.connect: invalid length")
    );
    let node = "[[peering.connect]]\npublic_key = \"781d78a9eb338a511ae88a9be5383095ede46445596506e29ad8f022a3f8596e\"\nblocks = \"[::1]:2140\"\nsubmit = \"[::1]:2141\"\n";
    fs::write(&path, text.to_owned() + node).unwrap();
    let config = RecorderConfig::load(&path, &Variables::default()).unwrap();
    assert_eq!(config.chain.name(), "local");
    assert_eq!(config.logging.file, "recorderd.log");
    assert!(config.peering.private_key.is_absolute());
}
