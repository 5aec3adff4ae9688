//! The time that lives are counted in (`proto/reservoir.md`, section 19): wall-clock seconds that
//! never go back.
//!
//! A wall clock that jumps back is not followed, so no life gets longer. One that jumps forward
//! by more than an hour is followed, told, and expiry pauses for one sweep.

use crate::core::time::{Millis, Now, UnixSeconds};

/// A jump forward of more than this is told.
pub const JUMP_S: u64 = 3600;

/// Wall-clock seconds that never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    wall: UnixSeconds,
    mono: Millis,
}

impl Clock {
    /// Starts at the wall clock of `now`.
    #[must_use]
    pub const fn new(now: Now) -> Self {
        Self {
            wall: now.wall,
            mono: now.mono,
        }
    }

    /// Moves on to `now`; how far the wall clock jumped forward if that was more than an hour.
    pub fn advance(&mut self, now: Now) -> Option<u64> {
        let due = self.at(now.mono);
        if now.wall <= due {
            return None;
        }
        let jump = now.wall - due;
        *self = Self::new(now);
        (jump > JUMP_S).then_some(jump)
    }

    /// The seconds at this moment of the other clock.
    #[must_use]
    pub const fn at(&self, mono: Millis) -> UnixSeconds {
        self.wall
            .saturating_add(mono.saturating_sub(self.mono) / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: Millis, wall: UnixSeconds) -> Now {
        Now { mono, wall }
    }

    #[test]
    fn a_clock_set_back_is_not_followed() {
        let mut clock = Clock::new(at(0, 10_000));
        assert_eq!(clock.advance(at(5_000, 1)), None);
        assert_eq!(clock.at(5_000), 10_005);
        assert_eq!(clock.advance(at(9_000, 10_009)), None);
        assert_eq!(clock.at(9_000), 10_009);
    }

    #[test]
    fn a_jump_forward_of_more_than_an_hour_is_told() {
        let mut clock = Clock::new(at(0, 10_000));
        assert_eq!(clock.advance(at(1_000, 10_001 + JUMP_S)), None);
        let behind = clock.at(2_000);
        assert_eq!(
            clock.advance(at(2_000, behind + JUMP_S + 1)),
            Some(JUMP_S + 1)
        );
        assert_eq!(clock.at(2_000), behind + JUMP_S + 1);
    }
}
