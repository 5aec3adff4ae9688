//! What people look at, read from the chain, the pools and the peers.

use super::{Effect, Engine, Step};
use crate::core::explore::Question;

impl Engine {
    pub(super) fn explore(&mut self, step: &mut Step<'_>, token: u64, question: &Question) {
        let shown = match question {
            Question::Overview => Ok(self.status_json(step)),
        };
        step.out.push(Effect::Explored(token, shown));
    }
}
