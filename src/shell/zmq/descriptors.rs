//! Waiting at the descriptors of several sockets at once. They are handed to the system once: a wait
//! costs one system call, however many there are. Nothing is read from them here.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

/// Descriptors of sockets that stay open as long as this is used. Each wait tells what changed since
/// the one before: who is told has to take all that is there.
#[derive(Debug)]
pub(super) struct Descriptors {
    poll: Poll,
    events: Events,
}

impl Descriptors {
    /// Of these; what is told later is their place here.
    pub(super) fn new(all: &[RawFd]) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (index, descriptor) in all.iter().enumerate() {
            let interest = Interest::READABLE;
            poll.registry()
                .register(&mut SourceFd(descriptor), Token(index), interest)?;
        }
        let events = Events::with_capacity(all.len().max(1));
        Ok(Self { poll, events })
    }

    /// Waits for a change of any; a signal of the system ends the wait as if nothing had changed.
    pub(super) fn wait(&mut self, longest: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(longest)) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            result => result,
        }
    }

    /// Whether the last wait ended without a change.
    pub(super) fn is_silent(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether this one was among the changes that ended the last wait.
    pub(super) fn told(&self, index: usize) -> bool {
        self.events
            .iter()
            .any(|event| event.token() == Token(index))
    }
}
