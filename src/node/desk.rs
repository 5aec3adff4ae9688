//! Questions to the engine from tasks that wait for the answer without a thread of their own.
//!
//! Bounds: [`WAITING_MAX`] questions that wait; one that has no answer in time is given up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;

use super::queue::Sender;
use crate::core::engine::Input;

/// Questions that wait.
pub const WAITING_MAX: usize = 1024;
/// How long the engine may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// Too much waits already, or the node is stopping.
    #[error("the node is busy or stopping; try again")]
    Busy,
    /// None came in time.
    #[error("the node did not answer in time")]
    Late,
}

/// Asks the engine. Clones share it.
#[derive(Debug)]
pub struct Desk<A> {
    inputs: Sender<Input>,
    waiting: Arc<Mutex<BTreeMap<u64, oneshot::Sender<A>>>>,
    next: Arc<AtomicU64>,
}

impl<A> Clone for Desk<A> {
    fn clone(&self) -> Self {
        Self {
            inputs: self.inputs.clone(),
            waiting: Arc::clone(&self.waiting),
            next: Arc::clone(&self.next),
        }
    }
}

/// Takes the question back when nobody waits for its answer any more.
struct Place<'a, A>(&'a Desk<A>, u64);

impl<A> Drop for Place<'_, A> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

impl<A> Desk<A> {
    /// Nothing is asked yet.
    pub fn new(inputs: Sender<Input>) -> Self {
        Self {
            inputs,
            waiting: Arc::default(),
            next: Arc::default(),
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, oneshot::Sender<A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine answered.
    pub fn answer(&self, token: u64, answer: A) {
        if let Some(asker) = self.waiting().remove(&token) {
            let _ = asker.send(answer);
        }
    }

    /// Asks and waits; `make` turns the token into the question.
    ///
    /// # Errors
    /// See [`NoAnswer`].
    pub async fn ask(&self, make: impl FnOnce(u64) -> Input) -> Result<A, NoAnswer> {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.len() >= WAITING_MAX {
                return Err(NoAnswer::Busy);
            }
            waiting.insert(token, asker);
        }
        let _place = Place(self, token);
        self.inputs
            .try_send(make(token))
            .map_err(|_| NoAnswer::Busy)?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(NoAnswer::Busy),
            Err(_) => Err(NoAnswer::Late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::explore::Question;
    use crate::node::queue::bounded;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    }

    #[test]
    fn an_answer_reaches_who_asked_and_nobody_waits_in_vain_for_a_full_queue() {
        let (inputs, queue) = bounded(1);
        let desk: Desk<u32> = Desk::new(inputs);
        let answering = desk.clone();
        let engine = std::thread::spawn(move || {
            let Ok(Input::Explore(token, _)) = queue.recv() else {
                panic!("another question");
            };
            answering.answer(token, 7);
            queue
        });
        let ask = desk.ask(|token| Input::Explore(token, Question::Overview));
        assert_eq!(runtime().block_on(ask), Ok(7));
        drop(engine.join().unwrap());
        let ask = desk.ask(|token| Input::Explore(token, Question::Overview));
        assert_eq!(runtime().block_on(ask), Err(NoAnswer::Busy));
        assert!(desk.waiting().is_empty());
    }
}
