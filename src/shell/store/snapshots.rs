//! The snapshots that sled writes beside its log when it opens: they save it reading the log from
//! the beginning, and nothing is in them alone.
//!
//! sled 0.34 takes a snapshot that it was ended at for one that is whole, and calls the store
//! corrupt. So what is half written is removed before it opens, and one that cannot be read is put
//! out of its way; the log then says the same. Nothing here reads or changes the log.

use std::fs::File;
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

/// Removes snapshots that were never finished. Those of a process that has the store open are
/// left alone.
///
/// # Errors
/// What the system says.
pub(super) fn remove_half_written(folder: &Path) -> io::Result<()> {
    // The lock that sled takes; it goes with the file at the end.
    let Ok(log) = File::open(folder.join("db")) else {
        return Ok(());
    };
    if log.try_lock().is_err() {
        return Ok(());
    }
    for (path, name) in all(folder)? {
        if name.ends_with(HALF) {
            std::fs::remove_file(&path)?;
            log::info!("{}: was never finished; removed", path.display());
        }
    }
    Ok(())
}

/// Puts all snapshots out of the way; whether there was one.
///
/// # Errors
/// What the system says.
pub(super) fn put_aside(folder: &Path) -> io::Result<bool> {
    let snapshots = all(folder)?;
    for (path, name) in &snapshots {
        std::fs::rename(path, folder.join(format!("{ASIDE}{name}")))?;
    }
    Ok(!snapshots.is_empty())
}
