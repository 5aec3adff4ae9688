//! The command dispatcher: what a message asks for, and the exact reply (`proto/peer.md`,
//! sections 2 and 3).
//!
//! Nothing here looks anything up or waits: a request is read, somebody answers it, and the reply
//! is built. Bytes from outside are read to the letter and never trusted.

pub mod envelope;
pub mod kept;
pub mod lanes;
pub mod look_up;
pub mod order;
pub mod reply;
pub mod request;

pub use envelope::Envelope;
pub use kept::Kept;
pub use lanes::Lane;
pub use order::{Connection, ReplyOrder, Ticket};
pub use reply::Reply;
pub use request::{Asked, News, RegisterRequest, Request};
