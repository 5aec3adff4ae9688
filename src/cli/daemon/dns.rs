//! `dns-txt`: the TXT record that lets others find this node (`proto/rpc.md`, section 7;
//! `proto/peer.md`, section 6.5). It is printed; putting it into a zone is the operator's work.

use std::net::IpAddr;

use anyhow::{Context as _, bail};

use crate::core::announce::dns::TxtRecord;
use crate::core::keys::PeerPublicKey;
use crate::core::wire::connection::Connection;
use crate::shell::files::config::{Address, Config};
use crate::shell::files::{certificate, dns};

pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    let record = record(config)?;
    outln!("rpc fingerprint: {}", hex::encode(record.fingerprint));
    outln!("rpc port:        {}", record.rpc_port);
    outln!("connect port:    {}", record.connect_port);
    outln!("public key:      {}", hex::encode(record.public_key));
    outln!("TXT \"{record}\"");
    Ok(())
}

fn record(config: &Config) -> anyhow::Result<TxtRecord> {
    let listeners = resolve(&config.peering.announce).context("peering.announce")?;
    let services = resolve(&config.client_rpc.announce).context("client_rpc.announce")?;
    let file = &config.peering.public_key;
    let key = std::fs::read_to_string(file)
        .with_context(|| format!("{}: `bitmarkd gen-peer-identity` makes it", file.display()))?;
    let key = PeerPublicKey::from_file(&key).with_context(|| file.display().to_string())?;
    let fingerprint = certificate::fingerprint_of(&config.client_rpc.certificate)
        .context("`bitmarkd gen-rpc-cert` makes a certificate where there is none")?;
    let (mut ipv4, mut ipv6) = (None, None);
    for listener in &listeners {
        let is_second = match listener.ip() {
            IpAddr::V4(ip) => ipv4.replace(ip).is_some_and(|other| other != ip),
            IpAddr::V6(ip) => ipv6.replace(ip).is_some_and(|other| other != ip),
        };
        if is_second {
            bail!(
                "peering.announce: a TXT record holds one IPv4 and one IPv6 address; announce one of each"
            );
        }
    }
    Ok(TxtRecord {
        ipv4,
        ipv6,
        connect_port: only_port(&listeners).context("peering.announce")?,
        rpc_port: only_port(&services).context("client_rpc.announce")?,
        fingerprint,
        public_key: key.0,
    })
}

fn resolve(addresses: &[Address]) -> anyhow::Result<Vec<Connection>> {
    addresses
        .iter()
        .map(|address| dns::resolve(address.host_port()).with_context(|| address.to_string()))
        .collect()
}

/// The port of all of them.
fn only_port(addresses: &[Connection]) -> anyhow::Result<u16> {
    let first = addresses
        .first()
        .context("empty; others find the node by the addresses in it")?
        .port();
    if addresses.iter().any(|address| address.port() != first) {
        bail!("a TXT record holds one port; announce all addresses with the same");
    }
    Ok(first)
}
