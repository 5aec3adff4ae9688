//! The local control socket.
