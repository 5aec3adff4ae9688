//! JSON-RPC over TLS: listeners, handshakes, framing, limits (`proto/rpc.md`, sections 1 and 2).
