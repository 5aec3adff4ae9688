//! Making keys and certificates, and the TXT record that tells of them.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, bail};

use crate::cli::client::identity::fresh_seed;
use crate::core::chain::Chain;
use crate::core::keys::PrivateKey;
use crate::core::wire::connection::Connection;
use crate::shell::files::certificate::{self, Certificate};
use crate::shell::files::config::{Address, Config};
use crate::shell::files::{atomic, dns, identity};
use crate::shell::zmq::requester::fresh_key;

/// Whether the chain of a configuration is a test network.
#[must_use]
pub fn is_testing(config: &Config) -> bool {
    Chain::by_name(config.chain.name()).is_some_and(|chain| chain.testing)
}

/// A key pair; says where it is.
///
/// # Errors
/// A file that exists is never overwritten.
pub fn peer(public: &Path, private: &Path) -> anyhow::Result<String> {
    let key = fresh_key();
    identity::write(&key, public, private)?;
    Ok(format!(
        "generated: {} and {}\npublic key: {}",
        public.display(),
        private.display(),
        key.public_key()
    ))
}

/// A certificate; says where it is.
///
/// # Errors
/// A file that exists is never overwritten.
pub fn rpc(crt: &Path, key: &Path, names: &[String]) -> anyhow::Result<String> {
    if crt.exists() {
        bail!("certificate file already exists: {}", crt.display());
    }
    if key.exists() {
        bail!("key file already exists: {}", key.display());
    }
    let certificate = Certificate::generate(names, SystemTime::now())?;
    certificate.write(crt, key)?;
    Ok(format!(
        "generated: {} and {}\nfingerprint: {}",
        crt.display(),
        key.display(),
        hex::encode(certificate.fingerprint)
    ))
}

/// The keys of the mining services; says where they are.
///
/// # Errors
/// A file that exists is never overwritten.
pub fn proof(
    public: &Path,
    private: &Path,
    signing: &Path,
    testing: bool,
) -> anyhow::Result<String> {
    if signing.exists() {
        bail!("key file already exists: {}", signing.display());
    }
    let key = fresh_key();
    identity::write(&key, public, private)?;
    let seed = fresh_seed(testing);
    let account = PrivateKey::from_seed(&seed)
        .account()
        .context("a seed has an account")?;
    let text = format!("SEED:{}\n", &*seed.to_text());
    atomic::create(signing, text.as_bytes(), 0o600)
        .with_context(|| signing.display().to_string())?;
    Ok(format!(
        "generated: {}, {} and {}\npublic key: {}\nblocks made with it belong to {account}",
        public.display(),
        private.display(),
        signing.display(),
        key.public_key()
    ))
}

fn first(addresses: &[Address], v6: bool) -> anyhow::Result<Option<Connection>> {
    for address in addresses {
        let connection = dns::resolve(address.host_port())?;
        if connection.is_ipv6() == v6 {
            return Ok(Some(connection));
        }
    }
    Ok(None)
}

/// The TXT record of a node (`proto/peer.md`, section 6.5).
///
/// # Errors
/// Something that stands in it is not configured.
pub fn dns_txt(config: &Config) -> anyhow::Result<String> {
    let peering = &config.peering;
    let key = identity::read(&peering.public_key, &peering.private_key)?.public_key();
    let fingerprint = certificate::fingerprint_of(&config.client_rpc.certificate)
        .context("the client service has no certificate; make one with `bitmarkd gen-rpc-cert`")?;
    let v4 = first(&peering.announce, false)?;
    let v6 = first(&peering.announce, true)?;
    let peer = v4
        .or(v6)
        .context("peering.announce: no address is told to the network")?;
    let rpc = config
        .client_rpc
        .announce
        .first()
        .context("client_rpc.announce: no address is told to the network")?;
    let rpc = dns::resolve(rpc.host_port())?;
    let addresses: Vec<String> = [
        v4.map(|c| c.ip().to_string()),
        v6.map(|c| format!("[{}]", c.ip())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let fingerprint = hex::encode(fingerprint);
    Ok(format!(
        "rpc fingerprint: {fingerprint}\nrpc port: {}\npeer port: {}\npublic key: {key}\nTXT \"bitmark=v3 a={} c={} r={} f={fingerprint} p={key}\"",
        rpc.port(),
        peer.port(),
        addresses.join(";"),
        peer.port(),
        rpc.port(),
    ))
}
