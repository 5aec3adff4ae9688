//! The snapshots that sled writes beside its log when it opens: they save it reading the log from
//! the beginning, and nothing is in them alone.
//!
//! sled 0.34 takes a snapshot that it was ended at for one that is whole, and calls the store
//! corrupt. So what is half written is removed before it opens, and one that cannot be read is put
//! out of its way; the log then says the same. Nothing here reads or changes the log.

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

/// Puts the newest snapshot out of the way if it cannot be read; whether it did. A store whose
/// snapshots can be read is damaged elsewhere.
///
/// # Errors
/// What the system says.
pub(super) fn put_unreadable_aside(folder: &Path) -> io::Result<bool> {
    let Some(_lock) = lock(folder)? else {
        return Ok(false);
    };
    let mut snapshots = all(folder)?;
    snapshots.retain(|(_, name)| !name.ends_with(HALF));
    let newest = snapshots.into_iter().max_by(|a, b| a.1.cmp(&b.1));
    let Some((path, name)) = newest else {
        return Ok(false);
    };
    if is_readable(&std::fs::read(&path)?) {
        return Ok(false);
    }
    std::fs::rename(&path, folder.join(format!("{ASIDE}{name}")))?;
    Ok(true)
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
