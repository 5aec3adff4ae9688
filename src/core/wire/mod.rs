//! Bytes in, bytes out: variable-length integers, cursors, packed connections, quoting.

pub mod connection;
pub mod cursor;
pub mod varint;
