//! The file that says which process runs with a data directory (`proto/rpc.md`, section 6).
//!
//! It is created exclusively, and a running process keeps another from starting. A file whose
//! process has gone, as after a hard stop, is replaced: the reference has to be told by hand.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::atomic;

/// Why there is no file of ours.
#[derive(Debug, Error)]
pub enum PidFileError {
    /// A process that runs wrote it.
    #[error("{path} says that process {pid} is running; stop it first")]
    Running {
        /// The file.
        path: PathBuf,
        /// What it holds.
        pid: u32,
    },
    /// What is there was not written by a node.
    #[error("{0} holds no process number; remove it if no node is running")]
    Foreign(PathBuf),
    /// The file could not be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The file, removed when this is dropped.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes this process's number to `path`.
    ///
    /// # Errors
    /// See [`PidFileError`].
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let text = format!("{}\n", std::process::id());
        let failed = |error| PidFileError::Io {
            path: path.to_owned(),
            error,
        };
        match atomic::create(path, text.as_bytes(), 0o644) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let old = std::fs::read_to_string(path).map_err(failed)?;
                let pid: u32 = old
                    .trim()
                    .parse()
                    .map_err(|_| PidFileError::Foreign(path.to_owned()))?;
                if is_running(pid) {
                    let path = path.to_owned();
                    return Err(PidFileError::Running { path, pid });
                }
                std::fs::remove_file(path).map_err(failed)?;
                atomic::create(path, text.as_bytes(), 0o644).map_err(failed)?;
            }
            other => other.map_err(failed)?,
        }
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether a process has the number; where that cannot be told, one does.
fn is_running(pid: u32) -> bool {
    let processes = Path::new("/proc");
    !processes.join("self").exists() || processes.join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_keeps_others_out_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.pid");
        let first = PidFile::create(&path).unwrap();
        let error = PidFile::create(&path).unwrap_err();
        assert!(matches!(error, PidFileError::Running { pid, .. } if pid == std::process::id()));
        drop(first);
        assert!(!path.exists());
        PidFile::create(&path).unwrap();
    }

    #[test]
    fn the_file_of_a_process_that_was_killed_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.pid");
        std::fs::write(&path, format!("{}\n", u32::MAX)).unwrap();
        let ours = PidFile::create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim(), std::process::id().to_string());
        drop(ours);
        std::fs::write(&path, "notes\n").unwrap();
        let error = PidFile::create(&path).unwrap_err();
        assert!(matches!(error, PidFileError::Foreign(_)));
    }
}
