//! Moving over from the reference's node: the built program takes what such a node left, in folders
//! of its own and without any network. Stores are written by another implementation of LevelDB.

#[path = "../shared/branch.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod branch;
mod chain;
#[path = "../nodes/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of whole nodes")]
mod nodes;
mod parts;
mod reference;
mod snapshot;
mod stage;
