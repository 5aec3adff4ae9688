//! A snapshot on the disk: walked through frame by frame, never held as a whole.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;

use crate::core::snapshot::{FRAME_BYTES, Frames, HEAD_BYTES, Kind, Manifest, SnapshotError};
use crate::shell::files::bounded;

/// An open one.
#[derive(Debug)]
pub(super) struct SnapshotFile {
    reader: BufReader<File>,
    length: u64,
}

impl SnapshotFile {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = bounded::open(path)?;
        Ok(Self {
            length: file.metadata()?.len(),
            reader: BufReader::with_capacity(1 << 18, file),
        })
    }

    fn read<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> anyhow::Result<()> {
        match self.reader.read_exact(bytes) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                Err(SnapshotError::CutOff(self.length).into())
            }
            result => Ok(result?),
        }
    }

    fn begin(&mut self) -> anyhow::Result<Frames> {
        self.reader.seek(SeekFrom::Start(0))?;
        Ok(Frames::new(&self.read::<HEAD_BYTES>()?)?)
    }

    /// The manifest, once all frames are there from the first to the last. No chunk is read.
    pub(super) fn manifest(&mut self) -> anyhow::Result<Manifest> {
        let mut frames = self.begin()?;
        let mut manifest = None;
        loop {
            let (kind, length) = frames.next(self.read::<FRAME_BYTES>()?)?;
            // What is claimed is there before it costs memory.
            if frames.at() > self.length {
                return Err(SnapshotError::CutOff(self.length).into());
            }
            match kind {
                Kind::Chunk => self.reader.seek_relative(i64::try_from(length)?)?,
                Kind::Manifest => {
                    let mut packed = vec![0; length];
                    self.fill(&mut packed)?;
                    manifest = Some(Manifest::unpack(&packed)?);
                }
                Kind::End => break,
            }
        }
        if frames.at() != self.length {
            return Err(SnapshotError::Trailing(frames.at()).into());
        }
        manifest.context("there is no manifest")
    }

    /// All chunks in their order, one at a time in memory.
    pub(super) fn chunks(
        &mut self,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut frames = self.begin()?;
        let mut payload = Vec::new();
        loop {
            let (kind, length) = frames.next(self.read::<FRAME_BYTES>()?)?;
            if kind != Kind::Chunk {
                return Ok(());
            }
            payload.resize(length, 0);
            self.fill(&mut payload)?;
            take(&payload)?;
        }
    }
}
