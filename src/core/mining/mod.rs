//! Block assembly, work, submissions (`proto/mining.md`), the miner's own state, and the proofs that
//! clients find for issues (`proto/reservoir.md`, section 7).

pub mod assembly;
pub mod machine;
pub mod proof;
pub mod search;
pub mod submission;
pub mod work;

pub use assembly::{AssetNeed, Body, Candidate, Foundation};
pub use machine::{Client, Effect, Input, Mining, Parent, Settings};
pub use work::Job;
