//! Opening the store and bringing it into a state that the engine starts from: an interrupted
//! rebuild is done again, indexes that contradict themselves are rebuilt, and what cannot be helped
//! is set aside and the chain fetched again.

use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use crate::core::block::digest;
use crate::core::chain::Chain;
use crate::core::engine::{Engine, Settings};
use crate::core::ledger::{Ledger, LedgerError, Rebuild, RebuildStep};
use crate::core::state::{Batch, View};
use crate::core::time::Now;
use crate::shell::files::config::Config;
use crate::shell::signatures::Cores;
use crate::shell::store::{CACHE_BYTES, Store};

/// Where a configuration has its store.
#[derive(Debug, Clone)]
pub struct Storage(pub PathBuf);

impl Storage {
    /// The folder of the store.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let name = config.database.name.clone().unwrap_or_default();
        Self(config.database.directory.join(format!("{name}.sled")))
    }

    /// Where a snapshot is put while it is not whole.
    #[must_use]
    pub fn importing(&self) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(".importing");
        self.0.with_file_name(name)
    }

    /// Whether there is, or may be, a store: not where one was on its way in and is not whole.
    ///
    /// # Errors
    /// It is not whole.
    pub fn check(&self) -> anyhow::Result<()> {
        let importing = self.importing();
        anyhow::ensure!(
            self.0.exists() || !importing.exists(),
            "{}: the import of a snapshot did not come to its end; run `bitmarkd snapshot import` again, or remove this folder to begin without it",
            importing.display()
        );
        Ok(())
    }

    /// Opens it.
    ///
    /// # Errors
    /// Another process has it, or the folder is of no use.
    pub fn open(&self) -> anyhow::Result<Store> {
        self.check()?;
        if let Some(parent) = self.0.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .with_context(|| parent.display().to_string())?;
        }
        let opened = Store::open(&self.0, CACHE_BYTES)?;
        if let Some(aside) = opened.set_aside {
            log::error!(
                "the store was damaged and is kept at {}; the chain is fetched again",
                aside.display()
            );
        }
        Ok(opened.store)
    }
}

/// Builds all indexes again from the stored blocks; `built` hears of each block. What a rebuild that was
/// interrupted had to drop goes first.
///
/// # Errors
/// A stored block that breaks a rule: the one behind the last that was built. Or a fault of the
/// disk.
pub fn rebuild(
    store: &Store,
    chain: &'static Chain,
    built: &mut dyn FnMut(u64),
) -> Result<u64, LedgerError> {
    rebuild_with(store, chain, &Cores::all(), built)
}

fn rebuild_with(
    store: &Store,
    chain: &'static Chain,
    cores: &Cores,
    built: &mut dyn FnMut(u64),
) -> Result<u64, LedgerError> {
    let built = &mut |height| {
        built(height);
        true
    };
    let rebuild = Rebuild::asked_for(chain, store)?;
    let height = drive(store, chain, cores, rebuild, built)?;
    Ok(height.unwrap_or(1))
}

/// The same once all blocks from the top down to and including `number` are gone. `built` tells
/// whether to go on; nothing comes back when it did not.
pub(super) fn rebuild_without(
    store: &Store,
    chain: &'static Chain,
    cores: &Cores,
    number: u64,
    built: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<u64>, LedgerError> {
    drive(store, chain, cores, Rebuild::without(chain, number), built)
}

fn drive(
    store: &Store,
    chain: &'static Chain,
    cores: &Cores,
    mut rebuild: Rebuild,
    built: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<u64>, LedgerError> {
    let mut memory = crate::shell::digest::memory();
    rebuild.check_with(Arc::new(cores.clone()));
    loop {
        match rebuild.step(store)? {
            RebuildStep::Store(batch) => store.apply(&batch)?,
            RebuildStep::Digest(_, header) => {
                rebuild.digest(digest(&chain.digest, &header.pack(), &mut memory));
            }
            RebuildStep::Done(batch, ledger) => {
                store.flush()?;
                store.apply(&batch)?;
                store.flush()?;
                return Ok(Some(ledger.height()));
            }
        }
        if !built(rebuild.height()) {
            return Ok(None);
        }
    }
}

/// Opens the store and makes the engine on it, with what is to be stored first.
///
/// # Errors
/// The store cannot be had, or the disk fails. What is damaged is no error: it is set aside.
pub(super) fn start(
    config: &Config,
    now: Now,
    settings: &Settings,
    cores: &Cores,
    tell: &dyn Fn(&str),
) -> anyhow::Result<(Store, Engine, Batch)> {
    let storage = Storage::of(config);
    let store = storage.open()?;
    // Damage may also end the library that reads.
    let ready = catch_unwind(AssertUnwindSafe(|| {
        engine(&store, now, settings, cores, tell)
    }));
    let why = match ready {
        Ok(Ok((engine, first))) => return Ok((store, engine, first)),
        Ok(Err(LedgerError::Store(fault))) if store.is_whole() => return Err(fault.into()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it ends the library that reads it".to_owned(),
    };
    log::error!("{why}: the store is set aside and the chain fetched again");
    drop(store);
    Store::set_aside(&storage.0)?;
    let store = storage.open()?;
    let (engine, first) = engine(&store, now, settings, cores, tell)?;
    Ok((store, engine, first))
}

/// The engine on a store whose indexes agree with its blocks; they are built again if not.
fn engine(
    store: &Store,
    now: Now,
    settings: &Settings,
    cores: &Cores,
    tell: &dyn Fn(&str),
) -> Result<(Engine, Batch), LedgerError> {
    let chain = settings.chain;
    let is_whole = match Ledger::load(chain, store) {
        Err(LedgerError::Store(fault)) => return Err(fault.into()),
        loaded => loaded.is_ok(),
    };
    if Rebuild::is_due(store)? || !is_whole {
        tell("the indexes are built again from the blocks");
        let mut told = 0;
        let mut built = |height| {
            if height >= told + 1000 {
                told = height;
                tell(&format!("rebuilding: block {height}"));
            }
        };
        let height = rebuild_with(store, chain, cores, &mut built)?;
        tell(&format!("the indexes are built up to block {height}"));
    }
    let view: &dyn View = store;
    let (mut engine, first) = Engine::new(now, settings.clone(), view)?;
    engine.check_with(Arc::new(cores.clone()));
    Ok((engine, first))
}
