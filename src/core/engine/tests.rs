//! The node as a whole, without sockets.
