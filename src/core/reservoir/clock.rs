//! The time that lives are counted in (`proto/reservoir.md`, section 19): wall-clock seconds that
//! never go back.
//!
//! A wall clock that jumps back is not followed, so no life gets longer. One that jumps forward
//! by more than an hour is told, and followed only when it still says so a whole sweep later:
//! expiry pauses for that sweep, and a clock that is put right meanwhile costs nothing.

use crate::core::time::{Millis, Now, UnixSeconds};

/// A jump forward of more than this is told.
pub const JUMP_S: u64 = 3600;

/// Wall-clock seconds that never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    wall: UnixSeconds,
    mono: Millis,
    /// Since when the wall clock is far ahead, and what it says now.
    ahead: Option<(UnixSeconds, Now)>,
}

impl Clock {
    /// Starts at the wall clock of `now`.
    #[must_use]
    pub const fn new(now: Now) -> Self {
        Self {
            wall: now.wall,
            mono: now.mono,
            ahead: None,
        }
    }

    /// Moves on to `now`; how far the wall clock has just jumped forward if that is more than an
    /// hour. Such a jump is not followed yet.
    pub fn advance(&mut self, now: Now) -> Option<u64> {
        let due = self.at(now.mono);
        let jump = now.wall.saturating_sub(due);
        if jump > JUMP_S {
            let since = self.ahead.map(|(since, _)| since);
            self.ahead = Some((since.unwrap_or(due), now));
            return since.is_none().then_some(jump);
        }
        self.ahead = None;
        if jump > 0 {
            *self = Self::new(now);
        }
        None
    }

    /// Follows a jump that still stands; since when it is known, and how far it was.
    pub fn follow(&mut self) -> Option<(UnixSeconds, u64)> {
        let (since, now) = self.ahead.take()?;
        let jump = now.wall.saturating_sub(self.at(now.mono));
        *self = Self::new(now);
        Some((since, jump))
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
        let jump = JUMP_S + 1;
        assert_eq!(clock.advance(at(2_000, behind + jump)), Some(jump));
        assert_eq!(clock.advance(at(3_000, behind + 1 + jump)), None);
        assert_eq!(clock.at(3_000), behind + 1);
        assert_eq!(clock.follow(), Some((behind, jump)));
        assert_eq!(clock.at(3_000), behind + 1 + jump);
        assert_eq!(clock.follow(), None);
    }

    #[test]
    fn a_jump_that_is_put_right_is_not_followed() {
        let mut clock = Clock::new(at(0, 10_000));
        assert!(clock.advance(at(1_000, 90_000)).is_some());
        assert_eq!(clock.advance(at(2_000, 10_002)), None);
        assert_eq!(clock.follow(), None);
        assert_eq!(clock.at(2_000), 10_002);
    }
}
