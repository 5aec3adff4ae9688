//! Where the parts of the other node lie: as given, else under the names that it uses.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::{Args, Line, Part, keys};
use crate::core::chain::Chain;
use crate::shell::store::leveldb::ReferenceStore;

/// Where blocks come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BlockSource {
    /// A file of `save-blocks`.
    File(PathBuf),
    /// The folder of the stores and their name.
    Stores(PathBuf, String),
}

/// What was found of what is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sources {
    pub blocks: Option<BlockSource>,
    pub pending: Option<PathBuf>,
    pub peers: Option<PathBuf>,
    pub keys: Option<PathBuf>,
}

impl Sources {
    pub(super) fn find(args: &Args, chain: &str) -> anyhow::Result<Self> {
        let folder = args.folder.as_deref();
        if let Some(folder) = folder
            && !is_folder(folder)?
        {
            bail!("{} is no folder", folder.display());
        }
        let wanted = |part| folder.filter(|_| args.wants(part));
        let given = |part, name: &str, path: &Option<PathBuf>| match path {
            Some(_) if !args.wants(part) => {
                bail!("{name} names what --only or --skip leave out")
            }
            Some(path) => {
                let facts = path
                    .metadata()
                    .with_context(|| path.display().to_string())?;
                if facts.is_dir() != matches!(name, "--stores" | "--keys") {
                    bail!("{name}: {} is of the wrong kind", path.display());
                }
                Ok(Some(path.clone()))
            }
            None => Ok(None),
        };
        let blocks = match (
            given(Part::Chain, "--blocks", &args.blocks)?,
            given(Part::Chain, "--stores", &args.stores)?,
        ) {
            (Some(_), _) if args.trust_digests => bail!(
                "--trust-digests is for stores alone: a saved file has no check sums, so a damaged one would not be noticed; leave one of --blocks and --trust-digests out"
            ),
            (Some(file), _) => Some(BlockSource::File(file)),
            (None, Some(folder)) => Some(stores(&[folder], chain, true)?),
            (None, None) => wanted(Part::Chain)
                .map(|folder| stores(&[folder.to_owned(), folder.join("data")], chain, false))
                .transpose()?,
        };
        let pending = match given(Part::Pending, "--reservoir", &args.reservoir)? {
            Some(file) => Some(file),
            None => {
                let names = ["cache", "json"].map(|ending| format!("reservoir-{chain}.{ending}"));
                let plain = ["reservoir.cache", "reservoir.json"].map(str::to_owned);
                first_of(wanted(Part::Pending), &[names, plain].concat())?
            }
        };
        let peers = match given(Part::Peers, "--peers", &args.peers)? {
            Some(file) => Some(file),
            None => {
                let names = [format!("peers-{chain}.json"), "peers.json".to_owned()];
                first_of(wanted(Part::Peers), &names)?
            }
        };
        let keys = match (given(Part::Keys, "--keys", &args.keys)?, wanted(Part::Keys)) {
            (Some(folder), _) if !keys::are_in(&folder)? => {
                bail!("{}: no keys are here", folder.display())
            }
            (Some(folder), _) => Some(folder),
            (None, Some(folder)) if keys::are_in(folder)? => Some(folder.to_owned()),
            (None, _) => None,
        };
        let found = Self {
            blocks,
            pending,
            peers,
            keys,
        };
        if found.is_empty() {
            bail!(
                "there is nothing to take: give the data folder of the other node, or --blocks, --stores, --reservoir, --peers, --keys"
            );
        }
        Ok(found)
    }

    /// A line for each part: where it comes from.
    pub(super) fn lines(&self) -> Vec<String> {
        let blocks = self.blocks.as_ref().map(|source| match source {
            BlockSource::File(file) => file.display().to_string(),
            BlockSource::Stores(folder, name) => {
                format!("the stores {name} in {}", folder.display())
            }
        });
        let name = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        [
            ("blocks", blocks),
            ("pending records", name(&self.pending)),
            ("peers", name(&self.peers)),
            ("keys", name(&self.keys)),
        ]
        .into_iter()
        .filter_map(|(what, place)| Some(format!("{what} from {}", place?)))
        .collect()
    }

    /// A line for each part that is wanted of the folder and not in it.
    pub(super) fn missing(&self, args: &Args) -> Vec<Line> {
        let Some(folder) = &args.folder else {
            return Vec::new();
        };
        let text = format!("none found in {}", folder.display());
        [
            (Part::Pending, "pending", self.pending.is_none()),
            (Part::Peers, "peers", self.peers.is_none()),
            (Part::Keys, "keys", self.keys.is_none()),
        ]
        .into_iter()
        .filter(|(part, _, is_missing)| args.wants(*part) && *is_missing)
        .map(|(_, name, _)| (name, text.clone()))
        .collect()
    }

    fn is_empty(&self) -> bool {
        self.blocks.is_none()
            && self.pending.is_none()
            && self.peers.is_none()
            && self.keys.is_none()
    }
}

/// What lies at a path; none where nothing does. Whatever else the system says is an error: what
/// may not be looked at is not absent.
fn facts_of(path: &Path) -> anyhow::Result<Option<Metadata>> {
    match path.metadata() {
        Ok(facts) => Ok(Some(facts)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn is_folder(path: &Path) -> anyhow::Result<bool> {
    Ok(facts_of(path)?.is_some_and(|facts| facts.is_dir()))
}

/// Whether a file is there; something else under its name is an error.
pub(super) fn is_file(path: &Path) -> anyhow::Result<bool> {
    match facts_of(path)? {
        None => Ok(false),
        Some(facts) if facts.is_file() => Ok(true),
        Some(_) => bail!("{}: not a regular file", path.display()),
    }
}

fn first_of(folder: Option<&Path>, names: &[String]) -> anyhow::Result<Option<PathBuf>> {
    for path in folder
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)))
    {
        if is_file(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The first of these folders that has stores. Those of another known chain are taken only where
/// the folder was named for them: some chains begin with the same block.
fn stores(folders: &[PathBuf], chain: &str, is_named: bool) -> anyhow::Result<BlockSource> {
    for folder in folders {
        if is_folder(folder)?
            && let Some(name) = ReferenceStore::name_in(folder, chain)?
        {
            if !is_named && name != chain && Chain::by_name(&name).is_some() {
                bail!(
                    "{}: the stores are those of chain {name}, and the configuration is for chain {chain}; set chain = \"{name}\" there, or take them all the same with --stores {}",
                    folder.display(),
                    folder.display()
                );
            }
            return Ok(BlockSource::Stores(folder.clone(), name));
        }
    }
    let names: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    bail!(
        "no {chain}-blocks.leveldb is in {}; --stores FOLDER or --blocks FILE say where the blocks are, --skip chain leaves them out",
        names.join(" or ")
    )
}
