//! Making a test network: ports, keys, configurations, processes, and the file that tells of them.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::ports::Ports;
use super::{moment, precise_moment, write_json};
use crate::cli::client::identity as identities;
use crate::cli::client::network::{
    Endpoints, FILE, IdentityEntry, Miner, MiningEndpoints, Network, NodeEntry,
};
use crate::core::announce::peer_file;
use crate::core::keys::{PeerPrivateKey, PeerPublicKey};
use crate::core::wire::connection::{Connection, pack_list};
use crate::shell::control;
use crate::shell::files::certificate::{Certificate, fingerprint_of};
use crate::shell::files::config::Variables;
use crate::shell::files::{atomic, identity};
use crate::shell::zmq::requester::fresh_key;

const NODE: &str = include_str!("../../../../testnet/node.toml");
const RECORDER: &str = include_str!("../../../../testnet/recorder.toml");

/// A node to be: its folder, keys and ports.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Plan {
    pub name: String,
    pub directory: PathBuf,
    pub peer: PeerPrivateKey,
    pub proof: PeerPrivateKey,
    pub peer4: u16,
    pub peer6: u16,
    pub publish4: u16,
    pub publish6: u16,
    pub work: u16,
    pub submit: u16,
    pub explorer: u16,
    pub rpc4: u16,
    pub rpc6: u16,
    pub https: u16,
}

impl Plan {
    /// A node of this name in a network's folder.
    ///
    /// # Errors
    /// No free port.
    pub fn new(network: &Path, name: &str, ports: &mut Ports) -> anyhow::Result<Self> {
        Ok(Self {
            directory: network.join(name),
            name: name.to_owned(),
            peer: fresh_key(),
            proof: fresh_key(),
            peer4: ports.take("127.0.0.1")?,
            peer6: ports.take("::1")?,
            publish4: ports.take("127.0.0.1")?,
            publish6: ports.take("::1")?,
            work: ports.take("127.0.0.1")?,
            submit: ports.take("127.0.0.1")?,
            explorer: ports.take("127.0.0.1")?,
            rpc4: ports.take("127.0.0.1")?,
            rpc6: ports.take("::1")?,
            https: ports.take("127.0.0.1")?,
        })
    }

    fn listeners(&self) -> anyhow::Result<Vec<u8>> {
        let v4 = Connection::from_text(&format!("127.0.0.1:{}", self.peer4))?;
        let v6 = Connection::from_text(&format!("[::1]:{}", self.peer6))?;
        Ok(pack_list([&v4, &v6]))
    }

    fn control(&self) -> PathBuf {
        self.directory.join("control.socket")
    }

    /// Its public key.
    #[must_use]
    pub fn key(&self) -> PeerPublicKey {
        self.peer.public_key()
    }
}

fn fill(template: &str, values: &[(&str, String)]) -> anyhow::Result<String> {
    let texts: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let variables = Variables::new(&texts, []).map_err(|e| anyhow::anyhow!(e.to_string()))?;
    variables
        .apply(template)
        .map_err(|(line, why)| anyhow::anyhow!("template line {line}: {why}"))
}

fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        bail!(
            "{}: not built yet; `make build` builds all programs",
            path.display()
        )
    }
}

/// What a program of the network prints, in its folder.
pub const OUTPUT: &str = "output.txt";

/// Starts a program that outlives this one; what it prints goes to a file.
fn spawn(mut command: Command, directory: &Path) -> anyhow::Result<u32> {
    let output = File::create(directory.join(OUTPUT))?;
    command
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0);
    let child = command
        .spawn()
        .with_context(|| format!("{:?}", command.get_program()))?;
    Ok(child.id())
}

/// Marks a folder as one of test networks, and is locked while one is started there.
const MARK: &str = ".bitmarkd-testnet";

/// Claims a folder, which is made if it is not there: nobody else starts a network in it as long as
/// the file is kept open.
///
/// # Errors
/// Another process is starting a network there, or the folder holds something else.
pub fn claim(directory: &Path) -> anyhow::Result<File> {
    let name = || directory.display().to_string();
    std::fs::create_dir_all(directory).with_context(name)?;
    let path = directory.join(MARK);
    let is_empty = std::fs::read_dir(directory)
        .with_context(name)?
        .next()
        .is_none();
    if !is_empty && !path.exists() {
        bail!(
            "{}: there is something else in this folder; choose another one",
            directory.display()
        );
    }
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut first = String::new();
            let _ = file.read_to_string(&mut first);
            bail!(
                "a test network is being started in {} (by process {}); wait until it is ready, then end it with `make testnet-stop`",
                directory.display(),
                first.trim()
            );
        }
        Err(TryLockError::Error(e)) => return Err(e).with_context(|| path.display().to_string()),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Claims a folder as soon as nobody else has it.
///
/// # Errors
/// No test network was ever started there.
pub fn wait_for_claim(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join(MARK);
    let name = || path.display().to_string();
    let file = File::open(&path).with_context(name)?;
    file.lock().with_context(name)?;
    Ok(file)
}

/// Empties a folder that was claimed of what an earlier network left.
fn clear(directory: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() == MARK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes and starts everything in a folder that was claimed.
pub fn network(
    directory: &Path,
    count: usize,
    chain: &str,
    seconds: u64,
) -> anyhow::Result<Network> {
    let [bitmarkd, recorderd] = [program("bitmarkd")?, program("recorderd")?];
    let directory = directory.canonicalize()?;
    let mut ports = Ports::default();
    let plans = (1..=count)
        .map(|number| Plan::new(&directory, &format!("n{number}"), &mut ports))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for plan in &plans {
        control::check_path(&plan.control())?;
    }
    clear(&directory)?;
    let moment_of_start = SystemTime::now();
    let started = moment_of_start
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    for plan in &plans {
        write_node(plan, &plans, chain, started)?;
    }
    let miner_directory = directory.join("miner");
    let first = plans.first().context("a network has nodes")?;
    write_miner(&miner_directory, first, chain)?;
    let identity = write_identity(&directory)?;
    ports.release();

    let mut nodes = Vec::new();
    for plan in &plans {
        let mut command = Command::new(&bitmarkd);
        command
            .arg("--config-file")
            .arg(plan.directory.join("bitmarkd.toml"))
            .arg("start");
        let pid = spawn(command, &plan.directory)?;
        nodes.push(entry(plan, pid, chain));
    }
    let mut command = Command::new("nice");
    command
        .args(["-n", "10"])
        .arg(recorderd)
        .arg("--config-file")
        .arg(miner_directory.join("recorderd.toml"));
    let miner = Miner {
        pid: spawn(command, &miner_directory)?,
        log: miner_directory.join("log/recorderd.log"),
        directory: miner_directory,
    };
    let ends = if seconds == 0 {
        "never".to_owned()
    } else {
        moment(started.saturating_add(seconds))
    };
    let network = Network {
        chain: chain.to_owned(),
        started: precise_moment(moment_of_start),
        ends,
        nodes,
        miner,
        identity,
    };
    write_json(&directory.join(FILE), &json!(network))?;
    if seconds > 0 {
        let mut command = Command::new(&bitmarkd);
        command
            .args(["testnet", "supervise"])
            .arg(&directory)
            .arg(seconds.to_string())
            .arg(&network.started);
        spawn(command, &directory)?;
    }
    Ok(network)
}

/// What `nodes.json` says of a node.
#[must_use]
pub fn entry(plan: &Plan, pid: u32, chain: &str) -> NodeEntry {
    let key = plan.key().to_string();
    NodeEntry {
        name: plan.name.clone(),
        chain: chain.to_owned(),
        pid,
        log: plan.directory.join("log/bitmarkd.log"),
        control: plan.control(),
        directory: plan.directory.clone(),
        peer: Endpoints {
            ipv4: format!("127.0.0.1:{}", plan.peer4),
            ipv6: format!("[::1]:{}", plan.peer6),
            public_key: key.clone(),
        },
        publish: Endpoints {
            ipv4: format!("127.0.0.1:{}", plan.publish4),
            ipv6: format!("[::1]:{}", plan.publish6),
            public_key: key,
        },
        mining: MiningEndpoints {
            publish: format!("127.0.0.1:{}", plan.work),
            submit: format!("127.0.0.1:{}", plan.submit),
            public_key: plan.proof.public_key().to_string(),
        },
        explorer: format!("127.0.0.1:{}", plan.explorer),
        rpc: vec![
            format!("127.0.0.1:{}", plan.rpc4),
            format!("[::1]:{}", plan.rpc6),
        ],
        https: format!("127.0.0.1:{}", plan.https),
        rpc_fingerprint: fingerprint_of(&plan.directory.join("rpc.crt"))
            .map(hex::encode)
            .unwrap_or_default(),
    }
}

/// Writes the folder of a node that knows the others from its peer file.
///
/// # Errors
/// The folder cannot be written.
pub fn write_node(plan: &Plan, all: &[Plan], chain: &str, started: u64) -> anyhow::Result<()> {
    let folder = &plan.directory;
    std::fs::create_dir_all(folder)?;
    identity::write(
        &plan.peer,
        &folder.join("peer.public"),
        &folder.join("peer.private"),
    )?;
    identity::write(
        &plan.proof,
        &folder.join("proof.public"),
        &folder.join("proof.private"),
    )?;
    let seed = identities::fresh_seed(true);
    let signing = format!("SEED:{}\n", &*seed.to_text());
    atomic::create(&folder.join("proof.sign"), signing.as_bytes(), 0o600)?;
    let names = ["127.0.0.1".to_owned(), "::1".to_owned()];
    Certificate::generate(&names, SystemTime::now())?
        .write(&folder.join("rpc.crt"), &folder.join("rpc.key"))?;
    let entries = all
        .iter()
        .map(|other| {
            Ok(peer_file::pack(
                &other.key().0,
                &other.listeners()?,
                started,
            ))
        })
        .collect::<anyhow::Result<Vec<String>>>()?;
    write_json(&folder.join("peers.json"), &json!(entries))?;
    // Half of them dial by IPv6, so that both families are used.
    let is_odd = plan.peer4 % 2 == 1;
    let text = fill(
        NODE,
        &[
            ("CHAIN", chain.to_owned()),
            ("PEER4", plan.peer4.to_string()),
            ("PEER6", plan.peer6.to_string()),
            ("PUBLISH4", plan.publish4.to_string()),
            ("PUBLISH6", plan.publish6.to_string()),
            ("WORK", plan.work.to_string()),
            ("SUBMIT", plan.submit.to_string()),
            ("EXPLORER", plan.explorer.to_string()),
            ("RPC4", plan.rpc4.to_string()),
            ("RPC6", plan.rpc6.to_string()),
            ("HTTPS", plan.https.to_string()),
            ("PREFER_IPV6", is_odd.to_string()),
        ],
    )?;
    atomic::create(&folder.join("bitmarkd.toml"), text.as_bytes(), 0o644)?;
    Ok(())
}

/// Writes the folder of a miner for a node.
///
/// # Errors
/// The folder cannot be written.
pub fn write_miner(folder: &Path, node: &Plan, chain: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let key = fresh_key();
    identity::write(
        &key,
        &folder.join("recorderd.public"),
        &folder.join("recorderd.private"),
    )?;
    let text = fill(
        RECORDER,
        &[
            ("CHAIN", chain.to_owned()),
            ("PROOF_KEY", node.proof.public_key().to_string()),
            ("WORK", node.work.to_string()),
            ("SUBMIT", node.submit.to_string()),
        ],
    )?;
    atomic::create(&folder.join("recorderd.toml"), text.as_bytes(), 0o644)?;
    Ok(())
}

/// Writes an identity for who tries the network.
///
/// # Errors
/// The folder cannot be written.
pub fn write_identity(directory: &Path) -> anyhow::Result<IdentityEntry> {
    let folder = directory.join("identities");
    std::fs::create_dir_all(&folder)?;
    let passphrase_file = folder.join("passphrase.txt");
    let phrase = hex::encode(fresh_key().as_bytes());
    atomic::create(&passphrase_file, format!("{phrase}\n").as_bytes(), 0o600)?;
    let file = folder.join("tester.json");
    let account = identities::write(&file, "tester", &identities::fresh_seed(true), &phrase)?;
    Ok(IdentityEntry {
        name: "tester".to_owned(),
        file,
        passphrase_file,
        account,
    })
}
