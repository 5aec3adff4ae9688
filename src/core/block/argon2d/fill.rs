//! The order in which a lane is filled, and which block each new one refers to (RFC 9106, sections 3.1
//! and 3.4, one lane). What mixes two blocks is handed in.

use super::Block;

/// Slices of a lane.
const SLICES: u32 = 4;

/// Where a new block comes to lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pass: u32,
    slice: u32,
    /// Within its slice.
    index: u32,
    /// Blocks of a slice.
    length: u32,
}

impl Place {
    /// The block that the one here refers to, by the first half word of the one before it.
    #[inline(always)]
    pub(super) const fn reference(self, half_word: u32) -> usize {
        let finished = if self.pass == 0 {
            self.slice
        } else {
            SLICES - 1
        };
        let area = finished * self.length + self.index - 1;
        let x = (half_word as u64 * half_word as u64) >> 32;
        let back = ((area as u64 * x) >> 32) as u32;
        let oldest = if self.pass == 0 { 0 } else { self.slice + 1 };
        let at = oldest * self.length + (area - 1 - back);
        let lane = SLICES * self.length;
        // Less than two rounds of the lane: no division.
        (if at >= lane { at - lane } else { at }) as usize
    }

    #[inline(always)]
    const fn next(mut self) -> Self {
        self.index += 1;
        if self.index == self.length {
            self.index = 0;
            self.slice += 1;
        }
        if self.slice == SLICES {
            self.slice = 0;
            self.pass += 1;
        }
        self
    }
}

/// What one new block is made of, by the numbers of blocks in its lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The block before it.
    pub previous: usize,
    /// The one that it refers to.
    pub reference: usize,
    /// Itself.
    pub current: usize,
    /// Whether what was there counts: from the second pass on.
    pub over: bool,
    /// Where the block after it comes to lie.
    pub next: Place,
}

/// Fills lanes of one length side by side. `mix` makes one new block, and answers which the one after
/// it refers to ([`Place::reference`]): it knows that before it is done and can have it fetched.
#[inline(always)]
pub(super) fn walk<const N: usize>(
    lanes: &mut [&mut [Block]; N],
    passes: u32,
    mix: impl Fn(&mut [Block], Step) -> usize,
) {
    let blocks = lanes.first().map_or(0, |lane| lane.len());
    let mut place = Place {
        pass: 0,
        slice: 0,
        index: 2,
        length: blocks as u32 / SLICES,
    };
    if place.index == place.length {
        (place.slice, place.index) = (1, 0);
    }
    let mut references = lanes
        .each_ref()
        .map(|lane| place.reference(lane[1].first_half_word()));
    let (mut previous, mut current) = (1, 2);
    while place.pass < passes {
        let next = place.next();
        for (lane, reference) in lanes.iter_mut().zip(&mut references) {
            let step = Step {
                previous,
                reference: *reference,
                current,
                over: place.pass > 0,
                next,
            };
            *reference = mix(lane, step);
        }
        place = next;
        previous = current;
        current = if current + 1 == blocks {
            0
        } else {
            current + 1
        };
    }
}
