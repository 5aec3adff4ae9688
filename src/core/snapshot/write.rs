//! Writing: entries go in, pool by pool in the order of the file, keys ascending; bytes come out.

use super::frames::{self, Kind};
use super::{CHUNK_BYTES, CHUNK_BYTES_MAX, ChunkOf, Manifest, POOLS, SnapshotError};
use crate::core::id::BlockDigest;
use crate::core::state::Pool;
use crate::core::wire::varint;

/// What makes the bytes of a file. It holds one chunk at most.
#[derive(Debug)]
pub struct Writer {
    manifest: Manifest,
    /// The section under way, as a place in [`POOLS`].
    section: usize,
    last_key: Vec<u8>,
    chunk: Vec<u8>,
}

impl Writer {
    /// Begins a file; its head is put to `out`.
    #[must_use]
    pub fn new(chain: &str, height: u64, digest: BlockDigest, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&frames::head());
        Self {
            manifest: Manifest::new(chain, height, digest),
            section: 0,
            last_key: Vec::new(),
            chunk: Vec::new(),
        }
    }

    /// Takes the next entry; chunks that are whole are put to `out`.
    ///
    /// # Errors
    /// The entry does not belong behind the one before it, or is too long for any chunk.
    pub fn entry(
        &mut self,
        pool: Pool,
        key: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SnapshotError> {
        let section = POOLS
            .iter()
            .position(|known| *known == pool)
            .filter(|section| *section >= self.section)
            .ok_or(SnapshotError::Unfit("a pool out of its order"))?;
        if section > self.section {
            self.close(out);
            self.section = section;
        } else if self.manifest_of(section).entries > 0 && self.last_key.as_slice() >= key {
            return Err(SnapshotError::Unfit("a key out of its order"));
        }
        let mut entry = Vec::with_capacity(key.len() + value.len() + 10);
        for bytes in [key, value] {
            varint::pack_into(u64::try_from(bytes.len()).unwrap_or(u64::MAX), &mut entry);
            entry.extend_from_slice(bytes);
        }
        let length = 1 + self.chunk.len() + entry.len();
        if length > CHUNK_BYTES {
            self.close(out);
        }
        if self.chunk.is_empty() {
            self.chunk.push(pool.prefix());
        }
        self.chunk.extend_from_slice(&entry);
        if self.chunk.len() > CHUNK_BYTES_MAX {
            return Err(SnapshotError::Unfit("an entry too long for a chunk"));
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.manifest_of(section).entries += 1;
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Manifest {
        self.close(out);
        frames::put(Kind::Manifest, &self.manifest.pack(), out);
        frames::put(Kind::End, &[], out);
        self.manifest
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.chunk.is_empty() {
            return;
        }
        let chunk = std::mem::take(&mut self.chunk);
        let of = ChunkOf::of(&chunk);
        let section = self.section;
        self.manifest_of(section).chunks.push(of);
        frames::put(Kind::Chunk, &chunk, out);
    }

    fn manifest_of(&mut self, section: usize) -> &mut super::Section {
        let last = POOLS.len() - 1;
        // In range: places come from `POOLS`.
        &mut self.manifest.sections[section.min(last)]
    }
}
