//! How the service is that tells payments of a coin.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::core::time::UnixSeconds;

#[derive(Debug, Default)]
struct State {
    is_reachable: AtomicBool,
    /// 0: never.
    last_answer: AtomicU64,
    seen: AtomicU64,
    failures: AtomicU64,
}

/// What is known of it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<State>);

impl Health {
    /// It gave a good answer.
    pub fn answered(&self, at: UnixSeconds) {
        self.0.last_answer.store(at, Ordering::Relaxed);
        self.0.is_reachable.store(true, Ordering::Relaxed);
    }

    /// It gave no good answer.
    pub fn failed(&self) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        self.gone();
    }

    /// The connection to it ended.
    pub fn gone(&self) {
        self.0.is_reachable.store(false, Ordering::Relaxed);
    }

    /// It told a payment.
    pub fn paid(&self) {
        self.0.seen.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether its last answer was good, and nothing tells that it went since.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.0.is_reachable.load(Ordering::Relaxed)
    }

    /// When it gave a good answer last.
    #[must_use]
    pub fn last_answer(&self) -> Option<UnixSeconds> {
        let at = self.0.last_answer.load(Ordering::Relaxed);
        (at > 0).then_some(at)
    }

    /// Payments that it told.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Relaxed)
    }

    /// Questions that had no good answer.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_reachable_from_an_answer_to_a_failure() {
        let health = Health::default();
        assert_eq!((health.is_reachable(), health.last_answer()), (false, None));
        health.answered(7);
        health.paid();
        assert_eq!(
            (health.is_reachable(), health.last_answer()),
            (true, Some(7))
        );
        health.failed();
        assert_eq!((health.is_reachable(), health.failures()), (false, 1));
        assert_eq!((health.seen(), health.last_answer()), (1, Some(7)));
    }
}
