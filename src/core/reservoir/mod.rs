//! Unconfirmed state: assets, issues, transfers, proofs, payments (`proto/reservoir.md`).
