//! What the reference has not, beside its protocol and never in its way: each overlay is a machine
//! of its own that speaks under a command of its own (`ARCHITECTURE.md`, "Beside the protocol").

pub mod mempool;
