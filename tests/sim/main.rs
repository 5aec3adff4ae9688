//! The simulator: many nodes in one thread, virtual time, one seed for everything. It runs the real
//! machines of `core` behind a network that loses, doubles, delays and cuts, disks that forget what
//! was not flushed, clocks that drift and jump, and parties that lie.
//!
//! `make sim` runs it for some seeds, `make sim SEED=n` repeats one with a trace, `make sim ROUNDS=n`
//! goes on for as many seeds.

mod bare;
mod checks;
mod clients;
mod disk;
mod network;
mod node;
mod plans;
mod records;
mod scenes;
mod scripts;
mod sharing;
mod watch;
mod world;
