//! The snapshots that sled writes beside its log when it opens: they save it reading the log from
//! the beginning.
//!
//! sled 0.34 takes a snapshot that it was ended at for one that is whole, and calls the store
//! corrupt. So what is half written is removed before it opens, and one that cannot be read is put
//! out of its way. The log then says the same, or, where parts of it were given back and not used
//! again, it is taken to end there, without a word: how far it was read tells the snapshot that is
//! written then, by its name. Nothing here reads or changes the log.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// In front of the name of a snapshot.
const SNAPSHOT: &str = "snap.";
/// Behind the name of one that is being written.
const HALF: &str = ".generating";
/// In front of the name of one that was put out of the way; sled passes these over.
const ASIDE: &str = "unread-";

/// The files in a store's folder whose names begin like a snapshot's.
fn all(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && name.starts_with(SNAPSHOT)
        {
            found.push((entry.path(), name));
        }
    }
    Ok(found)
}

/// The lock that sled takes on a store; it goes with the file. `None`: somebody has it.
///
/// # Errors
/// There is no store, or what else the system says.
pub(super) fn lock(folder: &Path) -> io::Result<Option<File>> {
    let log = match File::open(folder.join("db")) {
        // Without a log there is nothing to take from anybody.
        Err(e) if e.kind() == io::ErrorKind::NotFound => File::open(folder)?,
        other => other?,
    };
    match log.try_lock() {
        Ok(()) => Ok(Some(log)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Removes snapshots that were never finished. Those of a process that has the store open are
/// left alone.
///
/// # Errors
/// What the system says.
pub(super) fn remove_half_written(folder: &Path) -> io::Result<()> {
    let Ok(Some(_lock)) = lock(folder) else {
        return Ok(());
    };
    for (path, name) in all(folder)? {
        if name.ends_with(HALF) {
            std::fs::remove_file(&path)?;
            log::info!("{}: was never finished; removed", path.display());
        }
    }
    Ok(())
}

/// The newest snapshot that is finished. Its name has how far the log was read for it, in digits of
/// one length.
fn newest(folder: &Path) -> io::Result<Option<(PathBuf, String)>> {
    let mut snapshots = all(folder)?;
    snapshots.retain(|(_, name)| !name.ends_with(HALF));
    Ok(snapshots.into_iter().max_by(|a, b| a.1.cmp(&b.1)))
}

/// Puts the newest snapshot out of the way if it cannot be read; its name then. A store whose
/// snapshots can be read is damaged elsewhere.
///
/// # Errors
/// What the system says.
pub(super) fn put_unreadable_aside(folder: &Path) -> io::Result<Option<String>> {
    let Some(_lock) = lock(folder)? else {
        return Ok(None);
    };
    let Some((path, name)) = newest(folder)? else {
        return Ok(None);
    };
    if is_readable(&std::fs::read(&path)?) {
        return Ok(None);
    }
    std::fs::rename(&path, folder.join(format!("{ASIDE}{name}")))?;
    Ok(Some(name))
}

/// The name of the newest snapshot that was ever put out of the way.
///
/// # Errors
/// What the system says.
pub(super) fn newest_aside(folder: &Path) -> io::Result<Option<String>> {
    let mut newest = None;
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        if let Some(name) = name
            .strip_prefix(ASIDE)
            .filter(|name| name.starts_with(SNAPSHOT))
        {
            newest = newest.max(Some(name.to_owned()));
        }
    }
    Ok(newest)
}

/// Whether the log was read, for the newest snapshot, at least as far as for the one of this name.
///
/// # Errors
/// What the system says.
pub(super) fn is_as_far_as(folder: &Path, name: &str) -> io::Result<bool> {
    let newest = newest(folder)?;
    Ok(newest.is_some_and(|(_, newest)| newest.as_str() >= name))
}

/// Whether the bytes end with their length and their check value, as sled writes them.
pub(super) fn is_readable(bytes: &[u8]) -> bool {
    let Some((content, crc)) = bytes.split_last_chunk::<4>() else {
        return false;
    };
    let Some((content, _length)) = content.split_last_chunk::<8>() else {
        return false;
    };
    let expected = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(content);
    !content.is_empty() && u32::from_le_bytes(*crc) == expected
}
