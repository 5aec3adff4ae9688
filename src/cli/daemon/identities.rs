//! `gen-peer-identity`, `gen-rpc-cert`, `gen-proof-identity`: keys and certificates in the files that
//! the configuration names, or in files of a prefix (`proto/rpc.md`, sections 2 and 7;
//! `proto/mining.md`, section 6).
//!
//! No file is ever overwritten: the reference replaces the signing key, and with it the account
//! that owns all blocks made so far. Private files are for their owner alone.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use zeroize::Zeroizing;

use super::Tell;
use crate::cli::client::identity::fresh_seed;
use crate::core::chain::Chain;
use crate::core::keys::{Account, PeerPublicKey, PrivateKey};
use crate::shell::files::atomic;
use crate::shell::files::certificate::{Certificate, CertificateError};
use crate::shell::files::config::Config;
use crate::shell::files::identity::{self, IdentityError};
use crate::shell::zmq::requester::fresh_key;

/// What to do about a file that is there already.
const KEPT: &str = "nothing is overwritten: move it away if it is of no use any more, or name another place with a PREFIX";

/// `gen-peer-identity`
pub(super) fn peer(
    prefix: Option<&Path>,
    config: impl Fn() -> anyhow::Result<Config>,
    tell: Tell,
) -> anyhow::Result<()> {
    let (public, private) = match prefix {
        Some(prefix) => (ending(prefix, "public"), ending(prefix, "private")),
        None => {
            let peering = config()?.peering;
            (peering.public_key, peering.private_key)
        }
    };
    let key = pair(&public, &private)?;
    tell.say(format!(
        "key pair in {} and {}\npublic key: {key}",
        public.display(),
        private.display()
    ));
    Ok(())
}

/// `gen-rpc-cert`
pub(super) fn rpc(
    prefix: Option<&Path>,
    addresses: &[String],
    config: impl Fn() -> anyhow::Result<Config>,
    tell: Tell,
) -> anyhow::Result<()> {
    let (certificate, key) = match prefix {
        Some(prefix) => (ending(prefix, "crt"), ending(prefix, "key")),
        None => {
            let rpc = config()?.client_rpc;
            (rpc.certificate, rpc.private_key)
        }
    };
    let fingerprint = certificate_pair(&certificate, &key, addresses)?;
    tell.say(format!(
        "certificate in {}, its key in {}\nfingerprint: {fingerprint}",
        certificate.display(),
        key.display()
    ));
    Ok(())
}

/// `gen-proof-identity`
pub(super) fn proof(
    prefix: Option<&Path>,
    chain: Option<&str>,
    config: impl Fn() -> anyhow::Result<Config>,
    tell: Tell,
) -> anyhow::Result<()> {
    let chain = match chain {
        Some(name) => chain_named(name)?,
        None => {
            let config = config().context("the chain of the account; --chain NAME does too")?;
            chain_named(config.chain.name())?
        }
    };
    let files = match prefix {
        Some(prefix) => ProofFiles::of_prefix(prefix),
        None => {
            let proofing = config()?.proofing;
            ProofFiles {
                public: proofing.public_key,
                private: proofing.private_key,
                signing: proofing.signing_key,
            }
        }
    };
    let (key, account) = files.write(chain.testing)?;
    tell.say(format!(
        "key pair in {} and {}, signing key in {}\npublic key: {key}\naccount: {account}",
        files.public.display(),
        files.private.display(),
        files.signing.display()
    ));
    Ok(())
}

/// A chain by its name.
pub(super) fn chain_named(name: &str) -> anyhow::Result<&'static Chain> {
    let known = Chain::ALL.map(|chain| chain.name).join(", ");
    Chain::named(name).with_context(|| format!("{name:?}; there are {known}"))
}

/// PREFIX.ENDING, whatever dots the prefix has.
pub(super) fn ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Makes and writes a key pair.
pub(super) fn pair(public: &Path, private: &Path) -> anyhow::Result<PeerPublicKey> {
    let key = fresh_key();
    identity::write(&key, public, private).map_err(|error| match error {
        IdentityError::Exists(_) => anyhow::anyhow!("{error}; {KEPT}"),
        _ => error.into(),
    })?;
    Ok(key.public_key())
}

/// Makes and writes a certificate with its key; gives the fingerprint in hex.
pub(super) fn certificate_pair(
    certificate: &Path,
    key: &Path,
    names: &[String],
) -> anyhow::Result<String> {
    let made = Certificate::generate(names, SystemTime::now())?;
    made.write(certificate, key).map_err(|error| match error {
        CertificateError::CertificateExists => {
            anyhow::anyhow!("{error}: {}; {KEPT}", certificate.display())
        }
        CertificateError::KeyExists => anyhow::anyhow!("{error}: {}; {KEPT}", key.display()),
        _ => error.into(),
    })?;
    Ok(hex::encode(made.fingerprint))
}

/// The files of mining.
#[derive(Debug)]
pub(super) struct ProofFiles {
    /// Of the services.
    pub public: PathBuf,
    /// Of the services.
    pub private: PathBuf,
    /// Of the account.
    pub signing: PathBuf,
}

impl ProofFiles {
    /// PREFIX.public, PREFIX.private, PREFIX.sign.
    pub(super) fn of_prefix(prefix: &Path) -> Self {
        let [public, private, signing] =
            ["public", "private", "sign"].map(|name| ending(prefix, name));
        Self {
            public,
            private,
            signing,
        }
    }

    /// Makes and writes a key pair and a signing key: all of it or nothing.
    pub(super) fn write(&self, testing: bool) -> anyhow::Result<(PeerPublicKey, Account)> {
        let seed = fresh_seed(testing);
        let account = PrivateKey::from_seed(&seed)
            .account()
            .context("the seed gives no account")?;
        let text = Zeroizing::new(format!("SEED:{}\n", &*seed.to_text()));
        atomic::create(&self.signing, text.as_bytes(), 0o600).map_err(|error| {
            let name = self.signing.display();
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    anyhow::anyhow!("key file already exists: {name}; {KEPT}")
                }
                _ => anyhow::anyhow!("{name}: {error}"),
            }
        })?;
        let key = pair(&self.public, &self.private).inspect_err(|_| {
            // It was made a moment ago and belongs to nothing yet.
            let _ = std::fs::remove_file(&self.signing);
        })?;
        Ok((key, account))
    }
}
