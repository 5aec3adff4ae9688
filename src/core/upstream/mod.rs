//! One outgoing peer: registration, heights, pushes (`proto/peer.md`, section 4).
