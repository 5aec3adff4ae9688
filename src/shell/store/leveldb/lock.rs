//! Whether the writer of a folder runs: it holds a lock on the file `LOCK` while it does. The file
//! is opened for reading alone and never made.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::LevelDbError;

/// A lock that others may share who read, too; a writer can not start as long as it is held. None
/// where there is no such file: nobody has opened this copy.
pub(super) fn shared(folder: &Path) -> Result<Option<File>, LevelDbError> {
    let path = folder.join("LOCK");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LevelDbError::io(&path, error)),
    };
    // Other writers of the format lock the bytes of the file; one of both kinds is enough.
    let is_locked = fcntl_getlk(&file, &Flock::from(FlockType::ReadLock));
    if matches!(is_locked, Ok(Some(_))) {
        return Err(LevelDbError::InUse(folder.to_owned()));
    }
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(LevelDbError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(TryLockError::Error(error)) => Err(LevelDbError::io(&path, error)),
    }
}
