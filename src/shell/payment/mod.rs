//! Watchers of currency daemons (`proto/reservoir.md`, sections 13 to 16): over the discovery
//! service ([`discovery`]) or over the daemons' REST services ([`rest`]). They tell payments; what
//! these pay for, the pools say. Nobody has to be there: a watcher goes on trying.

pub mod discovery;
mod fetch;
pub mod rest;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::core::reservoir::SeenPayment;
use crate::core::time::UnixSeconds;

/// Where payments go. It may wait for room, and ends that wait when the node stops.
pub type Sink = Box<dyn FnMut(SeenPayment) + Send>;

fn now() -> UnixSeconds {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

/// Tells the first of several failures in a row, and when it is over.
#[derive(Debug)]
struct Trouble {
    what: String,
    is_told: bool,
}

impl Trouble {
    const fn with(what: String) -> Self {
        Self {
            what,
            is_told: false,
        }
    }

    fn failed(&mut self, why: impl std::fmt::Display) {
        if std::mem::replace(&mut self.is_told, true) {
            log::debug!(target: "payment", "{}: {why}", self.what);
        } else {
            log::warn!(target: "payment", "{}: {why}; payments there are not seen until it works again", self.what);
        }
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.is_told) {
            log::info!(target: "payment", "{}: works again", self.what);
        }
    }
}

/// A pause that doubles.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    const fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            next: first,
        }
    }

    fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.most);
        pause
    }

    const fn reset(&mut self) {
        self.next = self.first;
    }
}
