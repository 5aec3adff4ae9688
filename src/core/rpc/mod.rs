//! JSON-RPC as the reference's clients speak it (`proto/rpc.md`, sections 1, 3 and 4): text in,
//! text out. Nothing here knows a socket; who reads the chain and the pools for a call is the engine.

/// What a client asks, read and checked as far as it can be without the node.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `Node.Info`
    NodeInfo,
}

/// What of a call's answer only the sockets know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// Open connections of clients, over TCP and HTTPS together.
    pub rpcs: u64,
    /// Peers that are connected to us.
    pub incoming: u64,
}

/// What a call gives: the JSON text of `result`, or the text of `error`.
pub type Outcome = Result<String, String>;
