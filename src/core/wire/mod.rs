//! Bytes in, bytes out: variable-length integers, cursors, packed connections, texts, JSON.

pub mod connection;
pub mod cursor;
pub mod json;
pub mod quote;
pub mod surrogates;
pub mod text;
pub mod varint;
