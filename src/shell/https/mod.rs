//! The reference's HTTPS paths (`proto/rpc.md`, section 5).
