//! The key pair of a peer, a proofer or a miner in its two files (`proto/peer.md`, section 1.3).
//!
//! Neither file is ever overwritten; the private one is for its owner alone.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::atomic;
use crate::core::keys::{KeyError, PeerPrivateKey, PeerPublicKey};

/// Why there is no key pair.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Never overwritten.
    #[error("key file already exists: {0}")]
    Exists(PathBuf),
    /// Not made yet, or named wrongly.
    #[error("key file not found: {0}")]
    NotFound(PathBuf),
    /// A file that holds something else.
    #[error("{0}: {1}")]
    Key(PathBuf, KeyError),
    /// The files do not belong together.
    #[error("{public} does not hold the public half of {private}")]
    NoPair {
        /// The one file.
        public: PathBuf,
        /// The other file.
        private: PathBuf,
    },
    /// The files could not be written or read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

fn failed(path: &Path, error: io::Error) -> IdentityError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => IdentityError::NotFound(path),
        io::ErrorKind::AlreadyExists => IdentityError::Exists(path),
        _ => IdentityError::Io { path, error },
    }
}

/// Writes a key pair.
///
/// # Errors
/// A file that exists, or a failing write; nothing of ours is left then.
pub fn write(key: &PeerPrivateKey, public: &Path, private: &Path) -> Result<(), IdentityError> {
    if let Some(there) = [public, private].into_iter().find(|path| path.exists()) {
        return Err(IdentityError::Exists(there.to_owned()));
    }
    let written = |path: &Path, text: String, mode| {
        atomic::create(path, text.as_bytes(), mode).map_err(|error| match error.kind() {
            // Here it is the folder that is missing.
            io::ErrorKind::NotFound => IdentityError::Io {
                path: path.to_owned(),
                error,
            },
            _ => failed(path, error),
        })
    };
    written(private, key.to_file(), 0o600)?;
    written(public, key.public_key().to_file(), 0o644).inspect_err(|_| {
        let _ = std::fs::remove_file(private);
    })
}

/// Reads a key pair; the files must belong together.
///
/// # Errors
/// A file that is not there or holds something else.
pub fn read(public: &Path, private: &Path) -> Result<PeerPrivateKey, IdentityError> {
    let text = |path: &Path| std::fs::read_to_string(path).map_err(|error| failed(path, error));
    // What has no tag is told as a wrong public key by the reference, whichever was wanted.
    let key = PeerPrivateKey::from_file(&text(private)?)
        .map_err(|_| IdentityError::Key(private.to_owned(), KeyError::InvalidPrivateKeyFile))?;
    let half = PeerPublicKey::from_file(&text(public)?)
        .map_err(|error| IdentityError::Key(public.to_owned(), error))?;
    if half == key.public_key() {
        Ok(key)
    } else {
        Err(IdentityError::NoPair {
            public: public.to_owned(),
            private: private.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_pair_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let [public, private] = ["a.public", "a.private"].map(|name| folder.path().join(name));
        let missing = read(&public, &private).unwrap_err();
        assert!(missing.to_string().starts_with("key file not found: "));
        let key = PeerPrivateKey::from_bytes([7; 32]);
        write(&key, &public, &private).unwrap();
        let again = write(&key, &public, &private).unwrap_err();
        assert!(again.to_string().starts_with("key file already exists: "));
        assert_eq!(
            read(&public, &private).unwrap().public_key(),
            key.public_key()
        );
        let mode = std::fs::metadata(&private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn files_that_do_not_belong_together_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (number, name) in [(1, "a"), (2, "b")] {
            let key = PeerPrivateKey::from_bytes([number; 32]);
            let names = [".public", ".private"].map(|ending| path(&format!("{name}{ending}")));
            write(&key, &names[0], &names[1]).unwrap();
        }
        let error = read(&path("a.public"), &path("b.private")).unwrap_err();
        assert!(matches!(error, IdentityError::NoPair { .. }));
        std::fs::write(path("garbage"), "garbage").unwrap();
        for wrong in ["a.public", "garbage"] {
            let error = read(&path("a.public"), &path(wrong)).unwrap_err();
            assert!(matches!(
                error,
                IdentityError::Key(_, KeyError::InvalidPrivateKeyFile)
            ));
        }
        let other = write(
            &PeerPrivateKey::from_bytes([3; 32]),
            &path("a.public"),
            &path("c.private"),
        );
        assert!(matches!(other, Err(IdentityError::Exists(_))));
        assert!(!path("c.private").exists());
    }
}
