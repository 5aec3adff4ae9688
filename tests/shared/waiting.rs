//! Waiting for what has no event to wait on: another process, a file that it writes, a count that
//! another thread keeps. The one place where tests beside the source let time pass
//! (`tests/layers.rs`); whoever has an event waits for that instead.

use std::time::{Duration, Instant};

/// A look that is taken again and again, with a pause in between and an end.
#[derive(Debug, Clone, Copy)]
pub struct Looking {
    end: Instant,
    pause: Duration,
}

impl Looking {
    /// For at most `limit` from now on.
    pub fn begin(limit: Duration, pause: Duration) -> Self {
        Self {
            end: Instant::now() + limit,
            pause,
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Whether there is another look, behind a pause.
    pub fn again(&self) -> bool {
        let goes_on = !self.is_over();
        if goes_on {
            std::thread::sleep(self.pause);
        }
        goes_on
    }

    /// The same where others go on meanwhile.
    pub async fn again_among_others(&self) -> bool {
        let goes_on = !self.is_over();
        if goes_on {
            tokio::time::sleep(self.pause).await;
        }
        goes_on
    }
}

/// Looks until there is something; fails when the limit is over.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let looking = Looking::begin(limit, pause);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(looking.again(), "{what} did not come about in {limit:?}");
    }
}
