//! Currencies, coin addresses, payment maps and amounts (`proto/records.md`, section 7).
