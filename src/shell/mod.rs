//! Threads, sockets, files, clock, randomness. Translates, does not decide.

pub mod control;
pub mod counters;
pub mod digest;
pub mod explorer;
pub mod files;
pub mod https;
pub mod logging;
pub mod memory;
pub mod payment;
pub mod rpc;
pub mod signatures;
pub mod store;
pub mod tcp;
pub mod zmq;
