//! A client that asks and waits: for command lines and tests. The node itself never waits so.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::RngCore as _;
use thiserror::Error;

use super::receive;
use super::{Context, Frames, SocketError, options};
use crate::core::keys::{PeerPrivateKey, PeerPublicKey};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum RequestError {
    /// No socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Nothing came in time. A wrong server key looks just so.
    #[error(
        "no answer from {0} within {1} s: is a node listening there, and is its public key the one given?"
    )]
    Silent(SocketAddr, u64),
    /// The library.
    #[error("ZeroMQ: {0}")]
    Library(#[from] zmq::Error),
}

/// A request socket with a key of its own, made for it.
pub struct Requester {
    socket: zmq::Socket,
    address: SocketAddr,
    timeout: Duration,
}

impl std::fmt::Debug for Requester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Requester({})", self.address)
    }
}

/// A fresh key.
#[must_use]
pub fn fresh_key() -> PeerPrivateKey {
    let mut bytes = [0; 32];
    rand::thread_rng().fill_bytes(&mut bytes);
    PeerPrivateKey::from_bytes(bytes)
}

impl Requester {
    /// Dials. Whether anybody is there shows with the first request.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn dial(
        context: &Context,
        key: &PeerPrivateKey,
        server_key: &PeerPublicKey,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Self, RequestError> {
        let socket = options::client(context, zmq::SocketType::REQ, key, server_key, &address)?;
        socket.connect(&options::endpoint(&address))?;
        Ok(Self {
            socket,
            address,
            timeout,
        })
    }

    /// When the time of a request that is made now is over; a time that no clock reaches has no
    /// end.
    fn end(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout)
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`RequestError::Silent`] when the time is over.
    pub fn ask(&self, request: &[Vec<u8>]) -> Result<Frames, RequestError> {
        let end = self.end();
        let left = || {
            end.map_or(i32::MAX, |end| {
                let left = end.saturating_duration_since(Instant::now());
                i32::try_from(left.as_millis()).unwrap_or(i32::MAX)
            })
        };
        let silent = || RequestError::Silent(self.address, self.timeout.as_secs());
        self.socket.set_sndtimeo(left())?;
        match self.socket.send_multipart(request, 0) {
            Ok(()) => {}
            Err(zmq::Error::EAGAIN) => return Err(silent()),
            Err(e) => return Err(e.into()),
        }
        loop {
            let wait = left();
            if wait == 0 {
                return Err(silent());
            }
            let mut items = [self.socket.as_poll_item(zmq::POLLIN)];
            super::poll(&mut items, i64::from(wait))?;
            if let Some(received) = receive::message(&self.socket)? {
                return Ok(received.frames);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_reaches_is_no_fault() {
        let context = Context::new().unwrap();
        let key = fresh_key();
        let nobody = "127.0.0.1:9".parse().unwrap();
        let dial = |timeout| {
            Requester::dial(&context, &key, &fresh_key().public_key(), nobody, timeout).unwrap()
        };
        assert_eq!(dial(Duration::MAX).end(), None);
        assert!(dial(Duration::from_secs(1)).end().is_some());
    }
}
