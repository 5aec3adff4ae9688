//! The manifest: what a snapshot is of, and each of its chunks by length and hash.
//!
//! Its bytes have one form: what reads back is what was written, so its hash names the content.

use std::fmt;
use std::str::FromStr;

use sha3::{Digest as _, Sha3_256};

use super::{CHUNK_BYTES_MAX, POOLS, SnapshotError, VERSION};
use crate::core::id::BlockDigest;
use crate::core::state::Pool;
use crate::core::wire::cursor::Cursor;

/// In front of a manifest's bytes, so that its hash is that of nothing else.
const NAME: &[u8] = b"bitmarkd snapshot manifest\n";
/// Longest manifest: that of more than a terabyte.
pub const MANIFEST_BYTES_MAX: usize = 64 << 20;
/// Bytes of a chunk in it.
const CHUNK: usize = 4 + 32;

/// SHA3-256 of a manifest's bytes: it names a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestHash(pub [u8; 32]);

impl fmt::Display for ManifestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ManifestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManifestHash({self})")
    }
}

impl FromStr for ManifestHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text.trim(), &mut hash)
            .map_err(|_| "a manifest hash has 64 hex digits")?;
        Ok(Self(hash))
    }
}

/// A chunk, as the manifest has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkOf {
    /// Its length.
    pub bytes: u32,
    /// SHA3-256 of it.
    pub hash: [u8; 32],
}

impl ChunkOf {
    /// What names these bytes.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        Self {
            bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            hash: Sha3_256::digest(payload).into(),
        }
    }
}

/// A pool's part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// How many entries there are.
    pub entries: u64,
    /// Its chunks, in their order.
    pub chunks: Vec<ChunkOf>,
}

impl Section {
    /// Bytes of all its chunks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum()
    }
}

/// What a snapshot is of, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The name of the chain.
    pub chain: String,
    /// The number of the highest block.
    pub height: u64,
    /// Its digest.
    pub digest: BlockDigest,
    /// The pools in the order of [`POOLS`].
    pub sections: [Section; POOLS.len()],
}

impl Manifest {
    /// One without entries.
    #[must_use]
    pub fn new(chain: &str, height: u64, digest: BlockDigest) -> Self {
        Self {
            chain: chain.to_owned(),
            height,
            digest,
            sections: Default::default(),
        }
    }

    /// Each pool with its section.
    pub fn pools(&self) -> impl Iterator<Item = (Pool, &Section)> {
        POOLS.into_iter().zip(&self.sections)
    }

    /// All chunks in the order of the file, each with its pool.
    pub fn chunks(&self) -> impl Iterator<Item = (Pool, ChunkOf)> + '_ {
        let of = |(pool, section): (Pool, &'_ Section)| {
            let chunks: Vec<(Pool, ChunkOf)> =
                section.chunks.iter().map(|chunk| (pool, *chunk)).collect();
            chunks
        };
        self.pools().flat_map(of)
    }

    /// Bytes of all chunks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sections.iter().map(Section::bytes).sum()
    }

    /// Entries of all pools.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.sections.iter().map(|section| section.entries).sum()
    }

    /// Its bytes.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let mut out = NAME.to_vec();
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.push(u8::try_from(self.chain.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(self.chain.as_bytes());
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.digest.0);
        for (pool, section) in self.pools() {
            out.push(pool.prefix());
            out.extend_from_slice(&section.entries.to_be_bytes());
            let count = u32::try_from(section.chunks.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&count.to_be_bytes());
            for chunk in &section.chunks {
                out.extend_from_slice(&chunk.bytes.to_be_bytes());
                out.extend_from_slice(&chunk.hash);
            }
        }
        out
    }

    /// The hash of its bytes.
    #[must_use]
    pub fn hash(&self) -> ManifestHash {
        Self::hash_of(&self.pack())
    }

    /// The hash of a manifest's bytes.
    #[must_use]
    pub fn hash_of(packed: &[u8]) -> ManifestHash {
        ManifestHash(Sha3_256::digest(packed).into())
    }

    /// Reads its bytes, all of them.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn unpack(packed: &[u8]) -> Result<Self, SnapshotError> {
        const SHORT: SnapshotError = SnapshotError::Manifest("it is too short");
        let mut cursor = Cursor::new(packed);
        if cursor.take(NAME.len()).ok_or(SHORT)? != NAME {
            return Err(SnapshotError::Manifest("it is none"));
        }
        let version = u16::from_be_bytes(cursor.array().ok_or(SHORT)?);
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let length = cursor.byte().ok_or(SHORT)?;
        let chain = cursor.take(usize::from(length)).ok_or(SHORT)?;
        let is_name = !chain.is_empty() && chain.iter().all(u8::is_ascii_alphanumeric);
        let chain = std::str::from_utf8(chain).ok().filter(|_| is_name);
        let chain = chain.ok_or(SnapshotError::Manifest("a chain without a name"))?;
        let height = u64::from_be_bytes(cursor.array().ok_or(SHORT)?);
        let digest = BlockDigest(cursor.array().ok_or(SHORT)?);
        let mut manifest = Self::new(chain, height, digest);
        for (pool, section) in POOLS.into_iter().zip(&mut manifest.sections) {
            if cursor.byte().ok_or(SHORT)? != pool.prefix() {
                return Err(SnapshotError::Manifest("its pools are not in order"));
            }
            *section = read_section(&mut cursor)?;
        }
        if cursor.remaining() > 0 {
            return Err(SnapshotError::Manifest("something follows its end"));
        }
        Ok(manifest)
    }
}

fn read_section(cursor: &mut Cursor<'_>) -> Result<Section, SnapshotError> {
    const SHORT: SnapshotError = SnapshotError::Manifest("it is too short");
    let entries = u64::from_be_bytes(cursor.array().ok_or(SHORT)?);
    let count = u32::from_be_bytes(cursor.array().ok_or(SHORT)?);
    let count = usize::try_from(count).map_err(|_| SHORT)?;
    // What is claimed is there before it costs memory.
    if cursor.remaining() / CHUNK < count {
        return Err(SHORT);
    }
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        let bytes = u32::from_be_bytes(cursor.array().ok_or(SHORT)?);
        let hash = cursor.array().ok_or(SHORT)?;
        let fits = usize::try_from(bytes).is_ok_and(|bytes| (1..=CHUNK_BYTES_MAX).contains(&bytes));
        if !fits {
            return Err(SnapshotError::Manifest("a chunk of no possible length"));
        }
        chunks.push(ChunkOf { bytes, hash });
    }
    Ok(Section { entries, chunks })
}
