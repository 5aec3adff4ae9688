//! Says now and then how far something is, to people who watch. Never prints before a second has
//! passed, and nothing beside JSON.

use std::time::{Duration, Instant};

use super::Output;

/// Between two words about how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// When the next word is due.
#[derive(Debug)]
pub struct Progress {
    output: Output,
    next: Instant,
}

impl Progress {
    /// Begins now.
    pub fn new(output: Output) -> Self {
        Self {
            output,
            next: Instant::now() + TELL_EVERY,
        }
    }

    /// Says this if a second has passed since the last word.
    pub fn tell(&mut self, text: impl FnOnce() -> String) {
        if Instant::now() >= self.next {
            self.next = Instant::now() + TELL_EVERY;
            self.output.note(text());
        }
    }
}
