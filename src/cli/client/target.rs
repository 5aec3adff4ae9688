//! Which node is asked, and asking it.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::network::{Network, NodeEntry};
use super::{Exit, arguments};
use crate::core::block::Header;
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::keys::PeerPublicKey;
use crate::shell::zmq::requester::{Requester, fresh_key};
use crate::shell::zmq::{Context, Frames};

/// Which node.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// Address of the node's peer service.
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// The node's public key, 64 hex digits.
    #[arg(long, value_name = "HEX", value_parser = arguments::public_key)]
    server_key: Option<PeerPublicKey>,
    /// The network: bitmark, testing, local or devnet.
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// Folder of a test network, as `testnet/run`.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["connect", "server_key", "chain"])]
    network: Option<PathBuf>,
    /// Which node of the test network; the first unless given.
    #[arg(long, value_name = "NAME", requires = "network")]
    node: Option<String>,
    /// How long an answer may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    answer_within: u64,
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
        format!("{name:?} is no chain; there are bitmark, testing, local and devnet")
    })
}

fn address(text: &str) -> anyhow::Result<SocketAddr> {
    text.to_socket_addrs()
        .with_context(|| format!("{text:?} is no address; write HOST:PORT or [IPV6]:PORT"))?
        .next()
        .with_context(|| format!("{text:?} has no address"))
}

impl Target {
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
                "which node? give --connect HOST:PORT --server-key HEX --chain NAME, or --network DIR"
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

    /// Dials the node's peer service.
    ///
    /// # Errors
    /// Too little was given, or no socket.
    pub fn dial(&self) -> anyhow::Result<Node> {
        let service = self.service(Which::Peer)?;
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
}

/// What a node says of itself.
#[derive(Debug, Clone)]
pub struct Info {
    /// All of it.
    pub json: Value,
    /// Mode Normal.
    pub normal: bool,
    /// Its height.
    pub height: u64,
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
                bail!("the node answers: {}", String::from_utf8_lossy(text))
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

    /// `I`, for who wants to send something.
    ///
    /// # Errors
    /// The node is not in mode Normal: exit status 3.
    pub fn must_be_normal(&self) -> anyhow::Result<Info> {
        let info = self.info()?;
        if info.normal {
            Ok(info)
        } else {
            Err(Exit::not_normal(info.height).into())
        }
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
