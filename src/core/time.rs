//! Time as the machines see it: an argument, never a call.

/// Milliseconds of a clock that only goes forward, counted from the start of the process.
/// All waits and deadlines of the machines are in this unit.
pub type Millis = u64;

/// Seconds since 1970 UTC of the wall clock, which may jump. Only what the protocol dates
/// (headers, announcements, lives that survive a restart) uses it.
pub type UnixSeconds = u64;

/// The moment at which a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// The clock that only goes forward.
    pub mono: Millis,
    /// The clock on the wall.
    pub wall: UnixSeconds,
}

impl Now {
    /// The moment `ms` milliseconds later on both clocks.
    #[must_use]
    pub const fn plus_ms(self, ms: Millis) -> Self {
        Self {
            mono: self.mono.saturating_add(ms),
            wall: self.wall.saturating_add(ms / 1000),
        }
    }
}
