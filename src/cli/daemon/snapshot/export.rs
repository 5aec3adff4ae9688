//! Taking a snapshot: from a running node through its control socket, or from the folder of one that
//! is stopped. The file has its name when it is whole and on the disk, and is for its owner alone.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::super::Tell;
use super::super::blocks::existing;
use super::super::identities::chain_named;
use super::file::SnapshotFile;
use crate::core::snapshot::ManifestHash;
use crate::node::Taking;
use crate::shell::control::{self, ControlError};
use crate::shell::files::atomic::Growing;
use crate::shell::files::config::Config;

pub(super) fn run(
    config: &Config,
    file: &Path,
    force: bool,
    socket: Option<&Path>,
    tell: Tell,
) -> anyhow::Result<ManifestHash> {
    let exists = || {
        format!(
            "{} is there already and is not overwritten; name another file, or give --force",
            file.display()
        )
    };
    if !force && file.symlink_metadata().is_ok() {
        bail!("{}", exists());
    }
    let mut growing = Growing::create(file, 0o600).with_context(|| file.display().to_string())?;
    let bar = counter(tell);
    let mut facts = Value::Null;
    let path = socket.unwrap_or(&config.control.socket);
    let question = json!({"command": "snapshot"});
    let taken: anyhow::Result<()> = control::call_long(
        path,
        &question,
        |head| {
            facts = head;
            Ok(())
        },
        |bytes| {
            bar.inc(bytes.len() as u64);
            Ok(growing.write_all(bytes)?)
        },
    );
    if let Err(error) = taken {
        match error.downcast_ref::<ControlError>() {
            Some(ControlError::NotRunning(..)) if socket.is_none() => {
                facts = of_folder(config, &mut growing, &bar)?;
            }
            Some(ControlError::Broken(..) | ControlError::NoJson(..)) if facts.is_object() => {
                bail!("the node ended while the snapshot was taken: {error:#}");
            }
            _ => return Err(error),
        }
    }
    bar.finish_and_clear();
    growing.flush()?;
    // What is given a name can be read.
    let manifest = SnapshotFile::open(growing.temporary())?.manifest()?;
    growing.finish(force).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            anyhow::anyhow!(exists())
        } else {
            anyhow::Error::new(error).context(file.display().to_string())
        }
    })?;
    let verified = facts["verifiedHeight"].as_u64();
    if let Some(verified) = verified.filter(|verified| *verified < manifest.height) {
        eprintln!(
            "bitmarkd: WARNING: the digests of this node's blocks came from elsewhere, and it has checked them up to block {verified} of {}: do not vouch for this one yet",
            manifest.height
        );
    }
    let hash = manifest.hash();
    tell.say(format!(
        "chain {} up to block {}, {} entries, {} bytes, in {}",
        manifest.chain,
        manifest.height,
        manifest.entries(),
        manifest.bytes(),
        file.display()
    ));
    outln!("manifest: {hash}");
    Ok(hash)
}

/// The snapshot of a node that does not run.
fn of_folder(config: &Config, growing: &mut Growing, bar: &ProgressBar) -> anyhow::Result<Value> {
    let chain = chain_named(config.chain.name())?;
    let store = existing(config)
        .context("no node answers at the control socket, and the store cannot be had either")?;
    let store = store.context("there is no store to take a snapshot of")?;
    let mut taking = Taking::begin(&store, chain)?;
    while let Some(bytes) = taking.bytes()? {
        bar.inc(bytes.len() as u64);
        growing.write_all(&bytes)?;
    }
    Ok(taking.facts())
}

/// A count on a terminal, nothing elsewhere: how much there is is known at the end.
fn counter(tell: Tell) -> ProgressBar {
    if tell.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bytes}, {bytes_per_sec}, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::no_length()
        .with_style(style)
        .with_message("taking")
}
