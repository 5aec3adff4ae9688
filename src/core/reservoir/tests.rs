//! The pools as a whole.
