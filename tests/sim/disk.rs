//! A disk that promises what the store promises and no more: what is applied is seen at once, what
//! is flushed stays. A crash keeps some of what was not flushed, always what was applied first, and
//! tears the write behind it, which is lost as a whole.

use std::collections::VecDeque;

use bitmarkd::core::state::{Batch, MemoryStore};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

/// The disk of one node.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// What the running node sees.
    pub seen: MemoryStore,
    kept: MemoryStore,
    unflushed: VecDeque<Batch>,
    /// Batches applied since the beginning.
    applied: u64,
    /// How many of them are kept for sure.
    flushed: u64,
}

impl Disk {
    /// Applies a batch; its number is what [`Disk::flush`] is told.
    pub fn apply(&mut self, batch: Batch) -> u64 {
        self.applied += 1;
        self.seen.apply(&batch);
        self.unflushed.push_back(batch);
        self.applied
    }

    /// Keeps everything up to this batch.
    pub fn flush(&mut self, upto: u64) {
        while self.flushed < upto {
            if let Some(batch) = self.unflushed.pop_front() {
                self.kept.apply(&batch);
            }
            self.flushed += 1;
        }
    }

    /// The machine stops. Gives the number of batches that are lost.
    pub fn crash(&mut self, random: &mut ChaCha8Rng) -> usize {
        let survive = random.gen_range(0..=self.unflushed.len());
        for batch in self.unflushed.drain(..).take(survive) {
            self.kept.apply(&batch);
        }
        let lost = usize::try_from(self.applied - self.flushed).unwrap() - survive;
        self.unflushed.clear();
        self.applied = self.flushed;
        self.seen = self.kept.clone();
        lost
    }
}

#[test]
fn a_crash_keeps_what_was_flushed_and_the_first_of_the_rest() {
    use bitmarkd::core::state::{Pool, View as _};
    use rand::SeedableRng as _;
    for seed in 0..50 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut disk = Disk::default();
        for number in 0..10_u8 {
            let mut batch = Batch::new();
            batch.put(Pool::Meta, [number], [number]);
            disk.apply(batch);
        }
        disk.flush(4);
        let lost = disk.crash(&mut random);
        let there = (0..10_u8).filter(|n| disk.seen.contains(Pool::Meta, &[*n]).unwrap());
        let there: Vec<u8> = there.collect();
        assert_eq!(there.len() + lost, 10);
        assert!(there.len() >= 4);
        assert!(
            there
                .iter()
                .enumerate()
                .all(|(at, n)| at == usize::from(*n))
        );
    }
}
