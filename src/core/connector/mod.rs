//! The synchronisation state machine (`proto/peer.md`, section 7).
