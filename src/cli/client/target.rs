//! Which node is asked, and asking it.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::carrier::link::Link;
use super::carrier::pins::{self, Pin};
use super::carrier::{Carrier, Info, OverPeer, OverRpc};
use super::network::{Network, NodeEntry};
use super::settings::Settings;
use super::shown::for_people;
use super::{Output, arguments};
use crate::core::announce::rpcs::Fingerprint;
use crate::core::block::Header;
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::keys::PeerPublicKey;
use crate::shell::zmq::requester::{Requester, fresh_key};
use crate::shell::zmq::{Context, Frames};

/// Nobody waits longer for an answer, in seconds: a year.
const LONGEST_WAIT: u64 = 365 * 86_400;

/// Which node, and over which protocol it is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// Address of the node's peer service: the ZeroMQ command protocol.
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// The node's public key, 64 hex digits.
    #[arg(long, value_name = "HEX", value_parser = arguments::public_key)]
    server_key: Option<PeerPublicKey>,
    /// Address of the node's client service: JSON-RPC over TLS.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["connect", "server_key"])]
    rpc: Option<String>,
    /// Fingerprint of its certificate, 64 hex digits; without it the one of the first visit is
    /// kept and asked for ever after.
    #[arg(long, value_name = "HEX", requires = "rpc", value_parser = pins::fingerprint)]
    pin: Option<Fingerprint>,
    /// The network: bitmark, testing, local or devnet. A node of another one is refused.
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// Folder of a test network, as `testnet/run`.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["connect", "server_key", "rpc", "chain"])]
    network: Option<PathBuf>,
    /// Which node of the test network; the first unless given.
    #[arg(long, value_name = "NAME", requires = "network")]
    node: Option<String>,
    /// How the node of the test network is asked.
    #[arg(
        long,
        value_name = "PROTOCOL",
        requires = "network",
        default_value = "peer"
    )]
    over: Over,
    /// How long an answer may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=LONGEST_WAIT))]
    answer_within: u64,
    /// Show each JSON-RPC request and reply on standard error.
    #[arg(long)]
    verbose: bool,
}

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Over {
    /// The ZeroMQ command protocol of the peer service.
    Peer,
    /// JSON-RPC over TLS.
    Rpc,
}

/// A service to dial.
#[derive(Debug, Clone)]
pub struct Service {
    /// The chain.
    pub chain: &'static Chain,
    /// Where.
    pub address: SocketAddr,
    /// Whose.
    pub key: PeerPublicKey,
}

/// Which of a node's services.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// Requests.
    Peer,
    /// What it publishes.
    Publish,
}

/// A chain by its name.
///
/// # Errors
/// There is none.
pub fn chain_named(name: &str) -> anyhow::Result<&'static Chain> {
    Chain::by_name(name).with_context(|| {
        let name = for_people(name);
        format!("\"{name}\" is no chain; there are bitmark, testing, local and devnet")
    })
}

fn address(text: &str) -> anyhow::Result<SocketAddr> {
    text.to_socket_addrs()
        .with_context(|| format!("{text:?} is no address; write HOST:PORT or [IPV6]:PORT"))?
        .next()
        .with_context(|| format!("{text:?} has no address"))
}

fn pinned(text: &str) -> anyhow::Result<Fingerprint> {
    pins::fingerprint(text).map_err(anyhow::Error::msg)
}

impl Target {
    /// With the node of the user's settings where none was named.
    fn filled(&self) -> anyhow::Result<Self> {
        let mut target = self.clone();
        // The settings' certificate is of their node, whoever names it.
        if let (Some(address), None) = (&self.rpc, &self.pin) {
            let settings = Settings::of_user()?;
            let is_it = settings
                .rpc
                .is_some_and(|rpc| pins::place(&rpc) == pins::place(address));
            if is_it {
                target.pin = settings.pin.as_deref().map(pinned).transpose()?;
            }
        }
        if self.network.is_none() && self.connect.is_none() && self.rpc.is_none() {
            let settings = Settings::of_user()?;
            target.rpc = settings.rpc;
            target.connect = settings.connect;
            let parse = |text: String| arguments::public_key(&text).map_err(anyhow::Error::msg);
            target.server_key = match self.server_key {
                Some(key) => Some(key),
                None => settings.server_key.map(parse).transpose()?,
            };
            target.pin = settings.pin.as_deref().map(pinned).transpose()?;
            target.chain = target.chain.or(settings.chain);
        }
        Ok(target)
    }

    /// The test network, if one was named.
    ///
    /// # Errors
    /// It is not there.
    pub fn network(&self) -> anyhow::Result<Option<Network>> {
        self.network.as_deref().map(Network::read).transpose()
    }

    /// The node of the test network.
    ///
    /// # Errors
    /// No test network was named, or it has no such node.
    pub fn node(&self) -> anyhow::Result<NodeEntry> {
        let Some(network) = self.network()? else {
            bail!("this works in a test network alone: name its folder with --network");
        };
        network.node(self.node.as_deref()).cloned()
    }

    /// The service to dial.
    ///
    /// # Errors
    /// Too little was given.
    pub fn service(&self, which: Which) -> anyhow::Result<Service> {
        if let Some(network) = self.network()? {
            let node = network.node(self.node.as_deref())?;
            let endpoints = match which {
                Which::Peer => &node.peer,
                Which::Publish => &node.publish,
            };
            return Ok(Service {
                chain: chain_named(&node.chain)?,
                address: address(&endpoints.ipv4)?,
                key: PeerPublicKey::from_text(&endpoints.public_key)?,
            });
        }
        let (Some(at), Some(key), Some(name)) = (&self.connect, &self.server_key, &self.chain)
        else {
            bail!(
                "which node? `setup` keeps one; or give --rpc HOST:PORT, or --connect HOST:PORT --server-key HEX --chain NAME, or --network DIR"
            );
        };
        Ok(Service {
            chain: chain_named(name)?,
            address: address(at)?,
            key: *key,
        })
    }

    /// How long an answer may take.
    #[must_use]
    pub fn answer_within(&self) -> Duration {
        Duration::from_secs(self.answer_within.max(1))
    }

    /// Dials the node's peer service, for what the command protocol alone can do.
    ///
    /// # Errors
    /// Too little was given, or no socket.
    pub fn dial(&self) -> anyhow::Result<Node> {
        let target = self.filled()?;
        if target.is_rpc() {
            bail!(
                "this needs the ZeroMQ command protocol: name the node's peer service with --connect and --server-key"
            );
        }
        let service = target.service(Which::Peer)?;
        let context = Context::new()?;
        let requester = Requester::dial(
            &context,
            &fresh_key(),
            &service.key,
            service.address,
            self.answer_within(),
        )?;
        Ok(Node {
            service,
            requester,
            _context: context,
        })
    }

    fn is_rpc(&self) -> bool {
        self.rpc.is_some() || self.over == Over::Rpc
    }

    /// The link to the node's JSON-RPC service; nothing when the command protocol is meant.
    fn link(&self) -> anyhow::Result<Option<Link>> {
        let (address, pin) = if let Some(address) = &self.rpc {
            let folder = super::home::folder().ok();
            let pin = self
                .pin
                .map_or_else(|| Pin::in_folder(folder.as_deref()), Pin::Exactly);
            (address.clone(), pin)
        } else if self.over == Over::Rpc {
            let node = self.node()?;
            let address = node
                .rpc
                .first()
                .context("this node has no JSON-RPC service")?;
            let pin = pinned(&node.rpc_fingerprint)?;
            (address.clone(), Pin::Exactly(pin))
        } else {
            return Ok(None);
        };
        let within = self.answer_within();
        Ok(Some(Link::new(address, pin, within, self.verbose)))
    }

    /// The node, over JSON-RPC.
    ///
    /// # Errors
    /// Another protocol was named, or nobody is there.
    pub fn rpc(&self, output: Output) -> anyhow::Result<OverRpc> {
        let target = self.filled()?;
        let Some(link) = target.link()? else {
            bail!("this needs JSON-RPC: give --rpc HOST:PORT, or --network DIR --over rpc");
        };
        let chain = target.chain.as_deref().map(chain_named).transpose()?;
        OverRpc::open(link, chain, output)
    }

    /// The node, over the protocol that was named.
    ///
    /// # Errors
    /// Too little was given, or nobody is there.
    pub fn carrier(&self, output: Output) -> anyhow::Result<Box<dyn Carrier>> {
        if self.filled()?.is_rpc() {
            return Ok(Box::new(self.rpc(output)?));
        }
        let entry = self.network.is_some().then(|| self.node()).transpose()?;
        let node = self.dial()?;
        Ok(Box::new(OverPeer {
            node,
            entry,
            output,
        }))
    }
}

/// A node that is asked.
#[derive(Debug)]
pub struct Node {
    /// Which.
    pub service: Service,
    requester: Requester,
    _context: Context,
}

impl Node {
    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> &'static Chain {
        self.service.chain
    }

    /// Asks; an error that the node answers is an error here.
    ///
    /// # Errors
    /// No answer, or `E`.
    pub fn ask(&self, command: &[u8], parameters: &[Vec<u8>]) -> anyhow::Result<Frames> {
        let mut request = vec![self.chain().name.as_bytes().to_vec(), command.to_vec()];
        request.extend_from_slice(parameters);
        let reply = self.requester.ask(&request)?;
        match reply.as_slice() {
            [kind, text] if kind == b"E" && command != b"E" => {
                bail!(
                    "the node answers: {}",
                    for_people(&String::from_utf8_lossy(text))
                )
            }
            _ => Ok(reply),
        }
    }

    /// Asks for an answer of two frames, the first of which is the command.
    ///
    /// # Errors
    /// Another answer.
    pub fn ask_one(&self, command: &[u8], parameters: &[Vec<u8>]) -> anyhow::Result<Vec<u8>> {
        let reply = self.ask(command, parameters)?;
        match <[Vec<u8>; 2]>::try_from(reply) {
            Ok([kind, result]) if kind == command => Ok(result),
            _ => bail!("the node's answer is not of the protocol"),
        }
    }

    /// `I`
    ///
    /// # Errors
    /// No answer, or not one of the protocol.
    pub fn info(&self) -> anyhow::Result<Info> {
        let json: Value = serde_json::from_slice(&self.ask_one(b"I", &[])?)
            .context("the node's answer to I is no JSON")?;
        Ok(Info {
            normal: json["normal"].as_bool().unwrap_or_default(),
            height: json["height"].as_u64().unwrap_or_default(),
            json,
        })
    }

    /// `N`
    ///
    /// # Errors
    /// No answer, or not one of the protocol.
    pub fn height(&self) -> anyhow::Result<u64> {
        let bytes = self.ask_one(b"N", &[])?;
        let bytes: [u8; 8] = bytes
            .try_into()
            .map_err(|_| anyhow::anyhow!("the node's answer to N has not eight bytes"))?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// `B`
    ///
    /// # Errors
    /// No such block.
    pub fn block(&self, number: u64) -> anyhow::Result<Vec<u8>> {
        let packed = self.ask_one(b"B", &[number.to_be_bytes().to_vec()])?;
        let (header, _) = Header::unpack(&packed)?;
        if header.number != number {
            bail!(
                "the node sent block {} when asked for {number}",
                header.number
            );
        }
        Ok(packed)
    }

    /// `H`
    ///
    /// # Errors
    /// No such block.
    pub fn digest(&self, number: u64) -> anyhow::Result<BlockDigest> {
        let bytes = self.ask_one(b"H", &[number.to_be_bytes().to_vec()])?;
        BlockDigest::from_bytes(&bytes).context("the node's answer to H has not 32 bytes")
    }

    /// Sends what is acknowledged with `A`, whatever becomes of it.
    ///
    /// # Errors
    /// No acknowledgement.
    pub fn push(&self, command: &str, parameters: &[Vec<u8>]) -> anyhow::Result<()> {
        let answer = self.ask_one(command.as_bytes(), parameters)?;
        if answer == b"A" {
            Ok(())
        } else {
            bail!("the node did not acknowledge {command}")
        }
    }
}

impl Node {
    /// Asks with these frames just as they are.
    ///
    /// # Errors
    /// No answer.
    pub fn ask_raw(&self, request: &[Vec<u8>]) -> anyhow::Result<Frames> {
        Ok(self.requester.ask(request)?)
    }
}
