//! Transaction records (`proto/records.md`, section 5).

pub mod merkle;
