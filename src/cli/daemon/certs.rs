//! `make-certs`: all keys and certificates of a node in one folder, under the names that a
//! configuration has by default. `certs/README.md` tells what each is for and when to replace it.
//!
//! Nothing is overwritten: it looks for all files before it makes the first.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Tell;
use super::identities::{ProofFiles, certificate_pair, chain_named, ending, pair};

/// `make-certs`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's name: that of its folder.
    #[arg(long)]
    name: String,
    /// Host names and addresses under which clients reach the node; those of this machine unless
    /// given.
    #[arg(long, value_delimiter = ',', value_name = "HOST,…")]
    hosts: Vec<String>,
    /// The network of the account that owns the node's blocks.
    #[arg(long, default_value = "bitmark", value_name = "NAME")]
    chain: String,
    /// A key pair of its own for the publisher, which else has that of the peer service.
    #[arg(long)]
    publish: bool,
    /// Where the folder is made.
    #[arg(long, default_value = "certs", value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(args: &Args, tell: Tell) -> anyhow::Result<()> {
    let chain = chain_named(&args.chain)?;
    if args.name.is_empty() {
        bail!("what is the node called? give --name NAME (make certs NAME=… HOSTS=…)");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if args.name.starts_with(['.', '-']) || !args.name.chars().all(is_plain) {
        bail!(
            "--name: {:?} is not a plain name: letters, digits, and - _ . not at its beginning",
            args.name
        );
    }
    let folder = args.directory.join(&args.name);
    let file = |name: &str| folder.join(name);
    let [public, private] = ["public", "private"].map(|part| ending(&file("peer"), part));
    let publish = ["public", "private"].map(|part| ending(&file("publish"), part));
    let proof = ProofFiles::of_prefix(&file("proof"));
    let [certificate, key] = ["crt", "key"].map(|part| ending(&file("rpc"), part));

    let mut all = vec![&public, &private, &proof.public, &proof.private];
    all.extend([&proof.signing, &certificate, &key]);
    if args.publish {
        all.extend(&publish);
    }
    refuse_to_overwrite(&all)?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| folder.display().to_string())?;

    let hosts: Vec<String> = args.hosts.iter().map(|host| host.trim().into()).collect();
    // First what can be refused: a host name that is none.
    let fingerprint = certificate_pair(&certificate, &key, &hosts).inspect_err(|_| {
        // Gone if it is empty, as when it was just made.
        let _ = std::fs::remove_dir(&folder);
    })?;
    let peer = pair(&public, &private)?;
    let publisher = args
        .publish
        .then(|| pair(&publish[0], &publish[1]))
        .transpose()?;
    let (proofing, account) = proof.write(chain.testing)?;

    let network = if chain.testing { "test" } else { "live" };
    tell.say(format!("{}:", folder.display()));
    let line = |name: &str, what: String| tell.say(format!("  {name:<16} {what}"));
    line(
        "peer.public",
        format!("names the node to others, who connect with it: {peer}"),
    );
    line("peer.private", "its secret half: stays on the node".into());
    if let Some(key) = publisher {
        line("publish.public", format!("names the publisher: {key}"));
        line("publish.private", "its secret half".into());
    }
    line(
        "proof.public",
        format!("names the node to its miners: {proofing}"),
    );
    line("proof.private", "its secret half: stays on the node".into());
    line(
        "proof.sign",
        format!("secret seed of the {network} account that owns its blocks: {account}"),
    );
    line(
        "rpc.crt",
        format!("shown to clients, who know it by its fingerprint: {fingerprint}"),
    );
    line("rpc.key", "its secret half: stays on the node".into());
    tell.say("Secret files are for their owner alone; keep a copy of proof.sign in a safe place.");
    Ok(())
}

fn refuse_to_overwrite(files: &[&PathBuf]) -> anyhow::Result<()> {
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    match files.iter().find(|path| is_there(path)) {
        None => Ok(()),
        Some(path) => bail!(
            "{} is there already and nothing is overwritten; choose another name, or move the old files away (certs/README.md, Rotation)",
            path.display()
        ),
    }
}
