//! Transaction records (`proto/records.md`, section 5).
