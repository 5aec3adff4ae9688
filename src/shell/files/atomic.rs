//! Files that are there whole or not at all.
//!
//! A file is created exclusively where an old one must not be lost, and replaced through a
//! temporary file in the same folder otherwise. Both are on the disk when the call returns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Creates `path` with `mode` before the umask; a file that is there already is an error of the
/// kind [`io::ErrorKind::AlreadyExists`]. What could not be written whole is taken away again.
///
/// # Errors
/// What the system says.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written?;
    sync_folder(path)
}

/// Puts a file in the place of `path`, with `mode` before the umask. After a crash the old or the
/// new one is there.
///
/// # Errors
/// What the system says; the old file is untouched then.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = beside(path)?;
    let _ = fs::remove_file(&temporary);
    create(&temporary, bytes, mode)?;
    if let Err(error) = fs::rename(&temporary, path) {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_folder(path)
}

/// A long file on its way: it has its name when it is whole, and is gone if it never is.
#[derive(Debug)]
pub struct Growing {
    file: io::BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Growing {
    /// Begins a file that will be at `path`, with `mode` before the umask.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let temporary = beside(path)?;
        let _ = fs::remove_file(&temporary);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        Ok(Self {
            file: io::BufWriter::with_capacity(1 << 20, file),
            temporary,
            path: path.to_owned(),
        })
    }

    /// Where it is meanwhile.
    #[must_use]
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Puts it in its place once it is on the disk. Another file of that name goes if `replace` says
    /// so; else it is an error of the kind [`io::ErrorKind::AlreadyExists`].
    ///
    /// # Errors
    /// What the system says; the other file is untouched then.
    pub fn finish(mut self, replace: bool) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        if replace {
            fs::rename(&self.temporary, &self.path)?;
        } else {
            // A second name, which fails where there is a file of it.
            match fs::hard_link(&self.temporary, &self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                // Not every disk knows files with two names.
                Err(_) if self.path.symlink_metadata().is_err() => {
                    fs::rename(&self.temporary, &self.path)?;
                }
                linked => linked?,
            }
        }
        sync_folder(&self.path)
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Whether `path` can be replaced: makes its folder (for its owner alone) if there is none, and
/// writes an empty file there that is taken away again.
///
/// # Errors
/// What the system says, or that something else than a file is there.
pub fn probe(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let temporary = beside(path)?;
    let _ = fs::remove_file(&temporary);
    create(&temporary, b"", 0o600)?;
    fs::remove_file(temporary)
}

/// The name of the temporary file: hidden, and of this process alone.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(temporary))
}

/// Has the folder of `path` on the disk: what was renamed or removed there.
///
/// # Errors
/// What the system says.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_is_there_is_not_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, b"one", 0o600).unwrap();
        let error = create(&path, b"two", 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_long_file_has_its_name_when_it_is_whole_and_never_takes_that_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let mut growing = Growing::create(&path, 0o600).unwrap();
        growing.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(growing);
        assert_eq!(names(), 0);
        for (text, replace) in [("one", false), ("two", true)] {
            let mut growing = Growing::create(&path, 0o600).unwrap();
            growing.write_all(text.as_bytes()).unwrap();
            growing.finish(replace).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let growing = Growing::create(&path, 0o600).unwrap();
        let error = growing.finish(false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(names(), 1);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_replaced_file_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.json");
        fs::write(beside(&path).unwrap(), b"of a crash").unwrap();
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(Path::new("/"), b"", 0o600).is_err());
    }
}
