//! Header, digest, difficulty, genesis, check values (`proto/blocks.md`, sections 2 to 5 and 11).
//!
//! Everything about a block that can be said without the stored state: the ledger says the rest.

pub mod argon2d;
pub mod crc;
pub mod difficulty;
pub mod digest;
pub mod dump;
mod error;
pub mod genesis;
mod header;
mod packed;
pub mod retarget;
mod ring;

pub use crc::crc;
pub use difficulty::{Compact, Target};
pub use digest::{DigestMemory, DigestParams, digest, digest_two};
pub use error::BlockError;
pub use header::{HEADER_BYTES, Header};
pub use packed::foundation_id;
pub use ring::{Recent, Ring};
