//! Work that many may share: records whose signatures are still to be checked. How it is spread over
//! threads is up to the shell that lends a [`Checker`], or does what is [`Divided`]; what it answers
//! never is.

use std::sync::OnceLock;

use super::{Record, RecordError};
use crate::core::keys::{Account, Verifier};

/// Work that falls into parts, which anybody may do, in any order; whoever needs the outcome of a part
/// that nobody has done does it. What comes out stays in the work itself, at the place of what it came
/// of: nothing can be taken for the outcome of anything else.
pub trait Divided: Send + Sync + 'static {
    /// How many parts there are.
    fn parts(&self) -> usize;

    /// Does one, with a verifier that one alone uses; whether the others are still of use. A part that
    /// is done already, or is none, changes nothing.
    fn part(&self, number: usize, verifier: &mut Verifier) -> bool;
}

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
    pub fn check(&self, verifier: &mut Verifier) -> Result<(), RecordError> {
        self.record.check_signatures(&self.signer, verifier)
    }
}

/// A claim of its own, and what its check gave.
#[derive(Debug)]
struct Own {
    record: Record,
    signer: Account,
    result: OnceLock<Result<(), RecordError>>,
}

impl Own {
    fn result(&self, verifier: &mut Verifier) -> Result<(), RecordError> {
        let claim = Claim {
            record: &self.record,
            signer: self.signer,
        };
        self.result.get_or_init(|| claim.check(verifier)).clone()
    }
}

/// Claims that outlive who made them, each with its result; one part each.
#[derive(Debug)]
pub struct Claims(Vec<Own>);

impl Claims {
    /// Copies of these.
    #[must_use]
    pub fn copied(claims: &[Claim<'_>]) -> Self {
        let own = |claim: &Claim<'_>| Own {
            record: claim.record.clone(),
            signer: claim.signer,
            result: OnceLock::new(),
        };
        Self(claims.iter().map(own).collect())
    }

    /// The result of each in their order; what nobody has checked is checked now.
    pub fn results(&self) -> impl Iterator<Item = Result<(), RecordError>> + '_ {
        let mut verifier = Verifier::default();
        self.0.iter().map(move |own| own.result(&mut verifier))
    }
}

impl Divided for Claims {
    fn parts(&self) -> usize {
        self.0.len()
    }

    fn part(&self, number: usize, verifier: &mut Verifier) -> bool {
        if let Some(own) = self.0.get(number) {
            let _ = own.result(verifier);
        }
        true
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
        let mut verifier = Verifier::default();
        let results = claims.iter().map(|claim| claim.check(&mut verifier));
        results.collect()
    }
}
