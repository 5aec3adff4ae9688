//! Our programs among those of the public Go project at v8.2, on the chain `local` and loopback:
//! what `proto/INTEROP.md` claims, one test for each row of its table.
//!
//! All of them are ignored unless asked for: they need the folder with the reference's programs in
//! `REFERENCE_BIN`, and take minutes. `make interop` runs them in turn, `make interop ROW=n` one.

mod blocks;
mod chain;
mod clients;
mod launch;
mod life;
mod load;
mod moving;
mod network;
mod partition;
mod payments;
mod published;
mod records;
mod reference;
mod restart;
#[path = "../clients/speaker.rs"]
#[allow(dead_code, reason = "shared with the tests of services for clients")]
mod speaker;
mod stage;
mod wires;
