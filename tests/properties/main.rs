//! What holds for any input: records (`proto/records.md`, section 5), the confirmed pools over
//! blocks that go in and come off (`proto/blocks.md`, sections 8 and 10), and whole nodes that are
//! shown several branches in any order (section 12).
//!
//! Nothing here opens a socket or reads a clock.

mod branches;
mod node;
mod records;
mod tree;
mod undo;
