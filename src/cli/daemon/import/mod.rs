//! `import`: a user moves over from the reference's node. What that one has in its files becomes
//! what ours starts from: the chain, the pending records, the peers, the keys.
//!
//! The other node is stopped; its files are read and never changed. Every block is checked by the
//! same rules as one that comes from a peer. It can be ended at any moment and repeated: it goes on
//! behind the highest block that is stored.

mod chain;
mod indexes;
mod keys;
mod peers;
mod pending;
mod sources;

use std::fs::File;
use std::path::PathBuf;

use anyhow::bail;

use super::Tell;
use super::blocks::{self, Growing};
use super::identities::chain_named;
use crate::shell::files::config::Config;
use crate::shell::store::leveldb;
use sources::Sources;

/// `import`
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The data folder of the other node, which is stopped; all is looked for in it under the
    /// usual names, the stores also in its folder `data`.
    folder: Option<PathBuf>,
    /// A file of its `save-blocks`, instead of its stores.
    #[arg(long, value_name = "FILE", conflicts_with = "stores")]
    blocks: Option<PathBuf>,
    /// The folder of its stores: NAME-blocks.leveldb and NAME-index.leveldb.
    #[arg(long, value_name = "FOLDER")]
    stores: Option<PathBuf>,
    /// Its file of pending records.
    #[arg(long, value_name = "FILE")]
    reservoir: Option<PathBuf>,
    /// Its file of peers.
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
    /// The folder of its keys.
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,
    /// Take these parts alone.
    #[arg(
        long,
        value_name = "PART,…",
        value_delimiter = ',',
        conflicts_with = "skip"
    )]
    only: Vec<Part>,
    /// Leave these parts out.
    #[arg(long, value_name = "PART,…", value_delimiter = ',')]
    skip: Vec<Part>,
    /// Believe that each block of the stores has the digest which the next one names, and compute
    /// that of the highest alone: no proof of work is checked before the node runs, which computes
    /// the others in the background.
    #[arg(long)]
    trust_digests: bool,
    /// Put the keys in the place of others that are there, which are kept as NAME.old.
    #[arg(long)]
    force: bool,
}

/// What is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The blocks.
    Chain,
    /// Records that are in no block.
    Pending,
    /// Where other nodes are.
    Peers,
    /// The identities of the node.
    Keys,
}

impl Args {
    fn wants(&self, part: Part) -> bool {
        (self.only.is_empty() || self.only.contains(&part)) && !self.skip.contains(&part)
    }
}

/// A line of the table at the end.
type Line = (&'static str, String);

pub(super) fn run(args: &Args, config: &Config, tell: Tell) -> anyhow::Result<()> {
    let chain = chain_named(config.chain.name())?;
    let sources = Sources::find(args, chain.name)?;
    for line in sources.lines() {
        tell.say(line);
    }
    // First what can be refused, before the hours that a chain may take.
    let _locks = hold(args)?;
    let keys = sources
        .keys
        .as_deref()
        .map(|folder| keys::Plan::make(folder, config, chain, args.force))
        .transpose()?;
    let peers = sources
        .peers
        .as_deref()
        .map(|file| peers::Plan::make(file, config))
        .transpose()?;
    let pending = sources
        .pending
        .as_deref()
        .map(pending::bytes_of)
        .transpose()?;
    let blocks = sources.blocks.as_ref().map(chain::Blocks::open);
    let blocks = blocks.transpose()?;

    let mut report = Report::default();
    if blocks.is_some() || pending.is_some() {
        let mut growing = Growing::new(blocks::open(config)?, chain, tell)?;
        let mut is_whole = true;
        if let Some(mut blocks) = blocks {
            let taken = chain::take(&mut growing, &mut blocks, args.trust_digests, tell);
            is_whole = matches!(taken, Ok((_, None)));
            report.add(taken);
            if is_whole {
                report.add(indexes::compare(&growing, &blocks, tell));
            }
        }
        match pending {
            // Records that build on blocks which are missing would be lost.
            Some(_) if !is_whole => {
                let text =
                    "not taken, as something is wrong with the chain; --only pending takes them";
                report.table.push(("pending", text.to_owned()));
            }
            Some(bytes) => {
                let taken = pending::take(&growing, config, &bytes, tell);
                report.add(taken.map(|(line, problem)| (vec![line], problem)));
            }
            None => {}
        }
    }
    if let Some(peers) = peers {
        report.add(peers.write().map(|line| (vec![line], None)));
    }
    if let Some(keys) = keys {
        report.add(keys.write().map(|lines| (lines, None)));
    }
    report.table.extend(sources.missing(args));
    report.end(tell)
}

/// The locks of all stores that lie in the folder, whatever is taken of it: a node that runs
/// writes its other files, too.
fn hold(args: &Args) -> anyhow::Result<Vec<File>> {
    let mut locks = Vec::new();
    if let Some(folder) = &args.folder {
        for folder in [folder.clone(), folder.join("data")] {
            locks.extend(leveldb::hold_all(&folder)?);
        }
    }
    Ok(locks)
}

/// What came out, told in any case.
#[derive(Debug, Default)]
struct Report {
    table: Vec<Line>,
    problems: Vec<String>,
}

impl Report {
    /// What became of a part: its lines, and what is wrong.
    fn add(&mut self, part: anyhow::Result<(Vec<Line>, Option<String>)>) {
        match part {
            Ok((lines, problem)) => {
                self.table.extend(lines);
                self.problems.extend(problem);
            }
            Err(error) => self.problems.push(format!("{error:#}")),
        }
    }

    fn end(self, tell: Tell) -> anyhow::Result<()> {
        for (name, text) in &self.table {
            tell.say(format!("{name:<8} {text}"));
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            bail!("{}", self.problems.join("; "))
        }
    }
}
