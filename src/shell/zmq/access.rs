//! Who may connect: the thread that answers the library's authentication requests (ZAP,
//! <https://rfc.zeromq.org/spec/27/>; `proto/peer.md`, section 1.1).
//!
//! Every CURVE key is admitted unless a list for the domain names others, or it is banned. The
//! key is handed back as user id, so that a message tells whose it is. Addresses are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use super::signal::{Signal, Waker};
use super::{Context, SocketError, poll, receive};
use crate::core::keys::PeerPublicKey;

const ENDPOINT: &str = "inproc://zeromq.zap.01";

#[derive(Debug, Default)]
struct Rules {
    allowed: BTreeMap<String, BTreeSet<PeerPublicKey>>,
    /// Each until a second of the wall clock.
    banned: BTreeMap<PeerPublicKey, u64>,
}

fn wall() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The rules of admission. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Access(Arc<RwLock<Rules>>);

impl Access {
    /// Admits these keys alone to a domain.
    pub fn allow(&self, domain: &str, keys: impl IntoIterator<Item = PeerPublicKey>) {
        let mut rules = self.0.write().unwrap_or_else(PoisonError::into_inner);
        rules
            .allowed
            .insert(domain.to_owned(), keys.into_iter().collect());
    }

    /// Keeps a key out until a second of the wall clock, as the engine says.
    pub fn ban(&self, key: PeerPublicKey, until: u64) {
        let mut rules = self.0.write().unwrap_or_else(PoisonError::into_inner);
        rules.banned.retain(|_, until| wall() < *until);
        rules.banned.insert(key, until);
    }

    /// Whether a key is kept out now.
    #[must_use]
    pub fn is_banned(&self, key: &PeerPublicKey) -> bool {
        let rules = self.0.read().unwrap_or_else(PoisonError::into_inner);
        rules.banned.get(key).is_some_and(|until| wall() < *until)
    }

    /// Whether a key may connect to a domain.
    #[must_use]
    pub fn admits(&self, domain: &str, key: &PeerPublicKey) -> bool {
        if self.is_banned(key) {
            return false;
        }
        let rules = self.0.read().unwrap_or_else(PoisonError::into_inner);
        rules
            .allowed
            .get(domain)
            .is_none_or(|keys| keys.contains(key))
    }
}

/// The thread that answers.
#[derive(Debug)]
pub struct AccessThread {
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl AccessThread {
    /// Starts it. It must run before a socket of the context is bound.
    ///
    /// # Errors
    /// The context has one already.
    pub fn start(context: &Context, access: Access) -> Result<Self, SocketError> {
        let socket = context.socket(zmq::SocketType::REP)?;
        socket
            .bind(ENDPOINT)
            .map_err(|e| SocketError::Address(ENDPOINT.to_owned(), e))?;
        let (waker, signal) = Signal::pair(context, "bitmark-access-signal")?;
        let thread = std::thread::Builder::new()
            .name("access".to_owned())
            .spawn(move || run(&socket, &signal, &access))?;
        Ok(Self {
            waker,
            thread: Some(thread),
        })
    }

    /// Whether its thread runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }
}

impl Drop for AccessThread {
    fn drop(&mut self) {
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(socket: &zmq::Socket, signal: &Signal, access: &Access) {
    loop {
        let (asked, stop) = {
            let mut items = [socket.as_poll_item(zmq::POLLIN), signal.poll_item()];
            if poll(&mut items, -1).is_err() {
                return;
            }
            (items[0].is_readable(), items[1].is_readable())
        };
        if stop {
            return;
        }
        if !asked {
            continue;
        }
        // One request, one reply, whatever it holds.
        match receive::message(socket) {
            Ok(Some(request)) => {
                let reply = answer(&request.frames, access);
                if receive::send(socket, &reply).is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

fn answer(request: &[Vec<u8>], access: &Access) -> Vec<Vec<u8>> {
    let frame = |index: usize| request.get(index).map(Vec::as_slice).unwrap_or_default();
    let domain = String::from_utf8_lossy(frame(2)).into_owned();
    let key = (frame(5) == b"CURVE")
        .then(|| PeerPublicKey::from_bytes(frame(6)))
        .flatten();
    let (code, text, user) = match key {
        Some(key) if access.admits(&domain, &key) => ("200", "OK", key.to_string()),
        Some(_) => ("400", "not allowed", String::new()),
        None => ("400", "CURVE is required", String::new()),
    };
    vec![
        frame(0).to_vec(),
        frame(1).to_vec(),
        code.as_bytes().to_vec(),
        text.as_bytes().to_vec(),
        user.into_bytes(),
        Vec::new(),
    ]
}
