//! Threads, sockets, files, clock, randomness. Translates, does not decide.

pub mod control;
pub mod digest;
pub mod files;
pub mod logging;
pub mod memory;
pub mod store;
pub mod zmq;
