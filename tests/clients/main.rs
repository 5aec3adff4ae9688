//! The services for clients over real sockets, with a stand-in for the node behind them: what
//! clients may do to them, and what they have to bear.

mod counted;
mod crowd;
mod https;
mod node;
mod peer;
mod program;
mod rpc;
mod speaker;
mod stage;
