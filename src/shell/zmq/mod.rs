//! ZeroMQ: the context, CURVE, ZAP, sockets for both families, signal pairs, monitors and the
//! polling loops (`proto/peer.md`, section 1).
//!
//! One context a node; names inside it are fixed. Nothing here knows what a message means. Every
//! socket has a linger and a size limit; nothing blocks without an end.

pub mod access;
mod descriptors;
pub mod monitor;
pub mod options;
pub mod outward;
pub mod receive;
pub mod requester;
pub mod server;
pub mod signal;

use thiserror::Error;

pub use access::{Access, AccessThread};
pub use signal::{Signal, Waker};

/// Threads of the library for all sockets of a node.
const IO_THREADS: i32 = 2;

/// A message: its frames.
pub type Frames = Vec<Vec<u8>>;

/// Why a socket cannot be had.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The library was built without CURVE.
    #[error("the ZeroMQ library of this system was built without CURVE; install one that has it")]
    NoCurve,
    /// An address that cannot be bound or dialled.
    #[error("{0}: {1}")]
    Address(String, zmq::Error),
    /// Anything else that the library refuses.
    #[error("ZeroMQ: {0}")]
    Library(#[from] zmq::Error),
    /// No thread.
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The context of one node.
#[derive(Clone)]
pub struct Context {
    inner: zmq::Context,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

impl Context {
    /// A new context.
    ///
    /// # Errors
    /// [`SocketError::NoCurve`]
    pub fn new() -> Result<Self, SocketError> {
        if zmq::has("curve") != Some(true) {
            return Err(SocketError::NoCurve);
        }
        let inner = zmq::Context::new();
        // Who sends large frames keeps one thread busy with them, not all.
        inner.set_io_threads(IO_THREADS)?;
        Ok(Self { inner })
    }

    fn socket(&self, kind: zmq::SocketType) -> Result<zmq::Socket, SocketError> {
        let socket = self.inner.socket(kind)?;
        socket.set_linger(options::LINGER_MS)?;
        Ok(socket)
    }
}

/// Waits for any of the items; a signal of the system does not end the wait.
pub(crate) fn poll(items: &mut [zmq::PollItem<'_>], timeout_ms: i64) -> Result<(), zmq::Error> {
    match zmq::poll(items, timeout_ms) {
        Ok(_) | Err(zmq::Error::EINTR) => Ok(()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests;
