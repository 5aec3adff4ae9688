//! Tables and log as one list of entries in the order of their keys: what was written last under
//! each, without what was deleted.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::rc::Rc;

use super::manifest::TableFile;
use super::table::{Entries, Found};
use super::{LevelDb, LevelDbError, Written};
use crate::core::state::Entry;

/// Entries in the order of their keys; of equal ones the newest first.
pub(super) enum Source<'a> {
    Memory(btree_map::Range<'a, Vec<u8>, Written>),
    /// Tables that follow each other, opened one at a time.
    Tables(
        Box<dyn Iterator<Item = &'a TableFile> + 'a>,
        Option<Entries>,
    ),
}

impl<'a> Source<'a> {
    pub(super) fn memory(memory: &'a BTreeMap<Vec<u8>, Written>, from: &[u8]) -> Self {
        Self::Memory(memory.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)))
    }

    pub(super) fn tables(files: Vec<&'a TableFile>) -> Self {
        Self::Tables(Box::new(files.into_iter()), None)
    }

    fn next(&mut self, db: &LevelDb, from: &[u8]) -> Result<Option<Found>, LevelDbError> {
        match self {
            Self::Memory(entries) => Ok(entries.next().map(|(key, written)| Found {
                key: key.clone(),
                written: written.clone(),
            })),
            Self::Tables(files, open) => loop {
                if let Some(entries) = open
                    && let Some(found) = entries.next()?
                {
                    return Ok(Some(found));
                }
                match files.next() {
                    Some(file) => {
                        let table = db.table(file)?;
                        *open = Some(Entries::from(Rc::clone(&table), from)?);
                    }
                    None => return Ok(None),
                }
            },
        }
    }
}

/// The list.
pub(super) struct Merge<'a> {
    sources: Vec<(Source<'a>, Option<Found>)>,
    from: Vec<u8>,
    begun: bool,
}

impl<'a> Merge<'a> {
    pub(super) fn new(sources: Vec<Source<'a>>, from: &[u8]) -> Self {
        Self {
            sources: sources.into_iter().map(|source| (source, None)).collect(),
            from: from.to_vec(),
            begun: false,
        }
    }

    /// The next key that has a value.
    pub(super) fn next(&mut self, db: &LevelDb) -> Result<Option<Entry>, LevelDbError> {
        if !std::mem::replace(&mut self.begun, true) {
            for (source, next) in &mut self.sources {
                *next = source.next(db, &self.from)?;
            }
        }
        loop {
            let heads = self.sources.iter().filter_map(|(_, next)| next.as_ref());
            let Some(key) = heads.map(|found| &found.key).min().cloned() else {
                return Ok(None);
            };
            let mut newest: Option<Written> = None;
            for (source, next) in &mut self.sources {
                while let Some(found) = next.take_if(|found| found.key == key) {
                    if newest
                        .as_ref()
                        .is_none_or(|written| written.sequence < found.written.sequence)
                    {
                        newest = Some(found.written);
                    }
                    *next = source.next(db, &self.from)?;
                }
            }
            if let Some(value) = newest.and_then(|written| written.value) {
                return Ok(Some((key, value)));
            }
        }
    }
}
