//! Reading: each chunk against the manifest, then the entries in it. What a manifest that is trusted
//! commits to is taken as it is; what is looked at beside that costs nothing: order, numbers, counts.

use super::frames::{FRAME_BYTES, Frames, HEAD_BYTES, Kind};
use super::{CHUNK_BYTES_MAX, ChunkOf, Manifest, POOLS, SnapshotError, UNDO_BLOCKS};
use crate::core::block::Header;
use crate::core::ledger::keys;
use crate::core::state::Pool;
use crate::core::wire::cursor::Cursor;

/// Takes the chunks of a snapshot in their order.
#[derive(Debug)]
pub struct Reader<'a> {
    manifest: &'a Manifest,
    /// The section under way, the next chunk in it, and the next chunk of all.
    section: usize,
    chunk: usize,
    index: usize,
    last_key: Vec<u8>,
    entries: u64,
    top: Option<Vec<u8>>,
}

impl<'a> Reader<'a> {
    /// Nothing is taken yet.
    #[must_use]
    pub const fn new(manifest: &'a Manifest) -> Self {
        Self {
            manifest,
            section: 0,
            chunk: 0,
            index: 0,
            last_key: Vec::new(),
            entries: 0,
            top: None,
        }
    }

    /// Goes behind the sections that have no more chunks.
    fn expected(&mut self) -> Result<Option<(Pool, ChunkOf)>, SnapshotError> {
        while let Some((pool, section)) = self.manifest.pools().nth(self.section) {
            if let Some(chunk) = section.chunks.get(self.chunk) {
                return Ok(Some((pool, *chunk)));
            }
            self.close(pool, section.entries)?;
        }
        Ok(None)
    }

    /// The end of a section.
    fn close(&mut self, pool: Pool, entries: u64) -> Result<(), SnapshotError> {
        if self.entries != entries {
            return Err(SnapshotError::Count("a pool has another number of entries"));
        }
        let blocks = self.manifest.height.saturating_sub(1);
        let is_of_each_block = matches!(pool, Pool::Blocks | Pool::BlockDigest);
        if is_of_each_block && entries != blocks {
            return Err(SnapshotError::Count("blocks or digests are missing"));
        }
        self.section += 1;
        self.chunk = 0;
        self.entries = 0;
        self.last_key.clear();
        Ok(())
    }

    /// Looks at the next chunk and hands its entries to `take`, each in its order, once the whole
    /// chunk is known to be the one of the manifest.
    ///
    /// # Errors
    /// It is another, or holds what it may not; the entries in front of that were handed out.
    pub fn chunk(
        &mut self,
        payload: &[u8],
        mut take: impl FnMut(Pool, &[u8], &[u8]),
    ) -> Result<(), SnapshotError> {
        let Some((pool, of)) = self.expected()? else {
            return Err(SnapshotError::Count("there are more chunks"));
        };
        let index = self.index;
        let damaged = |why| SnapshotError::Chunk { index, pool, why };
        if ChunkOf::of(payload) != of {
            return Err(damaged("it is not the one of the manifest"));
        }
        let mut cursor = Cursor::new(payload);
        if cursor.byte() != Some(pool.prefix()) {
            return Err(damaged("it is of another pool"));
        }
        let most = u64::try_from(CHUNK_BYTES_MAX).unwrap_or(u64::MAX);
        while cursor.remaining() > 0 {
            let key = cursor.field(0, most);
            let value = cursor.field(0, most);
            let (Some(key), Some(value)) = (key, value) else {
                return Err(damaged("an entry is cut off"));
            };
            if self.entries > 0 && self.last_key.as_slice() >= key {
                return Err(damaged("a key is out of its order"));
            }
            self.check(pool, key, value).map_err(damaged)?;
            self.last_key.clear();
            self.last_key.extend_from_slice(key);
            self.entries = self.entries.saturating_add(1);
            take(pool, key, value);
        }
        self.chunk += 1;
        self.index += 1;
        Ok(())
    }

    /// What every entry of a pool has to be.
    fn check(&mut self, pool: Pool, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let height = self.manifest.height;
        let number = || {
            let number = keys::number(key).filter(|number| (2..=height).contains(number));
            number.ok_or("a number that no block has")
        };
        match pool {
            // They begin with block 2, and none is missing.
            Pool::Blocks | Pool::BlockDigest if number()? != self.entries.saturating_add(2) => {
                return Err("a block is missing");
            }
            Pool::Undo if number()?.saturating_add(UNDO_BLOCKS) <= height => {
                return Err("undo data of a block too far down");
            }
            _ => {}
        }
        match pool {
            Pool::Blocks => {
                let header = Header::unpack(value)
                    .map_err(|_| "a block without a header")?
                    .0;
                if Some(header.number) != keys::number(key) {
                    return Err("a block with another number");
                }
            }
            Pool::BlockDigest if value.len() != 32 => return Err("a digest of another length"),
            Pool::BlockDigest if keys::number(key) == Some(height) => {
                self.top = Some(value.to_vec());
            }
            _ => {}
        }
        Ok(())
    }

    /// The end of the file.
    ///
    /// # Errors
    /// Not all is there that the manifest says.
    pub fn finish(mut self) -> Result<(), SnapshotError> {
        if self.expected()?.is_some() {
            return Err(SnapshotError::Count("chunks are missing"));
        }
        if self.manifest.height < 2 {
            return Err(SnapshotError::Count("there is no block"));
        }
        if self.top.as_deref() != Some(&self.manifest.digest.0) {
            return Err(SnapshotError::Count("the highest block has another digest"));
        }
        Ok(())
    }

    /// How many chunks were taken.
    #[must_use]
    pub const fn taken(&self) -> usize {
        self.index
    }
}

/// Reads a snapshot that is in memory as a whole: its manifest, once all of it was looked at.
///
/// # Errors
/// What is wrong with it.
pub fn read_whole(
    bytes: &[u8],
    mut take: impl FnMut(Pool, &[u8], &[u8]),
) -> Result<Manifest, SnapshotError> {
    let cut_off = || SnapshotError::CutOff(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let mut cursor = Cursor::new(bytes);
    let head = cursor.array::<HEAD_BYTES>();
    let mut frames = Frames::new(&head.ok_or_else(cut_off)?)?;
    let mut chunks = Vec::new();
    let mut manifest = None;
    loop {
        let frame = cursor.array::<FRAME_BYTES>().ok_or_else(cut_off)?;
        let (kind, length) = frames.next(frame)?;
        let payload = cursor.take(length).ok_or_else(cut_off)?;
        match kind {
            Kind::Chunk => chunks.push(payload),
            Kind::Manifest => manifest = Some(Manifest::unpack(payload)?),
            Kind::End => break,
        }
    }
    if cursor.remaining() > 0 {
        return Err(SnapshotError::Trailing(frames.at()));
    }
    let manifest = manifest.ok_or(SnapshotError::Manifest("there is none"))?;
    let mut reader = Reader::new(&manifest);
    for chunk in chunks {
        reader.chunk(chunk, &mut take)?;
    }
    reader.finish()?;
    Ok(manifest)
}

/// The pools come in the order of their prefixes, as a store wants them.
const _: () = {
    let mut at = 1;
    while at < POOLS.len() {
        assert!(POOLS[at - 1].prefix() < POOLS[at].prefix());
        at += 1;
    }
};
