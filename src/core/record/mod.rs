//! Transaction records (`proto/records.md`, section 5).
//!
//! A record comes in as bytes and is unpacked; it is *verified* by packing it again, which checks
//! every rule and gives the canonical bytes. Nothing here knows the stored state: who the signer
//! of a transfer is, the caller says.

mod claims;
mod draft;
mod error;
mod json;
pub mod merkle;
pub mod metadata;
mod pack;
#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;
mod types;
mod unpack;

pub use claims::{Checker, Claim, Claims, Divided, InTurn, Outcomes};
pub use draft::Draft;
pub use error::RecordError;
pub use pack::{Unsigned, sign, sign_by_both, sign_first, sign_second};
pub use types::{
    AssetData, BaseData, BitmarkIssue, BitmarkTransferCountersigned, BitmarkTransferUnratified,
    BlockFoundation, BlockOwnerTransfer, Record,
};
