//! Records whose signatures are still to be checked, many at a time. How they are spread over
//! threads is up to the shell that lends a [`Checker`]; what it answers never is.

use super::{Record, RecordError};
use crate::core::keys::Account;

/// A record, and who is to have signed it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The record.
    pub record: &'a Record,
    /// Whose signature it needs.
    pub signer: Account,
}

impl Claim<'_> {
    /// Checks the signatures, and nothing else.
    ///
    /// # Errors
    /// As [`Record::pack`].
    pub fn check(&self) -> Result<(), RecordError> {
        self.record.check_signatures(&self.signer)
    }
}

/// Checks claims.
pub trait Checker: std::fmt::Debug + Send + Sync {
    /// The result of [`Claim::check`] for each, in their order.
    fn check(&self, claims: &[Claim<'_>]) -> Vec<Result<(), RecordError>>;

    /// The same; `meanwhile` is done once by this thread, while others may be at the claims already.
    fn check_while(
        &self,
        claims: &[Claim<'_>],
        meanwhile: &mut dyn FnMut(),
    ) -> Vec<Result<(), RecordError>> {
        meanwhile();
        self.check(claims)
    }
}

/// Checks one after the other.
#[derive(Debug, Clone, Copy, Default)]
pub struct InTurn;

impl Checker for InTurn {
    fn check(&self, claims: &[Claim<'_>]) -> Vec<Result<(), RecordError>> {
        claims.iter().map(Claim::check).collect()
    }
}
