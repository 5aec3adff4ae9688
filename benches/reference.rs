//! The reference's node as a rival, where `REFERENCE_BIN` names the folder with its programs: set up by
//! the same lines as in the tests among its programs. It wants peers before it is in mode Normal: three
//! of ours with a saved chain, which are stopped then, since it stays so without them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::shell::zmq::Context;

use crate::process::program;
use crate::rig::Service;

#[path = "../tests/interop/reference.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests among the reference's programs"
)]
mod theirs;

/// Blocks that anybody may fetch.
const CHAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/local.blocks");
/// As many of them there are, above genesis.
pub const BLOCKS: usize = 25;
/// Peers that it wants.
const PEERS: usize = 3;

/// Its node; it ends with this.
pub struct Reference {
    child: Child,
    _folder: tempfile::TempDir,
    /// Its peer service.
    pub service: Service,
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Reference {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn quiet(mut command: Command, directory: &Path) -> Child {
    command
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process")
}

/// The first of the saved blocks, so many, each behind its length.
pub fn first_blocks(count: usize) -> Vec<u8> {
    let bytes = std::fs::read(CHAIN).expect("saved blocks");
    let mut end = 0;
    for _ in 0..count {
        let length = bytes[end..].first_chunk().expect("a length");
        end += 8 + usize::try_from(u64::from_be_bytes(*length)).expect("a length");
    }
    bytes[..end].to_vec()
}

impl Reference {
    /// Starts it with one block and waits for mode Normal, which takes it a minute; nothing where its
    /// programs are not here.
    pub fn start(context: &Context) -> Option<Self> {
        Self::with_blocks(context, 1)
    }

    /// The same with the first of the saved blocks, so many: each costs a digest of every peer, and half
    /// a second of its own.
    pub fn with_blocks(context: &Context, blocks: usize) -> Option<Self> {
        std::env::var_os("REFERENCE_BIN")?;
        let folder = tempfile::tempdir().expect("a folder");
        let mut ports = Ports::default();
        let mut plan = |name: String| Plan::new(folder.path(), &name, &mut ports).expect("ports");
        let peers: Vec<Plan> = (0..PEERS).map(|n| plan(format!("n{n}"))).collect();
        let own = plan("go".to_owned());
        let discovery = [(); 2].map(|()| ports.take("127.0.0.1").expect("a port"));
        ports.release();
        let mut helpers = Vec::new();
        for peer in &peers {
            make::write_node(peer, &[], "local", 1).expect("a folder");
            let chain = peer.directory.join("blocks");
            std::fs::write(&chain, first_blocks(blocks)).expect("a file");
            let load = program(peer).arg("load-blocks").arg(chain).output();
            assert!(load.expect("a process").status.success(), "load-blocks");
            let mut start = program(peer);
            start.arg("start");
            helpers.push(quiet(start, &peer.directory));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a clock").as_secs();
        make::write_node(&own, &[], "local", now).expect("a folder");
        let address = |plan: &Plan| format!("127.0.0.1:{}", plan.peer4);
        let seeds: Vec<theirs::Seed> = peers
            .iter()
            .map(|peer| (peer.key().to_string(), address(peer)))
            .collect();
        let text = theirs::node(&own, &[address(&own)], &seeds, &discovery);
        let path = own.directory.join("bitmarkd.conf");
        std::fs::write(&path, text).expect("a configuration");
        let mut start = theirs::program("bitmarkd");
        start
            .arg(format!("--config-file={}", path.display()))
            .arg("start");
        let child = quiet(start, &own.directory);
        let process = child.id();
        let reference = Self {
            child,
            _folder: folder,
            service: Service {
                key: own.key(),
                address: address(&own).parse().expect("an address"),
                chain: "local",
                process,
            },
        };
        reference.service.wait_normal(context);
        helpers.iter_mut().for_each(end);
        Some(reference)
    }
}
