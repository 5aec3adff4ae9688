//! `bitmarkd make-certs`: all keys and certificates of a node in one folder (`certs/README.md`).

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::identities;
use crate::core::chain::Chain;

/// What to make.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the node; a folder of this name is made.
    #[arg(long)]
    name: String,
    /// Host names and addresses that clients reach the node by.
    #[arg(long, value_delimiter = ',')]
    hosts: Vec<String>,
    /// The network that the mining account is for.
    #[arg(long, default_value = "bitmark")]
    chain: String,
    /// Where the folder is made.
    #[arg(long, default_value = "certs")]
    directory: PathBuf,
}

/// Makes them.
///
/// # Errors
/// Nothing that exists is overwritten.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let chain =
        Chain::by_name(&args.chain).with_context(|| format!("{:?} is no chain", args.chain))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if args.name.is_empty() || args.name.starts_with('.') || !args.name.chars().all(plain) {
        bail!(
            "{:?}: a name has letters, digits and - _ . and does not begin with a point",
            args.name
        );
    }
    let folder = args.directory.join(&args.name);
    if folder.exists() {
        bail!(
            "{}: is there already and nothing in it is overwritten; choose another name, or move it away",
            folder.display()
        );
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| folder.display().to_string())?;
    let file = |name: &str| folder.join(name);
    identities::peer(&file("peer.public"), &file("peer.private"))?;
    identities::proof(
        &file("proof.public"),
        &file("proof.private"),
        &file("proof.sign"),
        chain.testing,
    )?;
    identities::rpc(&file("rpc.crt"), &file("rpc.key"), &args.hosts)?;
    println!("made in {}:", folder.display());
    for (name, purpose) in [
        (
            "peer.public",
            "the node's name among peers; others put it in peering.connect",
        ),
        ("peer.private", "proves that name; secret"),
        ("proof.public", "miners put it in their configuration"),
        ("proof.private", "proves the mining services; secret"),
        (
            "proof.sign",
            "owns the blocks that are made with it; secret, back it up",
        ),
        (
            "rpc.crt",
            "the certificate of the client service; valid for ten years",
        ),
        ("rpc.key", "its key; secret"),
    ] {
        println!("  {name:14} {purpose}");
    }
    Ok(())
}
