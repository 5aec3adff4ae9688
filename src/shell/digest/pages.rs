//! The memory of digests on huge pages, where the system has them: on small ones a digest takes a sixth
//! longer, two side by side a quarter. Where it has none, the same memory lies on small ones.

use memmap2::MmapMut;

use crate::core::block::DigestMemory;
use crate::core::block::argon2d::{BLOCK_BYTES, Block};
use crate::core::block::digest::Room;

/// Memory straight from the system.
#[derive(Default)]
struct Pages {
    map: Option<MmapMut>,
    /// Where the system gave no map.
    heap: Vec<Block>,
}

impl Room for Pages {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.held() < count {
            self.release();
            match map(count * BLOCK_BYTES) {
                Ok(map) => self.map = Some(map),
                Err(e) => {
                    log::debug!("no map for digests: {e}");
                    self.heap.resize(count, Block::ZERO);
                }
            }
        }
        let blocks = match &mut self.map {
            // A map begins at a page, which is a block's beginning.
            Some(map) => bytemuck::cast_slice_mut(map),
            None => &mut self.heap,
        };
        &mut blocks[..count]
    }

    fn release(&mut self) {
        *self = Self::default();
    }

    fn held(&self) -> usize {
        let map = self.map.as_ref().map_or(0, |map| map.len());
        map / BLOCK_BYTES + self.heap.len()
    }
}

fn map(bytes: usize) -> std::io::Result<MmapMut> {
    let map = MmapMut::map_anon(bytes)?;
    #[cfg(target_os = "linux")]
    if let Err(e) = map.advise(memmap2::Advice::HugePage) {
        log::debug!("no huge pages for digests: {e}");
    }
    Ok(map)
}

/// No memory yet; it will be straight from the system, on huge pages.
#[must_use]
pub fn memory() -> DigestMemory {
    DigestMemory::of(Box::<Pages>::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::block::{DigestParams, digest};

    #[test]
    fn a_digest_in_pages_is_one_in_the_heap_and_its_memory_is_kept_until_released() {
        let mut memory = memory();
        let header = [5; 100];
        let paged = digest(&DigestParams::DEVNET, &header, &mut memory);
        let plain = digest(&DigestParams::DEVNET, &header, &mut DigestMemory::new());
        assert_eq!(paged, plain);
        assert_eq!(memory.held_kib(), 64);
        memory.release();
        assert_eq!(memory.held_kib(), 0);
    }
}
