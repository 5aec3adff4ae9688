//! Block assembly, work, submissions (`proto/mining.md`).
