//! The digests of a title: which have to be computed so that every header with a record, and
//! every one from there to the end, hangs on a block that is known.

use std::collections::BTreeMap;

use super::check::digests;
use super::{Says, Sound, TitleError, read};
use crate::core::block::{DigestMemory, HEADER_BYTES, digest};
use crate::core::id::BlockDigest;

/// Digests of blocks that who verifies knows from elsewhere, by number. The first block of each
/// chain is always known.
pub type Known = BTreeMap<u64, BlockDigest>;

/// A header whose digest is to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task<'a> {
    /// The block's number.
    pub number: u64,
    /// Its header.
    pub header: &'a [u8; HEADER_BYTES],
    expected: BlockDigest,
}

impl Task<'_> {
    /// Compares what was computed.
    ///
    /// # Errors
    /// It is another digest: the title does not hold.
    pub fn compare(&self, digest: &BlockDigest) -> Result<(), TitleError> {
        if *digest == self.expected {
            Ok(())
        } else {
            Err(TitleError::Digest(self.number))
        }
    }
}

impl Sound {
    /// The digest that a block is said to have, from the one below the first header on.
    fn said(&self, number: u64) -> Option<BlockDigest> {
        let below = self.headers.first().map(|header| header.previous_block);
        let at = number.checked_add(1)?.checked_sub(self.title.first)?;
        let all = digests(&self.headers, self.title.digest);
        below.into_iter().chain(all).nth(usize::try_from(at).ok()?)
    }

    /// What is to be computed. A known block at or above the first record makes the headers below
    /// that record superfluous, since everything hangs on the known one; else everything above
    /// the highest known one counts. When all of it compares, the title holds.
    ///
    /// # Errors
    /// [`TitleError::NotKnown`] where a known block is another here, [`TitleError::NotAnchored`]
    /// where no known block is among these, [`TitleError::EndsBelow`] where one is above them.
    pub fn work(&self, known: &Known) -> Result<Vec<Task<'_>>, TitleError> {
        let height = self.says.height;
        // Who knows a block above asks for a title that reaches it: a shorter one may be of any
        // chain.
        if let Some((&known, _)) = known.range(height.saturating_add(1)..).next() {
            return Err(TitleError::EndsBelow { height, known });
        }
        let genesis = (1, self.title.chain.genesis_digest);
        let mut highest = None;
        let own = known.iter().map(|(number, digest)| (*number, *digest));
        for (number, digest) in own.chain([genesis]) {
            match self.said(number) {
                Some(said) if said != digest => return Err(TitleError::NotKnown(number)),
                Some(_) => highest = highest.max(Some(number)),
                None if number == 1 && digest != genesis.1 => {
                    return Err(TitleError::NotKnown(number));
                }
                None => {}
            }
        }
        let Some(highest) = highest else {
            return Err(TitleError::NotAnchored {
                below: self.title.first.saturating_sub(1),
                first: self.title.first,
                height,
            });
        };
        let earliest = self.title.records.first().map_or(0, |entry| entry.block);
        let from = earliest.min(highest.saturating_add(1));
        let rows = self.title.headers.iter();
        let tasks = rows
            .zip(&self.headers)
            .zip(digests(&self.headers, self.title.digest))
            .map(|((packed, header), expected)| Task {
                number: header.number,
                header: packed,
                expected,
            });
        Ok(tasks.filter(|task| task.number >= from).collect())
    }
}

/// Verifies a title from its first byte to its last digest, one after the other; tells how many
/// digests are done and how many there are.
///
/// # Errors
/// What is wrong with it first.
pub fn verify(
    text: &[u8],
    known: &Known,
    mut progress: impl FnMut(usize, usize),
) -> Result<Says, TitleError> {
    let sound = read(text)?;
    let tasks = sound.work(known)?;
    let mut memory = DigestMemory::new();
    for (done, task) in tasks.iter().enumerate() {
        progress(done, tasks.len());
        let params = &sound.title.chain.digest;
        task.compare(&digest(params, task.header, &mut memory))?;
    }
    progress(tasks.len(), tasks.len());
    Ok(sound.says)
}
