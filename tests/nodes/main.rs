//! Whole nodes over real sockets: one file a promise to the user.

mod agree;
#[path = "../shared/branch.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod branch;
mod carriers;
mod catch_up;
mod confirm;
mod damage;
mod dynamic;
mod families;
mod liar;
mod payment;
mod relay;
mod restart;
mod share;
mod snapshot;
#[allow(dead_code, reason = "shared with the hostile tests")]
mod stage;
mod subscribe;
mod title;
mod wire;
