//! Reading a file that somebody else wrote: a regular one of bounded length. It waits for nobody and
//! writes nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A regular file, open for reading.
///
/// # Errors
/// What the system says; it is a pipe, a device or a folder.
pub fn open(path: &Path) -> io::Result<File> {
    // Nobody need be at the other end of a pipe.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// The whole of a regular file with at most so many bytes.
///
/// # Errors
/// What the system says; the file is longer, or is a pipe, a device or a folder.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!(
            "no such file has more than {most} bytes"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_no_folder_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        let text = read(&path, 3).unwrap_err().to_string();
        assert_eq!(text, "no such file has more than 3 bytes");
        let text = read(folder.path(), 4).unwrap_err().to_string();
        assert_eq!(text, "not a regular file");
        let missing = read(&folder.path().join("none"), 4).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
