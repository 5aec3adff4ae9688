//! The machine by itself and in company. Each file is one idea.

mod behaviours;
mod byzantine;
mod codec;
mod inbound;
mod limits;
mod order;
mod outbound;
mod plain;
mod pool;
mod pulls;
mod quirks;
mod random;
mod rig;
mod world;

use super::wire::*;
use super::*;
use pool::{Pool, asset, issues, proof, transfer};
use rig::{Rig, key};
