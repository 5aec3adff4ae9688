//! What the programs' sub-commands do, one file each. They decide what to ask a node and how to
//! show what it says; what is valid is decided in `core`.

pub mod client;
pub mod daemon;
pub mod recorder;
