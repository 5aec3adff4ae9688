//! The operator's questions: those about sockets and the log are answered here, the others by the
//! engine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use serde_json::{Value, json};

use crate::core::engine::Input;
use crate::core::keys::PeerPublicKey;
use crate::shell::control::Handler;
use crate::shell::files::config::Level;
use crate::shell::logging::Log;
use crate::shell::zmq::Access;
use crate::shell::zmq::monitor::Count;

/// How long the engine may take.
const PATIENCE: Duration = Duration::from_secs(30);

type Waiting = BTreeMap<u64, Sender<Result<Value, String>>>;

/// Asks the engine and waits for its answers. Clones share it.
#[derive(Clone)]
pub struct Operator {
    inputs: Sender<Input>,
    access: Access,
    logs: Option<Arc<Log>>,
    waiting: Arc<Mutex<Waiting>>,
    next: Arc<AtomicU64>,
    connections: Arc<Mutex<Option<Count>>>,
}

impl Operator {
    /// Nothing is asked yet.
    pub fn new(inputs: Sender<Input>, access: Access, logs: Option<Log>) -> Self {
        Self {
            inputs,
            access,
            logs: logs.map(Arc::new),
            waiting: Arc::default(),
            next: Arc::default(),
            connections: Arc::default(),
        }
    }

    /// Which connections are counted.
    pub fn watch(&self, connections: Count) {
        let mut place = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(connections);
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

    fn ask(&self, question: &Value) -> Result<Value, String> {
        let text = |name: &str| {
            question
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match text("command") {
            "log-level" => self.log_level(text("module"), text("level")),
            "ban" => self.ban(question),
            "unban" => {
                let key = key_of(text("key"))?;
                self.access.ban(key, Some(Instant::now()));
                Ok(json!({"unbanned": key}))
            }
            "status" => {
                let mut answer = self.ask_engine(question.clone())?;
                let connections = self
                    .connections
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let count = connections.as_ref().map_or(0, Count::get);
                answer["connections"] = json!(count);
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

    fn ban(&self, question: &Value) -> Result<Value, String> {
        let key = key_of(
            question
                .get("key")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        )?;
        let seconds = question.get("seconds").and_then(Value::as_u64);
        let until = seconds.and_then(|s| Instant::now().checked_add(Duration::from_secs(s)));
        self.access.ban(key, until);
        // Its messages are dropped from now on; what goes out to it is closed as well.
        let closed = self.ask_engine(json!({"command": "disconnect", "key": key}))?;
        Ok(json!({"banned": key, "seconds": seconds, "disconnected": closed["disconnected"]}))
    }
}

fn key_of(text: &str) -> Result<PeerPublicKey, String> {
    PeerPublicKey::from_text(text).map_err(|_| "key: 64 hex digits are wanted".to_owned())
}
