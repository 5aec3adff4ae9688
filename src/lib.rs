//! An independent implementation of the bitmarkd v8.2 peer service.
//!
//! The rings, inwards: programs → [`node`] → [`shell`] → [`core`]. What stands inside knows
//! nothing of what is around it; see `ARCHITECTURE.md`.

pub mod cli;
pub mod core;
pub mod node;
pub mod shell;
