//! Keys, certificates, configuration, peer file, and the names that stand in them.
//!
//! What a file means is decided here or in `core`; nothing here keeps a file open.

pub mod atomic;
pub mod bounded;
pub mod certificate;
pub mod config;
pub mod dns;
pub mod identity;
pub mod moved;
pub mod pidfile;
pub mod ucl;
