//! Where the parts of the other node lie: as given, else under the names that it uses.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::{Args, Part, keys};
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
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
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
        let file = |folder: &Path, names: &[String]| {
            let mut paths = names.iter().map(|name| folder.join(name));
            paths.find(|path| path.is_file())
        };
        let blocks = match (
            given(Part::Chain, "--blocks", &args.blocks)?,
            given(Part::Chain, "--stores", &args.stores)?,
        ) {
            (Some(file), _) => Some(BlockSource::File(file)),
            (None, Some(folder)) => Some(stores(&[folder], chain)?),
            (None, None) => wanted(Part::Chain)
                .map(|folder| stores(&[folder.to_owned(), folder.join("data")], chain))
                .transpose()?,
        };
        let pending = given(Part::Pending, "--reservoir", &args.reservoir)?.or_else(|| {
            let names = ["cache", "json"].map(|ending| format!("reservoir-{chain}.{ending}"));
            let plain = ["reservoir.cache", "reservoir.json"].map(str::to_owned);
            wanted(Part::Pending).and_then(|folder| file(folder, &[names, plain].concat()))
        });
        let peers = given(Part::Peers, "--peers", &args.peers)?.or_else(|| {
            let names = [format!("peers-{chain}.json"), "peers.json".to_owned()];
            wanted(Part::Peers).and_then(|folder| file(folder, &names))
        });
        let keys = match given(Part::Keys, "--keys", &args.keys)? {
            Some(folder) if !keys::are_in(&folder) => {
                bail!("{}: no keys are here", folder.display())
            }
            Some(folder) => Some(folder),
            None => wanted(Part::Keys)
                .filter(|folder| keys::are_in(folder))
                .map(Path::to_owned),
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

    fn is_empty(&self) -> bool {
        self.blocks.is_none()
            && self.pending.is_none()
            && self.peers.is_none()
            && self.keys.is_none()
    }
}

/// The first of these folders that has stores.
fn stores(folders: &[PathBuf], chain: &str) -> anyhow::Result<BlockSource> {
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        if let Some(name) = ReferenceStore::name_in(folder, chain)? {
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
