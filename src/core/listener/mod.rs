//! One request in, one reply out: the command dispatcher (`proto/peer.md`, sections 2 and 3).
