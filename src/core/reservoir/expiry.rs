//! Lives that end (`proto/reservoir.md`, sections 3, 4 and 19). A set with all its entries is one
//! deadline; an asset that a set uses waits for it.
//!
//! Deadlines are on the wall clock, so that they survive a restart. A wall clock that goes back
//! lengthens no life; one that jumps forward by more than an hour ends none before the next sweep.

use super::{Reservoir, Timed};
use crate::core::time::{Millis, Now, UnixSeconds};

/// Between two sweeps.
pub const SWEEP_MS: Millis = 5 * 60 * 1000;
/// A jump of the wall clock beyond this is one.
const JUMP_S: u64 = 3600;

/// The wall clock, made to go forward only.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    seen: Option<Now>,
    now: UnixSeconds,
    jumped: bool,
}

impl Clock {
    /// Takes note of the time.
    pub(super) fn see(&mut self, now: Now) {
        let Some(before) = self.seen else {
            self.seen = Some(now);
            self.now = now.wall;
            return;
        };
        let passed = now.mono.saturating_sub(before.mono) / 1000;
        let forward = now.wall.saturating_sub(before.wall);
        if forward > passed.saturating_add(JUMP_S) {
            self.jumped = true;
        }
        // At least what really passed, at most what the wall says.
        let steady = self.now.saturating_add(passed);
        self.now = if now.wall >= self.now {
            now.wall
        } else {
            steady
        };
        // Parts of a second are not lost: only whole seconds are taken from the steady clock.
        if passed > 0 || forward > 0 || now.wall < before.wall {
            self.seen = Some(now);
        }
    }

    pub(super) const fn now(&self) -> UnixSeconds {
        self.now
    }

    /// Whether the clock jumped since the last sweep.
    fn take_jump(&mut self) -> bool {
        std::mem::take(&mut self.jumped)
    }
}

impl Reservoir {
    /// Ends what has run out. Tells whether the clock jumped, so that nothing ended this time.
    pub fn sweep(&mut self, now: Now) -> bool {
        self.clock.see(now);
        if self.clock.take_jump() {
            return true;
        }
        let at = self.clock.now();
        let due: Vec<Timed> = self
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= at)
            .map(|(_, timed)| *timed)
            .collect();
        // Sets first: they let go of their assets.
        for timed in &due {
            if let Timed::Set(pay_id) = timed {
                let set = self.remove(pay_id);
                self.expired += set.map_or(0, |set| set.members.len() as u64);
            }
        }
        for timed in due {
            match timed {
                Timed::Asset(id) => {
                    let is_used = self.assets.get(&id).is_some_and(|asset| asset.users > 0);
                    if !is_used {
                        self.remove_asset(&id);
                        self.expired += 1;
                    }
                }
                Timed::Orphan(pay_id) => {
                    self.remove_orphan(&pay_id);
                    self.expired += 1;
                }
                Timed::Set(_) => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_lengthens_no_life_and_a_jump_is_noticed() {
        let mut clock = Clock::default();
        let at = |mono: u64, wall: u64| Now { mono, wall };
        clock.see(at(0, 10_000));
        clock.see(at(5_000, 10_005));
        assert_eq!(clock.now(), 10_005);
        clock.see(at(6_000, 5_000));
        assert_eq!(clock.now(), 10_006);
        clock.see(at(16_000, 5_010));
        assert_eq!(clock.now(), 10_016);
        assert!(!clock.take_jump());
        clock.see(at(17_000, 20_000));
        assert_eq!(clock.now(), 20_000);
        assert!(clock.take_jump());
    }
}
