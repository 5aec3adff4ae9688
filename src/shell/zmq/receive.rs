//! Receiving a whole message without holding more than there is room for.

/// Most frames of a message that are kept; the rest is read and dropped.
pub const MAX_FRAMES: usize = 24;
/// Frames of a request: routing id, number, empty frame, chain, command, and parameters.
const USUAL_FRAMES: usize = 8;
/// Most bytes of a message that are kept: one frame of the largest size and its surroundings.
pub const MAX_BYTES: usize = 5_100_000;

/// A message as far as it was kept.
#[derive(Debug, Default)]
pub struct Received {
    /// The frames in front.
    pub frames: Vec<Vec<u8>>,
    /// Whether frames were dropped for their bytes; those kept are the ones in front of them. The
    /// first large frame of a message is never among the dropped.
    pub over_bytes: bool,
    /// Bytes of all its frames, of those dropped too.
    pub bytes: usize,
    /// The key of the client's CURVE session, from the access thread.
    pub client: Option<[u8; 32]>,
}

/// Receives one message if there is one.
///
/// # Errors
/// What the library says; `EAGAIN` is no error but nothing.
pub fn message(socket: &zmq::Socket) -> Result<Option<Received>, zmq::Error> {
    message_within(socket, MAX_BYTES)
}

/// The same with another bound than [`MAX_BYTES`].
///
/// # Errors
/// As [`message`].
pub fn message_within(socket: &zmq::Socket, most: usize) -> Result<Option<Received>, zmq::Error> {
    let mut frame = zmq::Message::new();
    match socket.recv(&mut frame, zmq::DONTWAIT) {
        Ok(()) => {}
        Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => return Ok(None),
        Err(e) => return Err(e),
    }
    let mut received = Received {
        frames: Vec::with_capacity(USUAL_FRAMES),
        ..Received::default()
    };
    loop {
        let more = frame.get_more();
        if received.client.is_none() {
            received.client = frame.gets("User-Id").and_then(|text| {
                let mut key = [0; 32];
                hex::decode_to_slice(text, &mut key).ok().map(|()| key)
            });
        }
        received.bytes = received.bytes.saturating_add(frame.len());
        received.over_bytes |= received.bytes > most && received.frames.len() < MAX_FRAMES;
        if !received.over_bytes && received.frames.len() < MAX_FRAMES {
            received.frames.push(frame.to_vec());
        }
        if !more {
            return Ok(Some(received));
        }
        // The frames of a message arrive together.
        match socket.recv(&mut frame, 0) {
            Ok(()) => {}
            Err(zmq::Error::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It left.
    Done,
    /// There is no room for it now.
    Full,
    /// Nobody is there any more.
    Gone,
}

/// Sends a message if there is room for it.
///
/// # Errors
/// What the library says; a full queue and a client that is gone are no errors.
pub fn send(socket: &zmq::Socket, frames: &[Vec<u8>]) -> Result<Sent, zmq::Error> {
    let Some((last, front)) = frames.split_last() else {
        return Ok(Sent::Done);
    };
    let parts = front
        .iter()
        .map(|frame| (frame, zmq::SNDMORE | zmq::DONTWAIT))
        .chain([(last, zmq::DONTWAIT)]);
    for (frame, flags) in parts {
        match socket.send(frame.as_slice(), flags) {
            Ok(()) => {}
            Err(zmq::Error::EAGAIN) => return Ok(Sent::Full),
            Err(zmq::Error::EHOSTUNREACH) => return Ok(Sent::Gone),
            Err(e) => return Err(e),
        }
    }
    Ok(Sent::Done)
}
