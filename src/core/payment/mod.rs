//! Looking for payments in the chains of coins (`proto/reservoir.md`, sections 13 to 15): which
//! blocks of a daemon are looked at, in what order. What a payment is says
//! [`crate::core::reservoir::detection`]; who asks the daemon is a shell.

mod answers;
pub mod scan;

pub use answers::BLOCK_TRANSACTIONS_MAX;
pub use scan::{Failure, Next, Scan, Timing};
