//! A bounded queue from thread to thread whose empty places cost a pointer each. A channel of the library
//! has memory for as many messages as it may ever hold, all of it written when it is made: of the
//! owner's inputs that was more than all else that an idle node keeps.
//!
//! It decides nothing and loses nothing: what finds no room is handed back.

use std::time::Duration;

use crossbeam_channel::{
    self as channel, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError,
};

/// A queue with room for so many.
pub fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = channel::bounded(room);
    (Sender(sender), Receiver(receiver))
}

/// Where it is filled. Clones share it.
#[derive(Debug)]
pub struct Sender<T>(channel::Sender<Box<T>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Sender<T> {
    /// Puts one in and waits for room.
    ///
    /// # Errors
    /// It is given back if nobody receives any more.
    pub fn send(&self, one: T) -> Result<(), SendError<T>> {
        let sent = self.0.send(Box::new(one));
        sent.map_err(|SendError(one)| SendError(*one))
    }

    /// Puts one in if there is room.
    ///
    /// # Errors
    /// It is given back if there is none, or nobody receives any more.
    pub fn try_send(&self, one: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(Box::new(one)).map_err(|e| match e {
            TrySendError::Full(one) => TrySendError::Full(*one),
            TrySendError::Disconnected(one) => TrySendError::Disconnected(*one),
        })
    }

    /// Puts one in and waits for room, but not for longer.
    ///
    /// # Errors
    /// It is given back if there was none, or nobody receives any more.
    pub fn send_timeout(&self, one: T, longest: Duration) -> Result<(), SendTimeoutError<T>> {
        let sent = self.0.send_timeout(Box::new(one), longest);
        sent.map_err(|e| match e {
            SendTimeoutError::Timeout(one) => SendTimeoutError::Timeout(*one),
            SendTimeoutError::Disconnected(one) => SendTimeoutError::Disconnected(*one),
        })
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many may wait.
    pub fn capacity(&self) -> usize {
        self.0.capacity().unwrap_or(usize::MAX)
    }
}

/// Where it is emptied, in the order in which it was filled.
#[derive(Debug)]
pub struct Receiver<T>(channel::Receiver<Box<T>>);

impl<T> Receiver<T> {
    /// The next one; waits for it.
    ///
    /// # Errors
    /// It is empty, and nobody fills it any more.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.0.recv().map(|one| *one)
    }

    /// The next one, if it is there.
    ///
    /// # Errors
    /// It is not.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_recv().map(|one| *one)
    }

    /// The next one; waits for it, but not for longer.
    ///
    /// # Errors
    /// It did not come in time, or nobody fills it any more.
    pub fn recv_timeout(&self, longest: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(longest).map(|one| *one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_handed_back_and_the_rest_comes_in_order() {
        let (queue, other_end) = bounded(2);
        queue.send(1).unwrap();
        assert_eq!((queue.len(), queue.capacity()), (1, 2));
        queue.try_send(2).unwrap();
        assert_eq!(queue.try_send(3), Err(TrySendError::Full(3)));
        let late = queue.send_timeout(4, Duration::ZERO);
        assert_eq!(late, Err(SendTimeoutError::Timeout(4)));
        assert_eq!(other_end.recv(), Ok(1));
        assert_eq!(other_end.recv_timeout(Duration::ZERO), Ok(2));
        assert_eq!(other_end.try_recv(), Err(TryRecvError::Empty));
        drop(other_end);
        assert_eq!(queue.send(5), Err(SendError(5)));
        assert_eq!(queue.try_send(6), Err(TrySendError::Disconnected(6)));
    }
}
