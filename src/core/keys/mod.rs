//! Accounts, private keys, seeds, signatures, peer keys (`proto/records.md`, section 4).
