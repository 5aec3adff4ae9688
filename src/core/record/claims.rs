//! Work that many may share: records whose signatures are still to be checked. How it is spread over
//! threads is up to the shell that lends a [`Checker`], or [`Outcomes`]; what comes out never is.

use std::fmt::Debug;

use super::{Record, RecordError};
use crate::core::keys::{Account, KeyError, Verifier};

/// Work that falls into parts, which anybody may do, in any order: what comes out of a part follows
/// from the work alone.
pub trait Divided: Debug + Send + Sync + 'static {
    /// What comes out of a part.
    type Outcome: Clone + Debug + Send + Sync;

    /// How many parts there are.
    fn parts(&self) -> usize;

    /// Does one, with a verifier that one alone uses. Of a part that is none nothing good comes out.
    fn part(&self, number: usize, verifier: &mut Verifier) -> Self::Outcome;

    /// Whether the other parts are still of use after this came out of one.
    fn goes_on(&self, outcome: &Self::Outcome) -> bool;
}

/// Divided work together with what came out of it. Others may be at it; whoever needs an outcome that
/// nobody has found yet finds it.
pub trait Outcomes<W: Divided>: Debug + Send + Sync {
    /// The work.
    fn work(&self) -> &W;

    /// What [`Divided::part`] gives, and whether it was found just now and not before.
    fn outcome(&self, number: usize, verifier: &mut Verifier) -> (W::Outcome, bool);
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

/// Claims that outlive who made them; one part each.
#[derive(Debug)]
pub struct Claims(Vec<(Record, Account)>);

impl Claims {
    /// Copies of these.
    #[must_use]
    pub fn copied(claims: &[Claim<'_>]) -> Self {
        let copied = claims.iter();
        Self(copied.map(|one| (one.record.clone(), one.signer)).collect())
    }
}

impl Divided for Claims {
    type Outcome = Result<(), RecordError>;

    fn parts(&self) -> usize {
        self.0.len()
    }

    fn part(&self, number: usize, verifier: &mut Verifier) -> Self::Outcome {
        let (record, signer) = self.0.get(number).ok_or(KeyError::InvalidSignature)?;
        let signer = *signer;
        Claim { record, signer }.check(verifier)
    }

    /// Each is answered.
    fn goes_on(&self, _: &Self::Outcome) -> bool {
        true
    }
}

/// Checks claims.
pub trait Checker: std::fmt::Debug + Send + Sync {
    /// The result of [`Claim::check`] for each, in their order.
    fn check(&self, claims: &[Claim<'_>]) -> Vec<Result<(), RecordError>>;

    /// The same; `meanwhile` is done once by this thread, while others may be at the claims already. It
    /// tells of how many, from the first on, the result is of use: there are no more results.
    fn check_while(
        &self,
        claims: &[Claim<'_>],
        meanwhile: &mut dyn FnMut() -> usize,
    ) -> Vec<Result<(), RecordError>> {
        let useful = meanwhile().min(claims.len());
        self.check(claims.get(..useful).unwrap_or(claims))
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
