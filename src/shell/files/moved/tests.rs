use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::shell::files::config::{Config, Level, RecorderConfig, Variables};
use crate::shell::files::ucl;

const FILE: &str = "/srv/node/node.conf";
const KEY: &str = "781d78a9eb338a511ae88a9be5383095ede46445596506e29ad8f022a3f8596e";

fn origin(same_folder: bool) -> Origin {
    Origin {
        file: FILE.into(),
        same_folder,
        working_directory: "/home/op".into(),
    }
}

fn read(text: &str, variables: &Variables) -> ucl::Document {
    let input = ucl::Input {
        path: Path::new(FILE),
        variables: &variables.values(),
        open: &mut |_| Err(std::io::ErrorKind::NotFound.into()),
    };
    ucl::read(text.as_bytes(), input).unwrap()
}

/// Variables of a start.
fn set(texts: &[&str]) -> Variables {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    Variables::new(&texts, []).unwrap()
}

/// What comes out, read by our own reader, with its warnings.
#[track_caller]
fn converted(text: &str) -> (Config, Vec<String>) {
    let variables = set(&[]);
    let made = node(&read(text, &variables), &origin(true)).unwrap();
    let config = Config::check_text(Path::new("/srv/node/new.toml"), &made.text, &variables);
    let config = config.unwrap_or_else(|error| panic!("{error}\n{}", made.text));
    let warnings = made.warnings.iter().map(ToString::to_string).collect();
    (config, warnings)
}

#[track_caller]
fn problems(text: &str) -> Vec<String> {
    let notes = node(&read(text, &set(&[])), &origin(true)).unwrap_err();
    notes.iter().map(ToString::to_string).collect()
}

/// The shortest file that our node starts with.
const SHORT: &str = "data_directory = \".\"\nnodes = none\npeering { listen = 127.0.0.1:2136 }\n";

fn short(more: &str) -> String {
    format!("{SHORT}{more}")
}

#[test]
fn every_setting_arrives_under_our_name() {
    let text = format!(
        r#"
data_directory = "/var/lib/node"
pidfile = node.pid
chain = TESTING
nodes = nodes.example.org
peer_file = known.json
database {{ directory = store; name = mine }}
client_rpc {{
  maximum_connections = 1k
  listen = 127.0.0.1:2130
  listen = "[::1]:2130"
  announce = 198.51.100.7:2130
  certificate = a.crt
  private_key = a.key
}}
https_rpc {{
  maximum_connections = 5
  listen = [ ":2131" ]
  allow {{ details = 127.0.0.1, details = "::1"; peers = 10.0.0.1 }}
}}
peering {{
  dynamic_connections = no
  prefer_ipv6 = off
  listen = 127.0.0.1:2136
  announce = ["198.51.100.7:2136", ""]
  public_key = p.public
  private_key = p.private
  connect = {{ public_key = "{KEY}", address = "node.example.org:2136" }}
  connect {{
    public_key = "{}"
    address = 127.0.0.1:3136
  }}
  connect {{ public_key = {}, address = 127.0.0.1:4136 }}
}}
publishing {{ broadcast = 127.0.0.1:2135; public_key = q.public; private_key = q.private }}
proofing {{
  publish = 127.0.0.1:2140
  submit = 127.0.0.1:2141
  public_key = r.public
  private_key = r.private
  signing_key = r.sign
  payment_address {{ BTC = one; litecoin = "two" }}
}}
payment {{
  use_discovery = yes
  discovery {{ sub_endpoint = 127.0.0.1:5566; req_endpoint = 127.0.0.1:5567 }}
  bitcoin {{ url = http://127.0.0.1:18333/rest }}
  litecoin {{ url = http://127.0.0.1:9332/rest }}
}}
logging {{ directory = logs; file = n.log; size = 2mb; count = 20; console = on; levels {{ DEFAULT = warn }} }}
"#,
        "b".repeat(64),
        "c".repeat(64)
    );
    let (config, warnings) = converted(&text);
    let toml = format!(
        r#"
data_directory = "/var/lib/node"
pidfile = "node.pid"
chain = "testing"
nodes = "nodes.example.org"
peer_file = "known.json"
[database]
directory = "store"
name = "mine"
[client_rpc]
maximum_connections = 1000
listen = ["127.0.0.1:2130", "[::1]:2130"]
announce = "198.51.100.7:2130"
certificate = "a.crt"
private_key = "a.key"
[https_rpc]
maximum_connections = 5
listen = [":2131"]
[https_rpc.allow]
details = ["127.0.0.1", "::1"]
peers = "10.0.0.1"
[peering]
dynamic_connections = false
prefer_ipv6 = false
listen = "127.0.0.1:2136"
announce = "198.51.100.7:2136"
public_key = "p.public"
private_key = "p.private"
[[peering.connect]]
public_key = "{KEY}"
address = "node.example.org:2136"
[[peering.connect]]
public_key = "{}"
address = "127.0.0.1:3136"
[[peering.connect]]
public_key = "{}"
address = "127.0.0.1:4136"
[publishing]
broadcast = "127.0.0.1:2135"
public_key = "q.public"
private_key = "q.private"
[proofing]
publish = "127.0.0.1:2140"
submit = "127.0.0.1:2141"
public_key = "r.public"
private_key = "r.private"
signing_key = "r.sign"
payment_address = {{ bitcoin = "one", litecoin = "two" }}
[payment]
use_discovery = true
discovery = {{ sub_endpoint = "127.0.0.1:5566", req_endpoint = "127.0.0.1:5567" }}
bitcoin.url = "http://127.0.0.1:18333/rest"
litecoin.url = "http://127.0.0.1:9332/rest"
[logging]
directory = "logs"
file = "n.log"
size = 2097152
count = 20
console = true
levels.DEFAULT = "warn"
"#,
        "b".repeat(64),
        "c".repeat(64)
    );
    let path = Path::new("/srv/node/new.toml");
    assert_eq!(config, Config::check_text(path, &toml, &set(&[])).unwrap());
    // What is pending is in a file of another name.
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("line 7: database.name: "),
        "{warnings:?}"
    );
}

#[test]
fn defaults_of_the_reference_that_differ_are_written_out() {
    let (config, _) = converted(&short("publishing {}\nproofing {}\n"));
    assert_eq!(config.chain.name(), "bitmark");
    // Its defaults have the two the wrong way round.
    assert_eq!(
        config.peering.public_key,
        Path::new("/srv/node/peer.private")
    );
    assert_eq!(
        config.peering.private_key,
        Path::new("/srv/node/peer.public")
    );
    assert_eq!(
        config.publishing.public_key,
        Path::new("/srv/node/peer.private")
    );
    assert_eq!(
        config.proofing.private_key,
        Path::new("/srv/node/proof.public")
    );
    assert_eq!(config.logging.levels.get("DEFAULT"), Some(&Level::Critical));
    assert_eq!(config.logging.levels.len(), 1);
    let (config, _) = converted(&short("logging { levels { main = info } }\n"));
    assert_eq!(config.logging.levels.get("DEFAULT"), Some(&Level::Critical));
    assert_eq!(config.logging.levels.get("node"), Some(&Level::Info));
}

#[test]
fn names_of_files_follow_the_chain_as_they_do_in_the_reference() {
    let peers = |text: &str| {
        let (config, warnings) = converted(&short(text));
        let file = config.peer_file.unwrap();
        let file = file.file_name().unwrap().to_str().unwrap().to_owned();
        (file, config.database.name.unwrap(), warnings.len())
    };
    let is = |peers: (String, String, usize), file: &str, name: &str, warnings| {
        assert_eq!(peers, (file.to_owned(), name.to_owned(), warnings));
    };
    is(peers(""), "peers-bitmark.json", "bitmark", 0);
    is(peers("peer_file = p.json"), "p.json", "bitmark", 0);
    is(peers("chain = local"), "peers-local.json", "local", 0);
    is(
        peers("chain = local\npeer_file = p.json"),
        "peers-local.json",
        "local",
        1,
    );
    let named = "chain = local\ndatabase { name = own }\n";
    is(peers(named), "peers-bitmark.json", "own", 1);
    let named = "chain = local\ndatabase { name = own }\npeer_file = p.json\n";
    is(peers(named), "p.json", "own", 1);
    let (_, warnings) = converted(&short("reservoir_file = r.json"));
    assert!(
        warnings[0].starts_with("line 4: reservoir_file: "),
        "{warnings:?}"
    );
}

#[test]
fn where_pending_records_are_is_told_with_the_option_that_reads_them() {
    let told = |text: &str| {
        let (_, warnings) = converted(&short(text));
        let about = warnings.into_iter().find(|told| told.contains("pending"));
        about.unwrap_or_default()
    };
    let own = told("reservoir_file = own.cache");
    assert!(own.starts_with("line 4: reservoir_file: "), "{own}");
    assert!(own.contains("is in /srv/node/own.cache: "), "{own}");
    assert!(own.contains("--reservoir"), "{own}");
    // The chain's name counts while the store has none of its own.
    let of_chain = told("chain = local\nreservoir_file = own.cache");
    assert!(
        of_chain.contains("/srv/node/reservoir-local.cache"),
        "{of_chain}"
    );
    assert!(!of_chain.contains("--reservoir"), "{of_chain}");
    let named = told("chain = local\ndatabase { name = own }\n");
    assert!(named.starts_with("line 5: database.name: "), "{named}");
    assert!(
        named.contains("/srv/node/reservoir-bitmark.cache: "),
        "{named}"
    );
    assert!(named.contains("--reservoir"), "{named}");
    assert_eq!(told("chain = local"), "");
    assert_eq!(told("database { name = own }\n"), "");
}

#[test]
fn the_data_directory_keeps_its_meaning() {
    let directory = |given: &str, same_folder| {
        let text = SHORT.replace("\".\"", given);
        let made = node(&read(&text, &set(&[])), &origin(same_folder)).unwrap();
        let line = made
            .text
            .lines()
            .find(|line| line.starts_with("data_directory"));
        (line.unwrap().to_owned(), made.warnings.len())
    };
    let is = |found: (String, usize), value: &str, warnings| {
        assert_eq!(found, (format!("data_directory = \"{value}\""), warnings));
    };
    is(directory("\".\"", true), ".", 0);
    is(directory("\".\"", false), "/srv/node", 0);
    is(directory("${CURDIR}", true), ".", 0);
    is(directory("\"${CURDIR}/d\"", true), "/srv/node/d", 0);
    is(directory("/var/lib/b", false), "/var/lib/b", 0);
    is(directory("../there", true), "/home/there", 1);
    for given in ["\"\"", "\"~\""] {
        let problems = problems(&SHORT.replace("\".\"", given));
        assert!(problems[0].starts_with("line 1: data_directory: name a directory"));
    }
}

#[test]
fn what_is_repeated_counts_as_it_does_in_the_reference() {
    let text = short(
        "chain = local\nchain = testing\nclient_rpc { listen = 127.0.0.1:1; announce = 127.0.0.1:9 }\nclient_rpc { listen = 127.0.0.1:2; maximum_connections = 7 }\nCLIENT_RPC { }\nlogging { levels { main = info; main = debug; DEFAULT = error } }\n",
    );
    // The section in other letters is never looked at.
    let found = problems(&text);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("line 8: CLIENT_RPC: unknown"),
        "{found:?}"
    );
    let (config, warnings) = converted(&text.replace("CLIENT_RPC { }\n", ""));
    assert_eq!(config.chain.name(), "testing");
    let listen: Vec<String> = config
        .client_rpc
        .listen
        .into_iter()
        .map(Into::into)
        .collect();
    assert_eq!(listen, ["127.0.0.1:2"]);
    assert_eq!(config.client_rpc.announce.len(), 1);
    assert_eq!(config.client_rpc.maximum_connections, 7);
    assert_eq!(config.logging.levels.get("node"), Some(&Level::Info));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let (config, _) = converted(&short("Chain = local\n"));
    assert_eq!(config.chain.name(), "local");
}

#[test]
fn values_of_another_kind_are_taken_as_the_reference_takes_them_or_told() {
    let (config, warnings) = converted(&short(
        "logging { console = 1; size = \"0x10000\"; count = 10.9 }\npeering { prefer_ipv6 = \"f\" }\n",
    ));
    assert!(!config.logging.console);
    assert_eq!((config.logging.size, config.logging.count), (65536, 10));
    assert!(!config.peering.prefer_ipv6);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("line 4: logging.console: "),
        "{warnings:?}"
    );
    let found = problems(&short(
        "logging { console = \"yes\"\ncount = many\nfile = 1.5 }\nclient_rpc = 1\nhttps_rpc { maximum_connections = 0 }\n",
    ));
    for (line, start) in [
        (4, "logging.console: true or false"),
        (5, "logging.count: a whole number"),
        (6, "logging.file: a text"),
        (7, "client_rpc: a section"),
        (8, "https_rpc.maximum_connections: a number from 1"),
    ] {
        let start = format!("line {line}: {start}");
        assert!(
            found.iter().any(|told| told.starts_with(&start)),
            "{start} {found:?}"
        );
    }
}

#[test]
fn unknown_keys_and_values_that_ours_cannot_have_are_errors_with_key_and_line() {
    let found = problems(
        "data_directory = \".\"\nchain = devnet\nfee = 1\npeering {\n listen = nowhere\n colour = red\n connect = { address = 127.0.0.1:1 }\n}\nproofing { payment_address { gold = x } }\nhttps_rpc { listen = \"localhost:1\"\n allow { all = 127.0.0.1 } }\n",
    );
    for start in [
        "line 1: nodes: is not there",
        "line 2: chain: \"devnet\"",
        "line 3: fee: unknown",
        "line 5: peering.listen: ",
        "line 6: peering.colour: unknown",
        "line 7: peering.connect.public_key: is not there",
        "line 9: proofing.payment_address.gold: no currency",
        "line 10: https_rpc.listen: ",
        "line 11: https_rpc.allow.all: unknown",
    ] {
        assert!(
            found.iter().any(|told| told.starts_with(start)),
            "{start} {found:#?}"
        );
    }
    assert_eq!(found.len(), 9, "{found:#?}");
}

#[test]
fn what_our_reader_refuses_is_told_with_the_line_it_comes_from() {
    let text = short("payment { bitcoin { url = https://a.example/ } }\n");
    let made = node(&read(&text, &set(&[])), &origin(true)).unwrap();
    let error = Config::check_text(Path::new("/srv/x.toml"), &made.text, &set(&[])).unwrap_err();
    assert_eq!(
        made.problems(&error),
        ["line 4: payment.bitcoin.url: it does not begin with http://"]
    );
}

#[test]
fn an_address_that_lets_nobody_in_stays_without_effect() {
    let (config, warnings) = converted(&short(
        "https_rpc { allow {\n details = 127.0.0.1\n details = \"[::1]\"\n peers = localhost } }\n",
    ));
    assert_eq!(config.https_rpc.allow.details.len(), 1);
    assert_eq!(config.https_rpc.allow.peers.len(), 0);
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].starts_with("line 6: https_rpc.allow.details: \"[::1]\""));
}

#[test]
fn keys_of_pages_count_in_their_own_letters_alone() {
    let (config, warnings) = converted(&short(
        "https_rpc { allow {\n Details = 127.0.0.1\n PEERS = 127.0.0.1\n peers = 10.0.0.1 } }\n",
    ));
    assert_eq!(config.https_rpc.allow.details.len(), 0);
    let peers: Vec<_> = config.https_rpc.allow.peers.iter().collect();
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0].to_string(), "10.0.0.1");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (at, start) in [
        "line 5: https_rpc.allow.Details: ",
        "line 6: https_rpc.allow.PEERS: ",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(warnings[at].starts_with(start), "{warnings:?}");
    }
    let text = short("https_rpc { allow { DETAILS = 127.0.0.1 } }\n");
    let made = node(&read(&text, &set(&[])), &origin(true)).unwrap();
    let comment = "# https_rpc.allow.DETAILS: ";
    assert!(made.text.contains(comment), "{}", made.text);
}

#[test]
fn blanks_around_an_address_that_may_see_a_page_are_none_of_it() {
    let text =
        short("https_rpc { allow { details = [\" 127.0.0.1\", \"${IP} \", \"${WIDE}\"] } }\n");
    let variables = set(&["IP=10.0.0.1", "WIDE= 10.0.0.2 "]);
    let made = node(&read(&text, &variables), &origin(true)).unwrap();
    let line = "details = [\"127.0.0.1\", \"${IP}\", \"10.0.0.2\"]\n";
    assert!(made.text.contains(line), "{}", made.text);
    assert_eq!(made.warnings.len(), 1, "{:?}", made.warnings);
    let config = Config::check_text(Path::new("/srv/x.toml"), &made.text, &variables).unwrap();
    assert_eq!(config.https_rpc.allow.details.len(), 3);
}

#[test]
fn what_has_to_be_there_and_is_not_is_an_error_with_key_and_line() {
    let found = problems(&short(
        "payment {\n use_discovery = yes\n discovery { }\n}\n",
    ));
    for key in ["sub_endpoint", "req_endpoint"] {
        let told = format!("line 6: payment.discovery.{key}: is not there, and has to be");
        assert!(found.contains(&told), "{found:?}");
    }
    let text = "data_directory = \".\"\n\npeering { public_key = a }\n";
    let found = recorder(&read(text, &set(&[])), &origin(true)).unwrap_err();
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    let told = |key: &str| format!("line 3: peering.{key}: is not there, and has to be");
    assert_eq!(found, ["private_key", "connect"].map(told));
    // A wrong one is told once.
    let found = problems(&short(
        "peering { connect { public_key = 1.5\n address = 127.0.0.1:1 } }\n",
    ));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn no_more_than_the_beginning_of_what_has_no_place_is_told() {
    let secret = "5eed".repeat(16);
    for text in [
        format!("{secret} = 1\n"),
        format!(
            "peering {{ {secret} = 1\n connect {{ address = 127.0.0.1:1; public_key = \"{secret}0\" }} }}\n"
        ),
        format!("peering {{ listen = {secret} }}\n"),
        format!("chain = {secret}\n"),
        format!("proofing {{ payment_address {{ {secret} = 1 }} }}\n"),
        format!("client_rpc {{ listen = {secret} }}\n"),
    ] {
        for told in problems(&short(&text)) {
            assert!(!told.contains(&secret[..21]), "{told}");
        }
    }
    let (_, warnings) = converted(&short(&format!(
        "https_rpc {{ allow {{ details = {secret} }} }}\nlogging {{ levels {{ main = {secret}\n {secret} = {secret}\n {secret} = info }} }}\n"
    )));
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    for told in warnings {
        assert!(!told.contains(&secret[..21]), "{told}");
    }
}

#[test]
fn a_node_with_few_peers_and_no_others_synchronises_here() {
    let connect = |key: &str| {
        format!(
            " connect = {{ public_key = \"{}\", address = 127.0.0.1:1 }}\n",
            key.repeat(64)
        )
    };
    let text = |peers: &str| {
        short(&format!(
            "peering {{ dynamic_connections = false\n{peers}}}\n"
        ))
    };
    let (config, warnings) = converted(&text(&connect("a")));
    assert_eq!(config.timing.minimum_upstreams, 1);
    assert!(
        warnings[0].starts_with("line 4: peering.dynamic_connections: "),
        "{warnings:?}"
    );
    let three = [connect("a"), connect("b"), connect("c")].concat();
    let (config, warnings) = converted(&text(&three));
    assert_eq!(config.timing.minimum_upstreams, 3);
    assert_eq!(warnings.len(), 0);
}

#[test]
fn variables_stay_variables_where_a_start_can_set_them() {
    let variables = set(&["IP=192.0.2.1", "DIR=/var/lib/${x}\"y"]);
    let text = ".set(var=BOTH) \"IP\"\n.append(var=BOTH) \":2136\"\ndata_directory = \"/d\"\nnodes = none\npeering { listen = 127.0.0.1:1; announce = \"${BOTH}\"\nannounce = \"${IP}:2\"\npublic_key = $DIR }\n";
    let made = node(&read(text, &variables), &origin(true)).unwrap();
    let list = "announce = [\"${IP}:2136\", \"${IP}:2\"]\n";
    assert!(made.text.contains(list), "{}", made.text);
    let other = set(&["IP=192.0.2.9", "DIR=k"]);
    let config = Config::check_text(Path::new("/srv/x.toml"), &made.text, &other).unwrap();
    assert_eq!(config.peering.announce[0].to_string(), "192.0.2.9:2136");
    assert_eq!(config.peering.public_key, Path::new("/d/k"));
    let found = problems(&short("pidfile = \"${NAME}.pid\"\n"));
    assert!(
        found[0].contains("pidfile: NAME is not set; give it with --set NAME="),
        "{found:?}"
    );
    // What looks like one and is none.
    let dollars = set(&["D=$"]);
    let text = SHORT.replace("none", "\"$D{x}.example\"");
    let made = node(&read(&text, &dollars), &origin(true)).unwrap();
    let config = Config::check_text(Path::new("/srv/x.toml"), &made.text, &dollars).unwrap();
    assert_eq!(String::from(config.nodes), "${x}.example");
}

#[test]
fn wherever_a_variable_does_not_stay_one_it_is_told() {
    let variables = set(&[
        "CHAIN=local",
        "NUMBER=7",
        "YES=true",
        "LEVEL=debug",
        "DOT=.",
        "NONE=",
        "STORE=bitmark",
        "a-b=k",
    ]);
    let text = "data_directory = \"${DOT}\"\nnodes = none\nchain = \"${CHAIN}\"\npidfile = \"${NONE}\"\ndatabase { name = \"${STORE}\" }\nclient_rpc {\n maximum_connections = \"${NUMBER}\"\n announce = \"${NONE}\"\n certificate = \"${a-b}\"\n}\npeering { listen = 127.0.0.1:1\n prefer_ipv6 = \"${YES}\" }\nlogging { levels { DEFAULT = \"${LEVEL}\"\n main = \"${LEVEL}\" } }\n";
    let made = node(&read(text, &variables), &origin(true)).unwrap();
    let warnings: Vec<_> = made.warnings.iter().map(ToString::to_string).collect();
    for (start, name) in [
        ("line 1: data_directory: ", "DOT"),
        ("line 3: chain: ", "CHAIN"),
        ("line 4: pidfile: ", "NONE"),
        ("line 5: database.name: ", "STORE"),
        ("line 7: client_rpc.maximum_connections: ", "NUMBER"),
        ("line 8: client_rpc.announce: ", "NONE"),
        ("line 9: client_rpc.certificate: ", "a-b"),
        ("line 12: peering.prefer_ipv6: ", "YES"),
        ("line 13: logging.levels.DEFAULT: ", "LEVEL"),
        ("line 14: logging.levels.main: ", "LEVEL"),
    ] {
        let start = format!("{start}{name} ");
        assert!(
            warnings.iter().any(|told| told.starts_with(&start)),
            "{start} {warnings:#?}"
        );
    }
    // What stays one is not told.
    let kept = set(&["IP=127.0.0.1"]);
    let text = short("client_rpc { announce = \"${IP}:1\" }\n");
    let made = node(&read(&text, &kept), &origin(true)).unwrap();
    assert_eq!(made.warnings, []);
}

#[test]
fn levels_of_modules_go_to_those_that_do_the_same_here() {
    let (config, warnings) = converted(&short(
        "logging { levels { DEFAULT = info\n listener = debug\n \"upstream@2\" = trace\n client_rpc = warn\n rpc = error\n payment = bogus\n bitcoin = off\n none = debug } }\n",
    ));
    let levels = &config.logging.levels;
    assert_eq!(levels.get("DEFAULT"), Some(&Level::Info));
    assert_eq!(levels.get("node"), Some(&Level::Trace));
    assert_eq!(levels.get("rpc"), Some(&Level::Warn));
    assert_eq!(levels.get("https"), Some(&Level::Error));
    // `off` without quotes is no text there: false.
    assert_eq!(levels.get("payment"), None);
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    let (config, _) = converted(&short("logging { levels { DEFAULT = loud } }\n"));
    assert_eq!(config.logging.levels.get("DEFAULT"), Some(&Level::Error));
}

#[test]
fn the_miners_settings_arrive_under_our_names() {
    let text = format!(
        "data_directory = \".\"\nchain = local\nthreads = 0\npidfile = r.pid\npeering {{ public_key = a; private_key = b\n connect {{ public_key = \"{KEY}\"\n blocks = 127.0.0.1:2140\n submit = \"[::1]:2141\" }} }}\nlogging {{ levels {{ main = debug; proofer-2 = trace }} }}\n"
    );
    let made = recorder(&read(&text, &set(&[])), &origin(true)).unwrap();
    let path = Path::new("/srv/node/r.toml");
    let config = RecorderConfig::check_text(path, &made.text, &set(&[])).unwrap();
    assert_eq!(config.chain.name(), "local");
    assert_eq!(config.threads, None);
    assert_eq!(
        config.pidfile.as_deref(),
        Some(Path::new("/srv/node/r.pid"))
    );
    assert_eq!(config.peering.public_key, Path::new("/srv/node/a"));
    assert_eq!(config.peering.connect[0].submit.to_string(), "[::1]:2141");
    assert_eq!(config.logging.file, "recorderd.log");
    assert_eq!(config.logging.levels.get("recorder"), Some(&Level::Trace));
    assert_eq!(config.logging.levels.get("DEFAULT"), Some(&Level::Critical));
    // A name of its own stays, even if it is the one of the node's.
    let named = text.replace("logging {", "logging { file = bitmarkd.log\n");
    let made = recorder(&read(&named, &set(&[])), &origin(true)).unwrap();
    let config = RecorderConfig::check_text(path, &made.text, &set(&[])).unwrap();
    assert_eq!(config.logging.file, "bitmarkd.log");
    let short = recorder(&read("data_directory = \".\"", &set(&[])), &origin(true));
    assert_eq!(short.unwrap_err()[0].key, "peering");
}

#[test]
fn the_clients_file_is_read_with_all_its_identities() {
    let text = "default_identity = \"a\"\nnetwork = local\nconnect = \"127.0.0.1:2130\"\nidentity {\n name = \"a\"\n description = \"x\"\n public_key = 12\n private_key = \"34\"\n seed = \"\"\n private_key_config { salt = \"56\" }\n}\nidentity { name = b }\n";
    let file = client(&ucl::read_alone(text.as_bytes()).unwrap(), &[]).unwrap();
    assert_eq!(file.default_identity.as_deref(), Some("a"));
    assert_eq!(file.connect.as_deref(), Some("127.0.0.1:2130"));
    let [first, second] = &file.identities[..] else {
        panic!("two identities");
    };
    assert_eq!(
        (first.public_key.as_str(), first.salt.as_str()),
        ("12", "56")
    );
    assert_eq!((second.name.as_str(), second.place.line), ("b", 12));
    let text = "identity { nome = a }\n";
    let problems = client(&ucl::read_alone(text.as_bytes()).unwrap(), &[]);
    let problem = problems.unwrap_err()[0].to_string();
    assert!(problem == "line 1: identity: an unknown key", "{problem}");
}

#[test]
fn a_dollar_in_the_clients_file_is_one_and_what_is_not_wanted_is_not_looked_at() {
    let text = "default_identity = \"$$ ${A}\"\nidentity { name = \"$$ ${A}\"; description = \"${ENV_HOME} ${CURDIR}\" }\nidentity { name = b; colour = red; seed = [] }\n";
    let document = ucl::read_alone(text.as_bytes()).unwrap();
    let found = client(&document, &[]).unwrap_err();
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    let file = client(&document, &["$$ ${A}".to_owned()]).unwrap();
    assert_eq!(file.default_identity.as_deref(), Some("$$ ${A}"));
    assert_eq!(file.identities.len(), 2);
    assert_eq!(file.identities[0].name, "$$ ${A}");
    assert_eq!(file.identities[0].description, "${ENV_HOME} ${CURDIR}");
    let text = "network = \"${NET}\"\n";
    let found = client(&ucl::read_alone(text.as_bytes()).unwrap(), &[]).unwrap_err();
    assert_eq!(found[0].place.line, 1);
    assert!(found[0].text.contains("write its value"), "{found:?}");
}

/// A setting with a value that it may have, or not.
fn setting() -> impl Strategy<Value = String> {
    of_keys(vec![
        "chain",
        "nodes",
        "pidfile",
        "peer_file",
        "database.name",
        "client_rpc.listen",
        "client_rpc.maximum_connections",
        "https_rpc.allow.details",
        "peering.announce",
        "peering.prefer_ipv6",
        "peering.connect.address",
        "https_rpc.allow.peers",
        "peering.connect.public_key",
        "peering.connect.blocks",
        "proofing.payment_address.btc",
        "payment.discovery.sub_endpoint",
        "payment.discovery.req_endpoint",
        "payment.bitcoin.url",
        "logging.size",
        "logging.levels.main",
        "logging.levels.DEFAULT",
    ])
}

/// One of the miner's.
fn setting_of_miner() -> impl Strategy<Value = String> {
    let keys = of_keys(vec![
        "chain",
        "threads",
        "peering.public_key",
        "peering.private_key",
        "peering.connect.blocks",
        "logging.file",
        "logging.console",
        "logging.levels.main",
    ]);
    let whole = format!(
        "peering {{ public_key = a; private_key = b\n connect {{ public_key = \"{KEY}\"\n blocks = 127.0.0.1:2140\n submit = 127.0.0.1:2141 }} }}\n"
    );
    let half = "peering { public_key = a; private_key = b }\n".to_owned();
    prop_oneof![4 => keys, 1 => Just(whole), 1 => Just(half)]
}

fn of_keys(keys: Vec<&'static str>) -> impl Strategy<Value = String> {
    let key = prop::sample::select(keys);
    let value = prop_oneof![
        prop::sample::select(vec![
            "local",
            "127.0.0.1:1",
            "\" 127.0.0.1\"",
            "1",
            "yes",
            "99999999999",
            "$A{x}",
            "info",
            "\"${A}\""
        ])
        .prop_map(str::to_owned),
        "\"[^\\p{Cc}\"\\\\]{0,12}\"",
    ];
    (key, value).prop_map(|(key, value)| {
        let parts: Vec<&str> = key.split('.').collect();
        let (last, sections) = parts.split_last().unwrap();
        let open: String = sections.iter().map(|name| format!("{name} {{ ")).collect();
        format!("{open}{last} = {value} ;{}\n", "}".repeat(sections.len()))
    })
}

proptest! {
    #[test]
    fn whatever_comes_out_is_read_by_our_reader(settings in prop::collection::vec(setting(), 0..8)) {
        let variables = set(&["A=$\"\\"]);
        let text = short(&settings.concat());
        if let Ok(made) = node(&read(&text, &variables), &origin(true)) {
            let config = Config::parse("made", &made.text, &variables);
            prop_assert!(config.is_ok(), "{}\n{}", made.text, config.unwrap_err());
        }
    }

    #[test]
    fn whatever_comes_out_for_the_miner_is_read_by_our_reader(
        settings in prop::collection::vec(setting_of_miner(), 0..8),
    ) {
        let variables = set(&["A=$\"\\"]);
        let text = format!("data_directory = \".\"\n{}", settings.concat());
        if let Ok(made) = recorder(&read(&text, &variables), &origin(true)) {
            let config = RecorderConfig::check_text(Path::new("/srv/x.toml"), &made.text, &variables);
            // What values mean together is told with the lines of the file.
            let is_read = matches!(config, Ok(_) | Err(ConfigError::Check { .. }));
            prop_assert!(is_read, "{}\n{}", made.text, config.unwrap_err());
        }
    }
}
