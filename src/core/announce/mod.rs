//! Who is out there: peer table, RPC table, expiry, whom to connect to (`proto/peer.md`, section 6).
