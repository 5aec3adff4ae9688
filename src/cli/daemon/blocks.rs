//! Commands on the stored blocks of a node that is not running (`proto/blocks.md`, section 14).

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;

use crate::cli::client::records;
use crate::core::block::{DigestMemory, HEADER_BYTES, Header, digest, dump};
use crate::core::chain::Chain;
use crate::core::ledger::{Ledger, LedgerError, keys, read};
use crate::core::state::{Batch, Pool, View};
use crate::node::{Storage, rebuild_store};
use crate::shell::files::config::Config;
use crate::shell::store::Store;

fn open(config: &Config) -> anyhow::Result<(Store, &'static Chain)> {
    let chain = Chain::named(config.chain.name())?;
    Ok((Storage::of(config).open()?, chain))
}

fn highest(store: &Store) -> anyhow::Result<u64> {
    let last = store.last(Pool::Blocks)?;
    Ok(last.and_then(|(key, _)| keys::number(&key)).unwrap_or(1))
}

/// Prints blocks as JSON.
///
/// # Errors
/// No such block.
pub fn dump(config: &Config, first: u64, last: u64, file: Option<&Path>) -> anyhow::Result<()> {
    if first < 2 || last < first {
        bail!("blocks {first} to {last}: the first is at least 2, the last not before it");
    }
    let (store, chain) = open(config)?;
    let mut out: Box<dyn std::io::Write> = match file {
        Some(path) => Box::new(BufWriter::new(
            File::create_new(path).with_context(|| path.display().to_string())?,
        )),
        None => Box::new(std::io::stdout().lock()),
    };
    writeln!(out, "[")?;
    for number in first..=last {
        let packed = read::block(&store, number)?.context("block not found")?;
        let digest = read::digest(&store, number)?.unwrap_or_default();
        let (header, _) = Header::unpack(&packed)?;
        let shown = records(chain, &packed)?
            .into_iter()
            .map(|found| {
                Ok(dump::ShownRecord {
                    id: found.id,
                    type_name: found.record.type_name(),
                    data: serde_json::from_str(&found.record.to_json())?,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let value = dump::to_json(&digest, &header, &shown);
        writeln!(out, "{},", serde_json::to_string_pretty(&value)?)?;
    }
    writeln!(out, "{{}}]")?;
    Ok(())
}

/// Saves all blocks; tells how many.
///
/// # Errors
/// Nothing is stored, or the file exists.
pub fn save(config: &Config, file: &Path) -> anyhow::Result<u64> {
    let (store, _) = open(config)?;
    let height = highest(&store)?;
    if height < 2 {
        bail!("nothing to save");
    }
    let target = File::create_new(file).with_context(|| file.display().to_string())?;
    let mut out = BufWriter::new(target);
    for number in 2..=height {
        let packed = read::block(&store, number)?
            .with_context(|| format!("block {number} is missing; try `bitmarkd rebuild`"))?;
        out.write_all(&dump::length_prefix(&packed))?;
        out.write_all(&packed)?;
    }
    out.into_inner()?.sync_all()?;
    Ok(height - 1)
}

/// Longest block that is loaded.
const BLOCK_MAX: usize = 64 << 20;

/// Loads saved blocks into an empty store; tells how many went in and how many did not.
///
/// # Errors
/// The store is not empty, or the file is none of ours.
pub fn load(config: &Config, file: &Path) -> anyhow::Result<(u64, u64)> {
    let (store, chain) = open(config)?;
    if highest(&store)? > 1 {
        bail!("not overwriting existing data");
    }
    let source = File::open(file).with_context(|| file.display().to_string())?;
    let bar = ProgressBar::new(source.metadata()?.len());
    let mut source = BufReader::new(source);
    let mut ledger = Ledger::load(chain, &store)?;
    let mut memory = DigestMemory::new();
    let (mut loaded, mut refused) = (0, 0);
    loop {
        let mut length = [0; dump::LENGTH_BYTES];
        match source.read_exact(&mut length) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(e).context(file.display().to_string()),
        }
        let length = dump::length_of(length, BLOCK_MAX)
            .with_context(|| format!("{}: not a file of saved blocks", file.display()))?;
        let mut packed = vec![0; length];
        source
            .read_exact(&mut packed)
            .with_context(|| format!("{}: the last block is cut short", file.display()))?;
        bar.inc(u64::try_from(length + dump::LENGTH_BYTES)?);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        let Some(header) = packed.first_chunk::<HEADER_BYTES>() else {
            refused += 1;
            continue;
        };
        if let Err(e) = ledger.precheck(&packed, now) {
            eprintln!("a block is passed over: {e}");
            refused += 1;
            continue;
        }
        let digest = digest(&chain.digest, header, &mut memory);
        match ledger.apply(&store, &packed, digest, now) {
            Ok(applied) => {
                store.apply(&applied.batch)?;
                loaded += 1;
            }
            Err(LedgerError::Refused(e)) => {
                eprintln!("a block is passed over: {e}");
                refused += 1;
            }
            Err(e) => return Err(e.into()),
        }
    }
    bar.finish_and_clear();
    store.flush()?;
    Ok((loaded, refused))
}

/// Removes blocks from the top; tells the height that is left.
///
/// # Errors
/// The number is too low, or a fault of the store.
pub fn delete_down(config: &Config, number: u64) -> anyhow::Result<u64> {
    if number < 2 {
        bail!("block {number} cannot be removed; the lowest is 2");
    }
    let (store, chain) = open(config)?;
    let mut ledger = Ledger::load(chain, &store)?;
    while ledger.height() >= number {
        match ledger.undo_top(&store) {
            Ok(undone) => {
                store.apply(&undone.batch)?;
                store.flush()?;
            }
            // Deeper than what is kept for this: the blocks go, the indexes are built anew.
            Err(LedgerError::Damaged(_)) => {
                for above in number..=ledger.height() {
                    let mut batch = Batch::new();
                    batch.delete(Pool::Blocks, keys::block(above));
                    batch.delete(Pool::BlockDigest, keys::block(above));
                    store.apply(&batch)?;
                }
                return Ok(rebuild_store(&store, chain, &|text| eprintln!("{text}"))?);
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(ledger.height())
}

/// Builds all indexes again; tells the height.
///
/// # Errors
/// A stored block that breaks a rule.
pub fn rebuild(config: &Config) -> anyhow::Result<u64> {
    let (store, chain) = open(config)?;
    Ok(rebuild_store(&store, chain, &|text| eprintln!("{text}"))?)
}
