//! From configuration to a set-up: keys are read, names looked up, the foundation record signed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use rand::RngCore as _;

use crate::core::announce::dns::TxtRecord;
use crate::core::announce::{self, peer_file};
use crate::core::chain::Chain;
use crate::core::currency::{Currency, Payments, payments};
use crate::core::engine::{Settings, StaticPeer, Timing};
use crate::core::keys::{PeerPrivateKey, PeerPublicKey, PrivateKey};
use crate::core::mining::assembly::Foundation;
use crate::core::mining::machine as mining;
use crate::core::record::{self, BlockFoundation, Record};
use crate::core::reservoir::Caps;
use crate::core::upstream;
use crate::core::wire::connection::{Connection, pack_list};
use crate::shell::files::config::{Address, Config, Connect, Nodes};
use crate::shell::files::identity::{self, IdentityError};
use crate::shell::files::{certificate, dns};

/// A peer known before the start: key, listeners, time.
pub type Known = ([u8; 32], Vec<u8>, u64);

/// Everything that a node starts from.
#[derive(Debug)]
pub struct Setup {
    /// The engine's part.
    pub settings: Settings,
    /// The key of the peer service.
    pub peer_key: PeerPrivateKey,
    /// The key of the publisher.
    pub publish_key: PeerPrivateKey,
    /// The key of the mining services.
    pub proof_key: PeerPrivateKey,
    /// Where requests are taken.
    pub listen: Vec<SocketAddr>,
    /// Where is published.
    pub publish: Vec<SocketAddr>,
    /// Where work is published.
    pub work: Vec<SocketAddr>,
    /// Where results are taken.
    pub submit: Vec<SocketAddr>,
    /// From DNS and the peer file.
    pub bootstrap: Vec<Known>,
}

fn resolve(address: &Address) -> anyhow::Result<Connection> {
    dns::resolve(address.host_port()).with_context(|| address.to_string())
}

fn sockets(addresses: &[Address]) -> anyhow::Result<Vec<SocketAddr>> {
    addresses
        .iter()
        .map(|address| resolve(address).map(|c| SocketAddr::new(c.ip(), c.port())))
        .collect()
}

fn peers(own: &PeerPublicKey, list: &[Connect]) -> anyhow::Result<Vec<StaticPeer>> {
    list.iter()
        .map(|peer| {
            let key = PeerPublicKey(peer.public_key.0);
            if key == *own {
                bail!("connecting to self forbidden");
            }
            let address = resolve(&peer.address)?;
            Ok(StaticPeer { key, address })
        })
        .collect()
}

/// Reads a key pair. Only where there is none is it said how to make one: a damaged one is the
/// name of the node, and worth its backup.
fn keys(public: &Path, private: &Path, command: &str) -> anyhow::Result<PeerPrivateKey> {
    identity::read(public, private).map_err(|error| match error {
        IdentityError::NotFound(_) => {
            anyhow::Error::from(error).context(format!("make the keys with `bitmarkd {command}`"))
        }
        other => other.into(),
    })
}

/// Reads everything that the configuration names.
///
/// # Errors
/// What is missing, and which command makes it.
pub fn read(config: &Config) -> anyhow::Result<Setup> {
    let chain = Chain::named(config.chain.name())?;
    let peering = &config.peering;
    let peer_key = keys(
        &peering.public_key,
        &peering.private_key,
        "gen-peer-identity",
    )?;
    let publish_key = if config.publishing.broadcast.is_empty() {
        peer_key.clone()
    } else {
        let publishing = &config.publishing;
        keys(
            &publishing.public_key,
            &publishing.private_key,
            "gen-peer-identity",
        )?
    };
    let own = peer_key.public_key();
    let announced: Vec<Connection> = peering
        .announce
        .iter()
        .map(resolve)
        .collect::<anyhow::Result<_>>()
        .context("peering.announce")?;
    let listeners = pack_list(&announced);
    let connect = peers(&own, &peering.connect).context("peering.connect")?;
    let subscribe = peers(&own, &config.subscribing.connect).context("subscribing.connect")?;
    let (proof_key, mining) = mining_setup(config, chain)?;
    let mut seed = [0; 32];
    rand::thread_rng().fill_bytes(&mut seed);
    let settings = Settings {
        chain,
        announce: announce::Setup {
            key: own.0,
            listeners: listeners.clone(),
            rpc: own_rpc(config)?,
            configured: connect
                .iter()
                .map(|peer| peer.key.0)
                .collect::<BTreeSet<_>>(),
            prefer_ipv6: peering.prefer_ipv6,
        },
        own: upstream::Own {
            key: own,
            listeners,
        },
        connect,
        dynamic_connections: peering.dynamic_connections,
        subscribe,
        caps: caps(config),
        timing: Timing::from(&config.timing),
        mempool: config.mempool,
        mining,
        seed,
    };
    let is_mining = settings.mining.is_some();
    let of_mining = |addresses| {
        if is_mining {
            sockets(addresses)
        } else {
            Ok(Vec::new())
        }
    };
    Ok(Setup {
        settings,
        peer_key,
        publish_key,
        proof_key,
        listen: sockets(&peering.listen).context("peering.listen")?,
        publish: sockets(&config.publishing.broadcast).context("publishing.broadcast")?,
        work: of_mining(&config.proofing.publish).context("proofing.publish")?,
        submit: of_mining(&config.proofing.submit).context("proofing.submit")?,
        bootstrap: bootstrap(config)?,
    })
}

fn own_rpc(config: &Config) -> anyhow::Result<Option<announce::OwnRpc>> {
    let rpc = &config.client_rpc;
    if rpc.listen.is_empty() || rpc.announce.is_empty() || !rpc.certificate.exists() {
        return Ok(None);
    }
    let announced: Vec<Connection> = rpc
        .announce
        .iter()
        .map(resolve)
        .collect::<anyhow::Result<_>>()
        .context("client_rpc.announce")?;
    let fingerprint = certificate::fingerprint_of(&rpc.certificate)?;
    Ok(Some(announce::OwnRpc {
        fingerprint,
        addresses: pack_list(&announced),
    }))
}

fn mining_setup(
    config: &Config,
    chain: &'static Chain,
) -> anyhow::Result<(PeerPrivateKey, Option<mining::Settings>)> {
    let proofing = &config.proofing;
    if !proofing.is_on() {
        return Ok((crate::shell::zmq::requester::fresh_key(), None));
    }
    let hint = "mining has no keys; make them with `bitmarkd gen-proof-identity`";
    let key = keys(
        &proofing.public_key,
        &proofing.private_key,
        "gen-proof-identity",
    )?;
    let text = std::fs::read_to_string(&proofing.signing_key)
        .with_context(|| proofing.signing_key.display().to_string())
        .context(hint)?;
    let signing = PrivateKey::from_signing_key_file(&text)
        .with_context(|| proofing.signing_key.display().to_string())?;
    let owner = signing
        .account()
        .filter(|account| account.testing == chain.testing)
        .with_context(|| {
            format!(
                "{}: the key is of the other network than chain {}",
                proofing.signing_key.display(),
                chain.name
            )
        })?;
    let mut map = Payments::default();
    for (name, address) in &proofing.payment_address {
        let currency: Currency = name.parse().with_context(|| name.clone())?;
        map.0.insert(currency, address.clone().into_bytes());
    }
    map.check(payments::VERSION, chain.testing)
        .context("proofing.payment_address: both bitcoin and litecoin are needed")?;
    let mut foundation = Record::BlockFoundation(BlockFoundation {
        version: chain.rules.foundation_version,
        payments: map,
        owner,
        nonce: chain.rules.foundation_nonce,
        signature: Vec::new(),
    });
    let packed = record::sign(&mut foundation, &signing)?;
    let settings = mining::Settings::of_chain(chain, Foundation::new(packed));
    Ok((key, Some(settings)))
}

/// The caps of the pools that a configuration names.
#[must_use]
pub fn caps(config: &Config) -> Caps {
    let reservoir = &config.reservoir;
    Caps {
        pending_records: reservoir.pending_records,
        pending_bytes: reservoir.pending_mebibytes.saturating_mul(1 << 20),
        peer_share_percent: reservoir.peer_share_percent,
        sets_per_owner: reservoir.sets_per_owner,
        assets: reservoir.assets,
        orphan_payments: reservoir.orphan_payments,
    }
}

/// Peers from the peer file and from DNS. Neither keeps the node from starting for long: a failing
/// look-up is an error only where nothing else is known.
fn bootstrap(config: &Config) -> anyhow::Result<Vec<Known>> {
    let mut known = Vec::new();
    if let Some(path) = &config.peer_file
        && let Ok(text) = std::fs::read_to_string(path)
    {
        let (items, faults) = peer_file::read(&text);
        if !faults.is_empty() {
            log::warn!("{}: {} entries are of no use", path.display(), faults.len());
        }
        known.extend(items.into_iter().map(|i| (i.key, i.listeners, i.timestamp)));
    }
    let domain = match &config.nodes {
        Nodes::None => return Ok(known),
        Nodes::Chain => config
            .chain
            .domain()
            .map(str::to_owned)
            .context("nodes: this chain has no domain of its own; write \"none\"")?,
        Nodes::Domain(domain) => domain.clone(),
    };
    for text in dns::txt_records(&domain).context("nodes")? {
        match TxtRecord::parse(&text) {
            Ok(record) => known.push((record.public_key, record.listeners(), 0)),
            Err(e) => log::warn!("{domain}: a TXT record is passed over: {e}"),
        }
    }
    Ok(known)
}
