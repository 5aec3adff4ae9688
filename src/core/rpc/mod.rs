//! JSON-RPC as the reference's clients speak it (`proto/rpc.md`, sections 1, 3 and 4): text in,
//! text out. Nothing here knows a socket; who reads the chain and the pools for a call is the engine.
//!
//! | text | [`read`] gives | what the transport does |
//! | --- | --- | --- |
//! | one request of a known method with a good argument | [`Envelope`] with a [`Call`] | asks the engine, sends [`reply`] |
//! | a method that is none, an argument that is none | [`Envelope`] with the error's text | sends [`reply`] at once |
//! | anything else | [`Unreadable`] | sends [`Unreadable::reply`] and closes |
//!
//! Bounds: whoever hands a text in limits its size; what is made of it is a small multiple of that.
//! Of what comes back, an id has at most [`QUOTED_MAX`] bytes as it was sent, else the request is
//! unreadable, and an error quotes as many.

mod argument;
mod call;
mod envelope;
mod raw;

pub use call::Call;
pub use envelope::{Envelope, Id, Unreadable, read, reply};

/// Bytes of a request that come back: of its id, of its method, of a text that is quoted.
pub const QUOTED_MAX: usize = 4096;
/// Bytes of an error's text; nothing of ours is as long.
const ERROR_MAX: usize = 2 * QUOTED_MAX;
/// Most entries of a page of `Node.List`, fingerprints of `Assets.Get`, peers of a page over HTTPS.
pub const PAGE_MAX: usize = 100;
/// Most steps of a provenance and entries of a page of `Owner.Bitmarks`; more are cut to it.
pub const RECORDS_MAX: usize = 200;

/// The start of a text, at most so many bytes of it.
fn start(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// As much of a text as is quoted.
fn cut(text: &str) -> &str {
    start(text, QUOTED_MAX)
}

/// What of a call's answer only the sockets know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// Open connections of clients, over TCP and HTTPS together.
    pub rpcs: u64,
    /// Peers that are connected to us.
    pub incoming: u64,
}

/// What a call gives: the JSON text of `result`, or the text of `error`.
pub type Outcome = Result<String, String>;
