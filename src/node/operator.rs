//! The operator's questions: those about sockets and the log are answered here, the others by the
//! engine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use serde_json::{Value, json};

use super::queue;
use super::snapshot::Taking;
use crate::core::chain::Chain;
use crate::core::engine::Input;
use crate::shell::control::{Handler, Long, LongHandler};
use crate::shell::counters::Counters;
use crate::shell::files::config::Level;
use crate::shell::logging::Log;
use crate::shell::store::Store;

/// How long the engine may take.
const PATIENCE: Duration = Duration::from_secs(30);

type Waiting = BTreeMap<u64, Sender<Result<Value, String>>>;

/// Asks the engine and waits for its answers. Clones share it.
#[derive(Clone)]
pub struct Operator {
    inputs: queue::Sender<Input>,
    logs: Option<Arc<Log>>,
    waiting: Arc<Mutex<Waiting>>,
    next: Arc<AtomicU64>,
    counters: Arc<Mutex<Counters>>,
    chain: &'static Chain,
    store: Store,
}

impl Operator {
    /// Nothing is asked yet.
    pub fn new(
        inputs: queue::Sender<Input>,
        logs: Option<Log>,
        chain: &'static Chain,
        store: Store,
    ) -> Self {
        Self {
            inputs,
            chain,
            store,
            logs: logs.map(Arc::new),
            waiting: Arc::default(),
            next: Arc::default(),
            counters: Arc::default(),
        }
    }

    /// What is counted.
    pub fn watch(&self, counters: Counters) {
        *self.counters() = counters;
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine answered.
    pub fn answer(&self, token: u64, answer: Result<Value, String>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asker) = waiting.remove(&token) {
            let _ = asker.send(answer);
        }
    }

    /// What the control socket calls.
    pub fn handler(&self) -> Handler {
        let operator = self.clone();
        Arc::new(move |question| operator.ask(&question))
    }

    /// What the control socket calls for long answers: a snapshot, made while it is sent.
    pub fn long(&self) -> LongHandler {
        let (chain, store) = (self.chain, self.store.clone());
        Arc::new(move |question| {
            let is_mine = question.get("command")?.as_str()? == "snapshot";
            is_mine.then(|| {
                let mut taking = Taking::begin(&store, chain).map_err(|e| e.to_string())?;
                log::info!(target: "node", "a snapshot of block {} is taken", taking.height());
                Ok(Long {
                    head: taking.facts(),
                    pieces: Box::new(move || taking.bytes().map_err(|e| e.to_string())),
                })
            })
        })
    }

    fn ask(&self, question: &Value) -> Result<Value, String> {
        let text = |name: &str| {
            question
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match text("command") {
            "log-level" => self.log_level(text("module"), text("level")),
            "status" => {
                let mut answer = self.ask_engine(question.clone())?;
                let counters = self.counters();
                answer["connections"] = json!(counters.connections.get());
                answer["payments"] = counters.watchers();
                Ok(answer)
            }
            _ => self.ask_engine(question.clone()),
        }
    }

    fn ask_engine(&self, question: Value) -> Result<Value, String> {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = bounded(1);
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token, asker);
        if self
            .inputs
            .try_send(Input::Control(token, question))
            .is_err()
        {
            self.answer(token, Err(String::new()));
            return Err("the node is busy or stopping; try again".to_owned());
        }
        answer.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            self.answer(token, Err(String::new()));
            Err("the node did not answer in time".to_owned())
        })
    }

    fn log_level(&self, module: &str, level: &str) -> Result<Value, String> {
        let Some(logs) = &self.logs else {
            return Err("this node has no log of its own".to_owned());
        };
        let level: Level = serde_json::from_value(json!(level)).map_err(|_| {
            format!(
                "{level:?} is no level; there are trace, debug, info, warn, error, critical, off"
            )
        })?;
        logs.set_level(module, level);
        Ok(json!({"levels": logs.levels()}))
    }
}
