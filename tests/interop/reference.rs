//! The reference's programs: where they are, how their node is configured, how each is started. The
//! configurations are as small as theirs may be (`proto/peer.md`, section 10; `proto/rpc.md`,
//! section 6).

use std::path::{Path, PathBuf};
use std::process::Command;

use bitmarkd::cli::daemon::testnet::make::Plan;
use bitmarkd::core::announce::peer_file;
use bitmarkd::core::wire::connection::{Connection, pack_list};

/// A program of the reference.
///
/// # Panics
/// `REFERENCE_BIN` is not set, or has no such program.
pub fn program(name: &str) -> Command {
    let folder = std::env::var_os("REFERENCE_BIN").map(PathBuf::from).expect(
        "REFERENCE_BIN names the folder with bitmarkd, recorderd, bitmark-cli, bitmark-info",
    );
    let path = folder.join(name);
    assert!(path.is_file(), "{}: no such program", path.display());
    let mut command = Command::new(path);
    // ZeroMQ calls of a program that its runtime interrupts fail otherwise.
    command.env("GODEBUG", "asyncpreemptoff=1");
    command
}

/// Where a node dials from its start on: a key and an address.
pub type Seed = (String, String);

/// The configuration of a node.
pub fn node(plan: &Plan, listen: &[String], seeds: &[Seed], discovery: &[u16; 2]) -> String {
    let listen: String = listen
        .iter()
        .map(|address| format!("  listen = \"{address}\"\n"))
        .collect();
    let connect: String = seeds
        .iter()
        .map(|(key, address)| {
            format!("  connect = {{ public_key = \"{key}\", address = \"{address}\" }}\n")
        })
        .collect();
    let Plan {
        peer4,
        peer6,
        publish4,
        publish6,
        work,
        submit,
        rpc4,
        rpc6,
        https,
        ..
    } = plan;
    let prefer_ipv6 = peer4 % 2 == 1;
    let [news, past] = discovery;
    format!(
        r#"data_directory = "."
chain = local
nodes = none
client_rpc {{
  maximum_connections = 100
  listen = 127.0.0.1:{rpc4}
  listen = "[::1]:{rpc6}"
  announce = 127.0.0.1:{rpc4}
  announce = "[::1]:{rpc6}"
  certificate = rpc.crt
  private_key = rpc.key
}}
https_rpc {{
  maximum_connections = 100
  listen = 127.0.0.1:{https}
  certificate = rpc.crt
  private_key = rpc.key
  allow {{ details = 127.0.0.1, connections = 127.0.0.1, peers = 127.0.0.1 }}
}}
peering {{
  dynamic_connections = true
  prefer_ipv6 = {prefer_ipv6}
{listen}  announce = 127.0.0.1:{peer4}
  announce = "[::1]:{peer6}"
  public_key = peer.public
  private_key = peer.private
{connect}}}
publishing {{
  broadcast = 127.0.0.1:{publish4}
  broadcast = "[::1]:{publish6}"
  public_key = peer.public
  private_key = peer.private
}}
proofing {{
  public_key = proof.public
  private_key = proof.private
  signing_key = proof.sign
  payment_address {{
    bitcoin = mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn
    litecoin = mmCKZS7toE69QgXNs1JZcjW6LFj8LfUbz6
  }}
  publish = 127.0.0.1:{work}
  submit = 127.0.0.1:{submit}
}}
payment {{
  use_discovery = true
  discovery {{ sub_endpoint = "127.0.0.1:{news}", req_endpoint = "127.0.0.1:{past}" }}
}}
logging {{ size = 1048576, count = 20, levels {{ DEFAULT = info }} }}
"#
    )
}

/// The configuration of a miner.
pub fn miner(plan: &Plan, threads: usize) -> String {
    let key = plan.proof.public_key();
    let Plan { work, submit, .. } = plan;
    format!(
        r#"data_directory = "."
chain = local
threads = {threads}
peering {{
  public_key = recorderd.public
  private_key = recorderd.private
  connect {{ public_key = "{key}", blocks = "127.0.0.1:{work}", submit = "127.0.0.1:{submit}" }}
}}
logging {{ size = 1048576, count = 10, levels {{ DEFAULT = info }} }}
"#
    )
}

/// The text of a peer file that the reference reads: one byte stands behind the listeners
/// (`proto/rpc.md`, section 9).
pub fn peer_file<'a>(plans: impl IntoIterator<Item = &'a Plan>, now: u64) -> String {
    let entries: Vec<String> = plans
        .into_iter()
        .map(|plan| {
            let v4 = Connection::from_text(&format!("127.0.0.1:{}", plan.peer4)).unwrap();
            let v6 = Connection::from_text(&format!("[::1]:{}", plan.peer6)).unwrap();
            let mut listeners = pack_list([&v4, &v6]);
            listeners.push(0);
            peer_file::pack(&plan.key().0, &listeners, now)
        })
        .collect();
    serde_json::to_string(&entries).unwrap()
}

/// Where the reference's node of a folder reads its peers.
pub fn peer_file_of(folder: &Path) -> PathBuf {
    folder.join("peers-local.json")
}
