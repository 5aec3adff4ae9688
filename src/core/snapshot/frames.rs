//! The frames of a file: a head, frames with a kind and a length each, an end, and nothing behind it.

use super::{CHUNK_BYTES_MAX, MAGIC, MANIFEST_BYTES_MAX, SnapshotError, VERSION};

/// Bytes of the head.
pub const HEAD_BYTES: usize = 10;
/// Bytes in front of what a frame holds.
pub const FRAME_BYTES: usize = 5;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing follows it.
    End = 0,
    /// Entries.
    Chunk = 1,
    /// The manifest, behind the last chunk.
    Manifest = 2,
}

/// The head of a file.
pub(super) fn head() -> [u8; HEAD_BYTES] {
    let [a, b, c, d, e, f, g, h] = MAGIC;
    let [high, low] = VERSION.to_be_bytes();
    [a, b, c, d, e, f, g, h, high, low]
}

/// Appends a frame.
pub(super) fn put(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    out.push(kind as u8);
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Walks through the frames of a file in their order.
#[derive(Debug, Clone)]
pub struct Frames {
    at: u64,
    has_manifest: bool,
}

impl Frames {
    /// Begins with the head of a file.
    ///
    /// # Errors
    /// It is none, or of another version.
    pub fn new(head: &[u8; HEAD_BYTES]) -> Result<Self, SnapshotError> {
        let (magic, version) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(SnapshotError::NoSnapshot);
        }
        let version = version.try_into().map_or(0, u16::from_be_bytes);
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        Ok(Self {
            at: HEAD_BYTES as u64,
            has_manifest: false,
        })
    }

    /// Where the next frame begins; behind the last one, where the file ends.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// What the next frame is, and how many bytes it holds.
    ///
    /// # Errors
    /// It does not belong there.
    pub fn next(&mut self, frame: [u8; FRAME_BYTES]) -> Result<(Kind, usize), SnapshotError> {
        let at = self.at;
        let damaged = |why| SnapshotError::Frame { at, why };
        let [kind, a, b, c, d] = frame;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d]))
            .map_err(|_| damaged("a length that nothing has"))?;
        let (kind, lengths) = match (kind, self.has_manifest) {
            (1, false) => (Kind::Chunk, 1..=CHUNK_BYTES_MAX),
            (2, false) => (Kind::Manifest, 1..=MANIFEST_BYTES_MAX),
            (0, true) => (Kind::End, 0..=0),
            (0, false) => return Err(damaged("an end without a manifest")),
            (1 | 2, true) => return Err(damaged("a manifest is the last before the end")),
            _ => return Err(damaged("no such frame")),
        };
        if !lengths.contains(&length) {
            return Err(damaged("a length that nothing has"));
        }
        self.has_manifest |= kind == Kind::Manifest;
        let bytes = FRAME_BYTES.saturating_add(length);
        self.at = at.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok((kind, length))
    }
}
