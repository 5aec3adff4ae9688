//! Calls of clients against the chain and the pools (`proto/rpc.md`, section 4). What changes
//! something is answered after the flush.

use super::{Effect, Engine, Step};
use crate::core::rpc::{Call, Surroundings};

impl Engine {
    pub(super) fn rpc(
        &mut self,
        step: &mut Step<'_>,
        token: u64,
        call: Call,
        around: Surroundings,
    ) {
        let _ = around;
        let outcome = match call {
            _ => Err(format!("{call:?} is not answered yet")),
        };
        step.after.push(Effect::Rpc(token, outcome));
    }
}
