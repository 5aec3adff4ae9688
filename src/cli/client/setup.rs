//! `setup`: makes an identity and keeps with which node it is used, so that later commands need
//! neither. Asks the node nothing: it may be down.

use std::path::PathBuf;

use anyhow::{bail, ensure};
use serde_json::json;

use super::carrier::pins;
use super::identity::{self, New, Place};
use super::settings::{self, Settings};
use super::target::chain_named;
use super::{Output, arguments};
use crate::core::keys::PeerPublicKey;

/// `setup`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The identity that is made.
    name: String,
    /// The network: bitmark (live), or testing, local, devnet (test accounts).
    #[arg(long, default_value = "testing")]
    chain: String,
    /// Address of the node's client service: JSON-RPC over TLS.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "connect", conflicts_with_all = ["connect", "server_key"])]
    rpc: Option<String>,
    /// Fingerprint of its certificate, 64 hex digits.
    #[arg(long, value_name = "HEX", requires = "rpc", value_parser = fingerprint)]
    pin: Option<String>,
    /// Or address of its peer service: the ZeroMQ command protocol.
    #[arg(long, value_name = "HOST:PORT", requires = "server_key")]
    connect: Option<String>,
    /// With its public key, 64 hex digits.
    #[arg(long, value_name = "HEX", requires = "connect", value_parser = arguments::public_key)]
    server_key: Option<PeerPublicKey>,
    /// What the identity is for, in a line.
    #[arg(long, value_name = "TEXT", value_parser = identity::description)]
    description: Option<String>,
    /// File with its key, - for standard input, in place of a fresh one; see `identity new`.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Checks a fingerprint, which is kept as text.
fn fingerprint(text: &str) -> Result<String, String> {
    pins::fingerprint(text).map(hex::encode)
}

/// Looks whether a text can be the address of a node.
pub(super) fn address(text: &str) -> anyhow::Result<()> {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    ensure!(
        matches!(port, Some(Ok(port)) if port != 0),
        "{text:?} is no address; write HOST:PORT or [IPV6]:PORT"
    );
    Ok(())
}

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let chain = chain_named(&args.chain)?;
    for text in [&args.rpc, &args.connect].into_iter().flatten() {
        address(text)?;
    }
    let path = settings::path()?;
    if path.exists() {
        bail!(
            "{}: settings are never overwritten; edit or remove the file",
            path.display()
        );
    }
    let identity = New {
        name: &args.name,
        chain: &args.chain,
        description: args.description.as_deref(),
        key_file: args.key_file.as_deref(),
        place: &args.place,
    };
    let settings = Settings {
        identity: Some(args.name.clone()),
        identities: args.place.named_folder()?,
        chain: Some(chain.name.to_owned()),
        rpc: args.rpc.clone(),
        pin: args.pin.clone(),
        connect: args.connect.clone(),
        server_key: args.server_key.as_ref().map(ToString::to_string),
    };
    // First: where they cannot be kept no identity is made.
    settings.create(&path)?;
    let (account, file) = identity.make().inspect_err(|_| {
        let _ = std::fs::remove_file(&path);
    })?;
    output.show(
        &json!({"name": args.name, "account": account, "file": file, "settings": path}),
        format!(
            "{}: account {account}\nkept in {}\nnode and identity are in {}",
            args.name,
            file.display(),
            path.display()
        ),
    );
    Ok(())
}
