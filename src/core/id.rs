//! Identifiers and digests with their text forms (`proto/records.md`, section 6).
