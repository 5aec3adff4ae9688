//! Folders written by another implementation of the format, in memory, and copied out.

use std::path::Path;
use std::rc::Rc;

use proptest::prelude::*;
use rusty_leveldb::{DB, LdbIterator as _, MemEnv, Options};

use super::*;
use crate::core::state::{Pool, View as _};

/// Writes a folder: `fill` gets the database; what it puts last stays in the log.
pub(super) fn write(folder: &Path, name: &str, fill: impl FnOnce(&mut DB)) {
    let options = Options {
        env: Rc::new(Box::new(MemEnv::new())),
        compressor: 1,
        write_buffer_size: 64 << 10,
        ..Options::default()
    };
    let env = Rc::clone(&options.env);
    let mut db = DB::open(name, options).unwrap();
    fill(&mut db);
    drop(db);
    let target = folder.join(name);
    std::fs::create_dir(&target).unwrap();
    for file in env.children(Path::new(name)).unwrap() {
        let mut bytes = Vec::new();
        let mut source = env
            .open_sequential_file(&Path::new(name).join(&file))
            .unwrap();
        std::io::Read::read_to_end(&mut source, &mut bytes).unwrap();
        std::fs::write(target.join(file), bytes).unwrap();
    }
}

fn key(number: u32) -> Vec<u8> {
    [b"B".as_slice(), &number.to_be_bytes()].concat()
}

fn value(number: u32, round: u32) -> Vec<u8> {
    let mut text = format!("{number} in round {round} ").repeat(8).into_bytes();
    text.extend((0..number % 600).map(|n| n.wrapping_mul(n ^ number).to_le_bytes()[0]));
    text
}

/// Two rounds of entries over several levels and the log, some deleted; what is left.
fn filled(folder: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut left = BTreeMap::new();
    write(folder, "db", |db| {
        for round in 0..3 {
            for number in (0..2000).filter(|number| number % (round + 1) == 0) {
                if (number + round) % 7 == 0 {
                    db.delete(&key(number)).unwrap();
                    left.remove(&key(number));
                } else {
                    db.put(&key(number), &value(number, round)).unwrap();
                    left.insert(key(number), value(number, round));
                }
            }
        }
        db.flush().unwrap();
        db.put(b"Z", b"in the log").unwrap();
        left.insert(b"Z".to_vec(), b"in the log".to_vec());
        // The other one agrees about what it wrote.
        let mut all = db.new_iter().unwrap();
        let mut theirs = BTreeMap::new();
        while let Some((key, value)) = all.next() {
            theirs.insert(key.to_vec(), value.to_vec());
        }
        assert_eq!(theirs, left);
    });
    left
}

fn all_of(db: &LevelDb, chunk: usize) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut from = Vec::new();
    loop {
        let entries = db.scan(&from, chunk, &|_| true).unwrap();
        let Some((last, _)) = entries.last() else {
            return all;
        };
        from = [last.as_slice(), &[0]].concat();
        all.extend(entries);
    }
}

fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = folder.read_dir().unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn every_entry_of_tables_and_log_is_found_and_listed_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let left = filled(folder.path());
    let path = folder.path().join("db");
    let before = bytes_of(&path);
    let tables = before
        .keys()
        .filter(|name| name.extension().is_some_and(|ending| ending == "ldb"));
    assert!(tables.count() > 3);
    let db = LevelDb::open(&path).unwrap();
    assert!(db.levels.iter().skip(1).any(|level| !level.is_empty()));
    assert!(db.memory.contains_key(b"Z".as_slice()));
    for chunk in [7, 100_000] {
        assert_eq!(all_of(&db, chunk), left);
    }
    for number in 0..2001 {
        assert_eq!(
            db.get(&key(number)).unwrap(),
            left.get(&key(number)).cloned()
        );
    }
    assert_eq!(db.get(b"A").unwrap(), None);
    assert_eq!(bytes_of(&path), before);
}

#[test]
fn a_folder_whose_writer_runs_is_not_opened_and_holds_the_writer_off_while_it_is() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let path = folder.path().join("db");
    let lock = File::create(path.join("LOCK")).unwrap();
    lock.lock().unwrap();
    let error = LevelDb::open(&path).unwrap_err().to_string();
    assert!(error.ends_with("the store is in use; stop the node that has it open"));
    lock.unlock().unwrap();
    let db = LevelDb::open(&path).unwrap();
    let others = LevelDb::open(&path).unwrap();
    assert!(lock.try_lock().is_err());
    drop((db, others));
    lock.try_lock().unwrap();
}

#[test]
fn a_folder_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = LevelDb::open(folder.path()).unwrap_err();
    assert!(matches!(error, LevelDbError::Missing(_)));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

/// Opens and reads all of it.
fn read_all(path: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, LevelDbError> {
    let db = LevelDb::open(path)?;
    db.get(&key(5))?;
    Ok(db.scan(&[], usize::MAX, &|_| true)?.into_iter().collect())
}

#[test]
fn damage_and_truncation_of_any_file_is_an_error_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let left = filled(folder.path());
    let path = folder.path().join("db");
    let mut refused = 0;
    for (name, whole) in bytes_of(&path) {
        let is_read = |file: &str| name.to_str().unwrap().contains(file);
        for step in 0..40 {
            let at = whole.len() * step / 40;
            let mut damaged = whole.clone();
            if let Some(byte) = damaged.get_mut(at) {
                *byte ^= 0x10;
            }
            std::fs::write(&name, &damaged).unwrap();
            match read_all(&path) {
                Ok(all) => assert_eq!(all, left, "{}: byte {at}", name.display()),
                Err(_) => refused += 1,
            }
            std::fs::write(&name, &whole[..at]).unwrap();
            match read_all(&path) {
                Ok(all) if is_read(".ldb") || is_read("MANIFEST") || is_read("CURRENT") => {
                    assert_eq!(all, left, "{}: cut at {at}", name.display());
                }
                // A log that ends between two records is as one that was never longer.
                Ok(_) => {}
                Err(_) => refused += 1,
            }
        }
        std::fs::remove_file(&name).unwrap();
        if is_read(".ldb") || is_read("MANIFEST") || is_read("CURRENT") {
            read_all(&path).unwrap_err();
        }
        std::fs::write(&name, &whole).unwrap();
    }
    assert!(refused > 100, "only {refused}");
    assert_eq!(read_all(&path).unwrap(), left);
}

#[test]
fn a_damaged_block_of_a_table_ends_no_list_silently() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let path = folder.path().join("db");
    for (name, whole) in bytes_of(&path) {
        if name.extension().is_none_or(|ending| ending != "ldb") {
            continue;
        }
        let mut damaged = whole.clone();
        damaged[whole.len() / 3] ^= 1;
        std::fs::write(&name, &damaged).unwrap();
        let error = read_all(&path).unwrap_err();
        assert!(matches!(error, LevelDbError::Damaged { .. }), "{error}");
        std::fs::write(&name, &whole).unwrap();
    }
}

#[test]
fn a_damaged_log_loses_no_entry_silently() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "db", |db| {
        for number in 0..20 {
            db.put(&key(number), &value(number, 0)).unwrap();
        }
    });
    let path = folder.path().join("db");
    let (name, whole) = bytes_of(&path)
        .into_iter()
        .find(|(name, _)| name.extension().is_some_and(|ending| ending == "log"))
        .unwrap();
    assert_eq!(read_all(&path).unwrap().len(), 20);
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&name, damaged).unwrap();
    let error = read_all(&path).unwrap_err().to_string();
    assert!(error.contains("a checksum is wrong"), "{error}");
    std::fs::write(&name, &whole[..whole.len() - 3]).unwrap();
    let error = read_all(&path).unwrap_err().to_string();
    assert!(error.contains("cut short"), "{error}");
}

fn store(folder: &Path, blocks: &[u64], version: &[u8]) {
    for part in ["blocks", "index"] {
        write(folder, &format!("local-{part}.leveldb"), |db| {
            db.put(b"\0VERSION", version).unwrap();
            for number in blocks {
                let key = [b"B".as_slice(), &number.to_be_bytes()].concat();
                db.put(&key, format!("block {number}").as_bytes()).unwrap();
            }
        });
    }
}

#[test]
fn the_height_is_that_of_the_highest_block_and_a_gap_is_told() {
    for (blocks, height) in [
        (&[][..], Some(1)),
        (&[2], Some(2)),
        (&[2, 3, 4, 5, 6, 7, 8], Some(8)),
        (&[3], None),
        // What is missing below the highest is missed by who reads it.
        (&[2, 3, 4, 6], Some(6)),
        (&[2, 3, 4, 5, 6, 8, 900], None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path(), blocks, &[0, 0, 1, 0]);
        let opened = ReferenceStore::open(folder.path(), "local").unwrap();
        match (opened.height(), height) {
            (found, Some(height)) => {
                assert_eq!(found.unwrap(), height, "{blocks:?}");
                let last = opened.last(Pool::Blocks).unwrap();
                assert_eq!(last.is_some(), height > 1);
            }
            (found, None) => {
                let error = found.unwrap_err().to_string();
                assert!(error.contains("is missing and there are higher ones"));
            }
        }
    }
}

#[test]
fn stores_are_found_by_name_and_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let name = |chain| ReferenceStore::name_in(folder.path(), chain);
    assert_eq!(name("local").unwrap(), None);
    store(folder.path(), &[2], &[0, 0, 2, 0]);
    assert_eq!(name("local").unwrap().as_deref(), Some("local"));
    assert_eq!(name("testing").unwrap().as_deref(), Some("local"));
    std::fs::create_dir(folder.path().join("other-blocks.leveldb")).unwrap();
    assert_eq!(name("local").unwrap().as_deref(), Some("local"));
    assert!(name("testing").is_err());
    let error = ReferenceStore::open(folder.path(), "local").unwrap_err();
    assert!(error.to_string().contains("has version 512, 256 is known"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_of_any_kind_are_read_without_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        which in 0..4_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path(), &[2, 3], &[0, 0, 1, 0]);
        let path = folder.path().join("local-blocks.leveldb");
        let names: Vec<PathBuf> = bytes_of(&path).into_keys().collect();
        std::fs::write(&names[which % names.len()], &bytes).unwrap();
        let _ = read_all(&path);
        // Behind a right checksum.
        let mut record = checksum(&[&[1], &bytes]).to_le_bytes().to_vec();
        record.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        record.push(1);
        record.extend(&bytes);
        std::fs::write(&names[which % names.len()], &record).unwrap();
        let _ = read_all(&path);
        let mut table = bytes.clone();
        table.push(0);
        let sum = checksum(&[&table]).to_le_bytes();
        table.extend(sum);
        let size = u8::try_from(bytes.len() % 128).unwrap();
        let mut footer = [0; 48];
        footer[3] = size;
        footer[40..].copy_from_slice(&0xdb47_7524_8b80_fb57_u64.to_le_bytes());
        table.extend(footer);
        let path = folder.path().join("000001.ldb");
        std::fs::write(&path, &table).unwrap();
        if let Ok(table) = table::Table::open(&path, table.len() as u64) {
            let _ = Rc::new(table).get(b"B");
        }
    }
}
