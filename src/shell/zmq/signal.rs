//! Signal pairs: how one thread wakes the polling loop of another. The pair stands beside a
//! channel; it carries no content.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Context, SocketError};

/// The end that the polling loop waits at.
pub struct Signal {
    socket: zmq::Socket,
    raised: Arc<AtomicBool>,
}

/// The end that others wake it with. Clones share it.
#[derive(Clone)]
pub struct Waker {
    socket: Arc<Mutex<zmq::Socket>>,
    raised: Arc<AtomicBool>,
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signal")
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waker")
    }
}

impl Signal {
    /// A pair under a name inside the context, as `bitmark-listener-signal`.
    ///
    /// # Errors
    /// The name is taken.
    pub fn pair(context: &Context, name: &str) -> Result<(Waker, Self), SocketError> {
        let endpoint = format!("inproc://{name}");
        let address = |e| SocketError::Address(endpoint.clone(), e);
        let waking = context.socket(zmq::SocketType::PAIR)?;
        let waiting = context.socket(zmq::SocketType::PAIR)?;
        waiting.bind(&endpoint).map_err(address)?;
        waking.connect(&endpoint).map_err(address)?;
        let raised = Arc::new(AtomicBool::new(false));
        let waker = Waker {
            socket: Arc::new(Mutex::new(waking)),
            raised: Arc::clone(&raised),
        };
        let signal = Self {
            socket: waiting,
            raised,
        };
        Ok((waker, signal))
    }

    pub(crate) fn poll_item(&self) -> zmq::PollItem<'_> {
        self.socket.as_poll_item(zmq::POLLIN)
    }

    /// Readable when it is raised, once [`Signal::lower`] was called.
    pub(crate) fn fd(&self) -> Result<std::os::fd::RawFd, zmq::Error> {
        self.socket.get_fd()
    }

    /// Takes the signal back. What was put into a channel before it was raised is seen by who
    /// looks into that channel now.
    pub(crate) fn lower(&self) {
        let mut message = zmq::Message::new();
        while self.socket.recv(&mut message, zmq::DONTWAIT).is_ok() {}
        self.raised.store(false, Ordering::SeqCst);
    }
}

impl Waker {
    /// Wakes the loop. It costs next to nothing while an earlier wake is still to be seen.
    pub fn wake(&self) {
        if self.raised.swap(true, Ordering::SeqCst) {
            return;
        }
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        // The pair holds a thousand; one is enough.
        let _ = socket.send(b"wake".as_slice(), zmq::DONTWAIT);
    }
}
