//! The blocks of the other node: read in order, their digests computed on all cores ahead of the
//! checks, each stored by itself. What is read ahead is bounded in number and bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use crossbeam_channel::{Receiver, bounded};
use indicatif::ProgressBar;

use super::super::Tell;
use super::super::blocks::{Growing, next_block, progress, wall};
use super::Line;
use super::sources::BlockSource;
use crate::core::block::{Header, dump};
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::ledger::checked::Checked;
use crate::core::ledger::{LedgerError, read};
use crate::shell::digest::DigestWorkers;
use crate::shell::store::leveldb::ReferenceStore;

/// Threads that compute digests at most: each needs twice 128 MiB.
const WORKERS_MAX: usize = 16;
/// Bytes of blocks that are read ahead, one block more at most.
const AHEAD_BYTES: usize = 32 << 20;

/// The blocks of the other node.
#[derive(Debug)]
pub(super) enum Blocks {
    /// A file of saved blocks, which begins with block 2.
    File {
        path: PathBuf,
        reader: BufReader<File>,
        bytes: u64,
    },
    /// Its stores, the next block and the highest one.
    Stores {
        store: Box<ReferenceStore>,
        next: u64,
        height: u64,
    },
}

impl Blocks {
    pub(super) fn open(source: &BlockSource) -> anyhow::Result<Self> {
        match source {
            BlockSource::File(path) => {
                let file = File::open(path).with_context(|| path.display().to_string())?;
                Ok(Self::File {
                    path: path.clone(),
                    bytes: file.metadata().map_or(0, |facts| facts.len()),
                    reader: BufReader::new(file),
                })
            }
            BlockSource::Stores(folder, name) => {
                let store = ReferenceStore::open(folder, name)?;
                Ok(Self::Stores {
                    next: 2,
                    height: store.height()?,
                    store: Box::new(store),
                })
            }
        }
    }

    fn next(&mut self, chain: &Chain) -> anyhow::Result<Option<Vec<u8>>> {
        match self {
            Self::File { path, reader, .. } => {
                next_block(reader, chain).with_context(|| path.display().to_string())
            }
            Self::Stores {
                store,
                next,
                height,
            } => {
                if next > height {
                    return Ok(None);
                }
                let packed = store.block(*next)?.with_context(|| {
                    format!("{}: block {next} is missing", store.folder().display())
                })?;
                *next += 1;
                Ok(Some(packed))
            }
        }
    }

    /// Goes behind the blocks that are there already; gives the number of the last one that both
    /// have, which has to be the same.
    fn skip(&mut self, growing: &Growing) -> anyhow::Result<u64> {
        let ours = growing.ledger.height();
        let is_empty = matches!(self, Self::Stores { height, .. } if *height < 2);
        if ours < 2 || is_empty {
            return Ok(1);
        }
        let chain = growing.ledger.chain();
        let mut last = None;
        let mut common = 1;
        if let Self::Stores { next, height, .. } = self {
            // Blocks are linked by their digests: of equal ones all below them are equal.
            common = ours.min(*height).max(1) - 1;
            *next = common + 1;
        }
        while common < ours
            && let Some(packed) = self.next(chain)?
        {
            common += 1;
            last = Some(packed);
        }
        let stored = read::block(&growing.store, common)?;
        match last {
            Some(packed) if stored.as_ref() != Some(&packed) => bail!(
                "the store holds another chain: block {common} is not the same; an empty store is wanted, or one that holds the beginning of the same chain (`bitmarkd delete-down 2` empties it)"
            ),
            _ => Ok(common),
        }
    }

    /// A bar over what is left of the blocks or bytes.
    fn bar(&self, tell: Tell) -> ProgressBar {
        match self {
            Self::File { bytes, .. } => progress("taking bytes", *bytes, tell),
            Self::Stores { next, height, .. } => {
                progress("taking blocks", (height + 1).saturating_sub(*next), tell)
            }
        }
    }

    const fn steps_of(&self, packed: &[u8]) -> u64 {
        match self {
            Self::File { .. } => (dump::LENGTH_BYTES + packed.len()) as u64,
            Self::Stores { .. } => 1,
        }
    }

    /// The stores, if that is what they come from.
    pub(super) fn stores(&self) -> Option<(&ReferenceStore, u64)> {
        match self {
            Self::File { .. } => None,
            Self::Stores { store, height, .. } => Some((store, *height)),
        }
    }
}

/// How the digest of a block comes about.
enum Coming {
    /// A thread computes it.
    Computed(Receiver<BlockDigest>),
    /// The next block says so.
    Trusted(BlockDigest),
    /// It is worth none, or no thread had time.
    Unknown,
}

/// Blocks that were read ahead, with their digests.
struct Ahead<'a> {
    blocks: &'a mut Blocks,
    chain: &'static Chain,
    workers: Option<DigestWorkers>,
    most: usize,
    waiting: VecDeque<(Vec<u8>, Coming)>,
    bytes: usize,
    /// Where digests are trusted: a block that waits for the one behind it.
    held: Option<Vec<u8>>,
    is_at_end: bool,
    /// Told when what was read before it is taken.
    failed: Option<anyhow::Error>,
}

impl Ahead<'_> {
    fn fill(&mut self) {
        while !self.is_at_end && self.waiting.len() < self.most && self.bytes < AHEAD_BYTES {
            let next = self.blocks.next(self.chain).unwrap_or_else(|error| {
                self.failed = Some(error);
                None
            });
            self.is_at_end = next.is_none();
            self.bytes += next.as_ref().map_or(0, Vec::len);
            if self.workers.is_some() {
                if let Some(packed) = next {
                    let coming = self.compute(&packed);
                    self.waiting.push_back((packed, coming));
                }
                continue;
            }
            let named = next
                .as_ref()
                .and_then(|packed| Header::unpack(packed).ok())
                .map(|(header, _)| header.previous_block);
            if let Some(packed) = std::mem::replace(&mut self.held, next) {
                let coming = named.map_or(Coming::Unknown, Coming::Trusted);
                self.waiting.push_back((packed, coming));
            }
        }
    }

    /// Has a digest computed where the header is worth one.
    fn compute(&self, packed: &[u8]) -> Coming {
        let header = Header::unpack(packed)
            .and_then(|(header, _)| header.check(self.chain, wall()).map(|()| header));
        let (Ok(header), Some(workers)) = (header, &self.workers) else {
            return Coming::Unknown;
        };
        let (tell, told) = bounded(1);
        let done = Box::new(move |digest| {
            let _ = tell.send(digest);
        });
        if workers.compute(header.pack(), done) {
            Coming::Computed(told)
        } else {
            Coming::Unknown
        }
    }

    fn next(&mut self) -> anyhow::Result<Option<(Vec<u8>, Option<BlockDigest>)>> {
        self.fill();
        let Some((packed, coming)) = self.waiting.pop_front() else {
            return self.failed.take().map_or(Ok(None), Err);
        };
        self.bytes = self.bytes.saturating_sub(packed.len());
        let digest = match coming {
            Coming::Computed(told) => told.recv().ok(),
            Coming::Trusted(digest) => Some(digest),
            Coming::Unknown => None,
        };
        Ok(Some((packed, digest)))
    }
}

/// Takes all blocks that are not there yet: the lines for the table, and what is wrong. The block
/// that is on top in the end has a digest that was computed, also where others are trusted: the
/// node computes those after its start, in the background.
pub(super) fn take(
    growing: &mut Growing,
    blocks: &mut Blocks,
    trust_digests: bool,
    tell: Tell,
) -> anyhow::Result<(Vec<Line>, Option<String>)> {
    let chain = growing.ledger.chain();
    if trust_digests {
        eprintln!(
            "bitmarkd: WARNING: --trust-digests: the proof of work of no block but the highest is checked now, and the node computes their digests in the background once it runs; do this only with files that your own node wrote and that nobody else could change"
        );
    }
    let mut memory = crate::shell::digest::memory();
    // A run that trusted digests may have been killed.
    growing.settle(&mut memory)?;
    let there = blocks.skip(growing)?;
    let before = growing.ledger.height();
    let known = Checked::load(&growing.store, before)?;
    let mut checked = Checked::below_trusted(known, before);
    let bar = blocks.bar(tell);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = cores.min(WORKERS_MAX);
    let workers = (!trust_digests)
        .then(|| DigestWorkers::start(chain.digest, cores))
        .transpose()?;
    let mut ahead = Ahead {
        blocks,
        chain,
        workers,
        most: 4 * cores,
        waiting: VecDeque::new(),
        bytes: 0,
        held: None,
        is_at_end: false,
        failed: None,
    };
    let mut is_top_trusted = false;
    let taken = loop {
        let (packed, digest) = match ahead.next() {
            Ok(Some(next)) => next,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let result = match digest {
            Some(digest) if trust_digests => growing.take_trusted(&packed, digest, &mut checked),
            Some(digest) => growing.take(&packed, digest),
            None => growing.take_unknown(&packed, &mut memory),
        };
        if let Err(error) = result {
            break Err(told(error, &packed, growing));
        }
        is_top_trusted = trust_digests && digest.is_some();
        bar.inc(ahead.blocks.steps_of(&packed));
    };
    if is_top_trusted {
        growing.settle(&mut memory)?;
        // Blocks may have gone by that.
        checked.clamp(growing.ledger.height());
        growing.store.apply(&checked.batch())?;
    }
    growing.store.flush()?;
    bar.finish_and_clear();
    let height = growing.ledger.height();
    let lines = vec![
        (
            "blocks",
            format!(
                "{} taken, {} were there",
                height.saturating_sub(before),
                there - 1
            ),
        ),
        ("height", height.to_string()),
        ("top", growing.ledger.tip().digest.to_string()),
    ];
    let problem = taken
        .err()
        .map(|error| format!("the chain is taken up to block {height}, which is kept: {error:#}"));
    Ok((lines, problem))
}

fn told(error: LedgerError, packed: &[u8], growing: &Growing) -> anyhow::Error {
    let chain = growing.ledger.chain();
    let number = growing.ledger.height() + 1;
    let follows =
        |digest| Header::unpack(packed).is_ok_and(|(header, _)| header.previous_block == digest);
    match error {
        LedgerError::Refused(why) if number == 2 && !follows(chain.genesis_digest) => {
            anyhow::anyhow!(
                "block 2 is refused: {why}: it does not follow the first block of chain {}; is the configuration for the chain of the other node?",
                chain.name
            )
        }
        LedgerError::Refused(why) => anyhow::anyhow!("block {number} is refused: {why}"),
        error => anyhow::Error::new(error).context(format!("block {number}")),
    }
}
