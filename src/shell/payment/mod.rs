//! Watchers of currency daemons (`proto/reservoir.md`, sections 13 to 15).
