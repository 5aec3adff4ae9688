//! What waits for the owner. Its signatures are checked by others meanwhile: while the owner is at what
//! came before, and from their end on while it is at them itself. Nothing is decided here: what is
//! checked is told with the input, in the order in which inputs came, and what is not, the engine checks.
//!
//! Bounds: [`AHEAD`] inputs are looked at ahead; the rest stays in the queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use super::queue::Receiver;
use crate::core::engine::{Engine, Input};
use crate::core::record::Outcomes as _;
use crate::core::reservoir::ToCheck;
use crate::core::state::View;
use crate::shell::signatures::{Cores, Help, Shared};

/// Inputs whose signatures are checked ahead.
const AHEAD: usize = 64;

/// An input, with what is checked of it by others.
#[derive(Debug)]
pub struct Next {
    pub input: Input,
    pub checked: Option<Arc<Shared<ToCheck>>>,
    /// They go on until this is dropped.
    _help: Option<Help>,
}

/// The queue of the owner.
#[derive(Debug)]
pub struct Ahead {
    queue: Receiver<Input>,
    cores: Cores,
    /// What was taken from the queue, in order, each with its checks.
    waiting: VecDeque<Next>,
}

impl Ahead {
    pub const fn new(queue: Receiver<Input>, cores: Cores) -> Self {
        Self {
            queue,
            cores,
            waiting: VecDeque::new(),
        }
    }

    /// Waits until there is an input, at most so long; whether there can be any further one.
    pub fn wait(&mut self, engine: &Engine, view: &dyn View, most: Duration) -> bool {
        if self.waiting.is_empty() {
            match self.queue.recv_timeout(most) {
                Ok(input) => self.look_at(engine, view, input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// The next input, if there is one. What waits behind it is looked at first, so that the others
    /// have work meanwhile.
    pub fn next(&mut self, engine: &Engine, view: &dyn View) -> Option<Next> {
        while self.waiting.len() < AHEAD {
            let Ok(input) = self.queue.try_recv() else {
                break;
            };
            self.look_at(engine, view, input);
        }
        self.waiting.pop_front()
    }

    fn look_at(&mut self, engine: &Engine, view: &dyn View, input: Input) {
        let next = self.begin(engine, view, input);
        self.waiting.push_back(next);
    }

    /// Has the signatures of an input checked. What comes twice, as a set does that several peers pass
    /// on, is checked once.
    pub fn begin(&self, engine: &Engine, view: &dyn View, input: Input) -> Next {
        let work = engine.to_check(&input, view);
        if work.is_empty() {
            return Next {
                input,
                checked: None,
                _help: None,
            };
        }
        let mut told = self.waiting.iter().filter_map(|next| next.checked.as_ref());
        if let Some(same) = told.find(|told| told.work().is_same(&work)) {
            return Next {
                input,
                checked: Some(Arc::clone(same)),
                _help: None,
            };
        }
        let shared = Arc::new(Shared::new(work));
        let help = self.cores.share(&shared);
        Next {
            input,
            checked: Some(shared),
            _help: Some(help),
        }
    }
}

#[cfg(test)]
mod tests;
