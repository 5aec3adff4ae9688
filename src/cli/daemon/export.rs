//! `block` and `save-blocks`: stored blocks on their way out (`proto/blocks.md`, section 14).
//!
//! Only reading, block by block, so a long chain needs no memory. A file is never overwritten, and has
//! its name when it is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Tell;
use super::blocks::{existing, height, progress};
use super::identities::{chain_named, ending};
use crate::cli::client::shown;
use crate::core::block::{DigestMemory, Header, digest, dump};
use crate::core::chain::Chain;
use crate::core::ledger::read;
use crate::shell::files::config::Config;
use crate::shell::store::Store;

/// `block`
pub(super) fn block(
    config: &Config,
    start: u64,
    end: u64,
    file: Option<&Path>,
) -> anyhow::Result<()> {
    let chain = chain_named(config.chain.name())?;
    if end < start {
        bail!("the last block, {end}, is below the first, {start}");
    }
    let store = existing(config)?;
    let top = store.as_ref().map_or(Ok(1), height)?;
    let store = store
        .filter(|_| end <= top)
        .with_context(|| format!("block not found: {end}; the height is {top}"))?;
    match file.filter(|file| *file != Path::new("-")) {
        None => listing(&store, chain, start, end, &mut io::stdout().lock()),
        Some(file) => whole(file, |out| listing(&store, chain, start, end, out)),
    }
}

/// The array of blocks, closed by an extra empty object.
fn listing(
    store: &Store,
    chain: &'static Chain,
    start: u64,
    end: u64,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut memory = crate::shell::digest::memory();
    writeln!(out, "[")?;
    for number in start..=end {
        let shown = json_of(store, chain, number, &mut memory)
            .with_context(|| format!("block {number}"))?;
        writeln!(out, "{},", serde_json::to_string_pretty(&shown)?)?;
    }
    writeln!(out, "{{}}]")?;
    Ok(out.flush()?)
}

fn json_of(
    store: &Store,
    chain: &'static Chain,
    number: u64,
    memory: &mut DigestMemory,
) -> anyhow::Result<Value> {
    let packed = read::block(store, number)?.context("block not found")?;
    let (header, _) = Header::unpack(&packed)?;
    let digest = match read::digest(store, number)? {
        Some(digest) => digest,
        None => digest(&chain.digest, &header.pack(), memory),
    };
    let shown = shown(chain, &packed)?;
    Ok(dump::to_json(&digest, &header, &shown))
}

/// `save-blocks`
pub(super) fn save(config: &Config, file: &Path, tell: Tell) -> anyhow::Result<()> {
    let store = existing(config)?;
    let top = store.as_ref().map_or(Ok(1), height)?;
    let Some(store) = store.filter(|_| top > 1) else {
        bail!("nothing to save");
    };
    let bar = progress("saving", top - 1, tell);
    whole(file, |out| {
        for number in 2..=top {
            let packed = read::block(&store, number)?
                .with_context(|| format!("block not found: {number}; `bitmarkd delete-down {number}` keeps what is below it"))?;
            out.write_all(&dump::length_prefix(&packed))?;
            out.write_all(&packed)?;
            bar.inc(1);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    tell.say(format!("blocks 2 to {top} are saved in {}", file.display()));
    Ok(())
}

/// Makes a file beside its place and moves it there when it is whole and on the disk.
fn whole(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if file.symlink_metadata().is_ok() {
        bail!(
            "{} is there already and is not overwritten; name another file or move it away",
            file.display()
        );
    }
    let partial = ending(file, "partial");
    let name = || partial.display().to_string();
    let mut out = BufWriter::new(File::create(&partial).with_context(name)?);
    let written = write(&mut out)
        .and_then(|()| Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?))
        .and_then(|out| Ok(out.sync_all()?))
        .and_then(|()| Ok(std::fs::rename(&partial, file)?));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written.with_context(|| file.display().to_string())
}
