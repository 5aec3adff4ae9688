//! Sets of issues whose signatures others check before, or while, they are taken in: the checks are most
//! of the cost of a set and need nothing else, so that many may share them. What a check gives belongs
//! to the bytes that it was made of, and is used for these bytes alone.
//!
//! What nobody has checked is checked when it is wanted, as ever. Nothing here refuses anything.

use std::sync::Arc;

use super::confirmed::Confirmed;
use super::error::Refusal;
use super::peer::unpack_issues;
use super::{Reservoir, pools::Pools};
use crate::core::id::{PayId, TxId};
use crate::core::keys::{KeyError, Verifier};
use crate::core::record::{BitmarkIssue, Divided, Outcomes, Record, RecordError};

/// What [`Record::pack`] says of an issue, with its id.
pub(super) type Packed = Result<(Arc<[u8]>, TxId), RecordError>;

/// Sets that others check, and what they found.
pub type Checks = Arc<dyn Outcomes<ToCheck>>;

/// Checks an issue.
pub(super) fn pack(issue: &BitmarkIssue, verifier: &mut Verifier) -> Packed {
    let packed = Record::BitmarkIssue(issue.clone()).pack_with(&issue.owner, verifier)?;
    let id = TxId::of(&packed);
    Ok((packed.into(), id))
}

/// A set as a peer sends it: its bytes, and what they say.
#[derive(Debug)]
pub(super) struct Message {
    data: Vec<u8>,
    pub issues: Vec<BitmarkIssue>,
}

impl Message {
    fn read(data: &[u8], testing: bool) -> Result<Self, Refusal> {
        Ok(Self {
            data: data.to_vec(),
            issues: unpack_issues(data, testing)?,
        })
    }

    /// The digest, which is wanted first, then each issue.
    fn parts(&self) -> usize {
        1 + self.issues.len()
    }
}

/// What comes out of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found(Part);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// The digest of a message. It is the pay id if all is written in the shortest way.
    Digest(PayId),
    Issue(Packed),
}

/// Sets that one input brings, to be checked by whoever has time: each part stands for itself. It ends
/// with the first that is bad.
#[derive(Debug, Default)]
pub struct ToCheck(Vec<Message>);

impl ToCheck {
    /// Those of all of these.
    #[must_use]
    pub fn of(all: impl IntoIterator<Item = Self>) -> Self {
        Self(all.into_iter().flat_map(|one| one.0).collect())
    }

    /// Whether there is nothing to be checked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these are the very same bytes.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let ours = self.0.iter().map(|message| &message.data);
        ours.eq(other.0.iter().map(|message| &message.data))
    }
}

impl Divided for ToCheck {
    type Outcome = Found;

    fn parts(&self) -> usize {
        self.0.iter().map(Message::parts).sum()
    }

    fn part(&self, number: usize, verifier: &mut Verifier) -> Found {
        let mut left = number;
        for message in &self.0 {
            if left == 0 {
                return Found(Part::Digest(PayId::of([message.data.as_slice()])));
            }
            if let Some(issue) = message.issues.get(left - 1) {
                return Found(Part::Issue(pack(issue, verifier)));
            }
            left -= message.parts();
        }
        Found(Part::Issue(Err(KeyError::InvalidSignature.into())))
    }

    fn goes_on(&self, outcome: &Found) -> bool {
        !matches!(outcome, Found(Part::Issue(Err(_))))
    }
}

/// One message among those that others check.
#[derive(Debug)]
pub(super) struct Told<'a> {
    all: &'a dyn Outcomes<ToCheck>,
    pub message: &'a Message,
    /// The number of its first part.
    first: usize,
}

impl<'a> Told<'a> {
    /// What was told of just these bytes.
    pub fn of(all: &'a dyn Outcomes<ToCheck>, data: &[u8]) -> Option<Self> {
        let mut first = 0;
        for message in &all.work().0 {
            if message.data == data {
                return Some(Self {
                    all,
                    message,
                    first,
                });
            }
            first += message.parts();
        }
        None
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> PayId {
        match self.all.outcome(self.first, &mut Verifier::default()).0 {
            Found(Part::Digest(digest)) => digest,
            Found(Part::Issue(_)) => PayId::of([self.message.data.as_slice()]),
        }
    }

    /// What [`pack`] says of an issue of it, and whether it was checked just now.
    pub fn pack(
        &self,
        number: usize,
        issue: &BitmarkIssue,
        verifier: &mut Verifier,
    ) -> (Packed, bool) {
        match self.all.outcome(self.first + 1 + number, verifier) {
            (Found(Part::Issue(packed)), is_now) => (packed, is_now),
            (Found(Part::Digest(_)), _) => (pack(issue, verifier), true),
        }
    }
}

/// The pay id of these records, which came in these bytes with this digest.
pub(super) fn pay_id<'a>(
    packed: impl Iterator<Item = &'a [u8]> + Clone,
    data: &[u8],
    digest: PayId,
) -> PayId {
    let mut rest = data;
    let is_same = packed.clone().all(|record| {
        let left = rest.strip_prefix(record);
        rest = left.unwrap_or_default();
        left.is_some()
    });
    if is_same && rest.is_empty() {
        digest
    } else {
        PayId::of(packed)
    }
}

/// Whether just this set is here already. Its digest is asked for where its first record is here, for
/// it takes longer than all the rest.
fn is_here(pools: &Pools, data: &[u8], testing: bool) -> bool {
    let first = Record::unpack(data, testing).ok();
    let first = first.and_then(|(_, used)| data.get(..used)).map(TxId::of);
    let has_first =
        first.is_some_and(|id| pools.has_member(&id) || pools.confirmed_members.contains_key(&id));
    has_first && pools.sets.contains_key(&PayId::of([data]))
}

impl Reservoir {
    /// The sets in a peer's message whose signatures will be checked when it is taken in: none where
    /// it will be refused before that.
    #[must_use]
    pub fn to_check(&self, data: &[u8], confirmed: &Confirmed<'_>) -> ToCheck {
        let chain = confirmed.chain();
        let is_looked_at = self.normal && !is_here(&self.pools, data, chain.testing);
        let message = is_looked_at.then(|| Message::read(data, chain.testing).ok());
        let is_known = |issue: &BitmarkIssue| {
            let asset = &issue.asset_id;
            self.has_cached_asset(asset) || confirmed.has_asset(asset).unwrap_or(false)
        };
        let is_wanted = |message: &Message| {
            let issues = &message.issues;
            issues.len() <= chain.rules.issues_max && issues.first().is_some_and(is_known)
        };
        let message = message.flatten().filter(is_wanted);
        ToCheck(message.into_iter().collect())
    }

    /// What others check of the input that comes next; what was told before is forgotten.
    pub fn tell_checked(&mut self, checked: Option<Checks>) {
        self.checked = checked;
    }

    /// How many signatures of issues were checked here, not by others before.
    #[must_use]
    pub const fn checked_here(&self) -> u64 {
        self.checked_here
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::record::samples::{self, issue_record};

    fn issue(nonce: u64) -> (BitmarkIssue, Vec<u8>) {
        (issue_record("print", nonce), samples::issue("print", nonce))
    }

    fn forged(nonce: u64) -> Vec<u8> {
        let mut packed = issue(nonce).1;
        *packed.last_mut().unwrap() ^= 1;
        packed
    }

    fn of(all: &[Vec<u8>]) -> ToCheck {
        let read = |data: &Vec<u8>| ToCheck(vec![Message::read(data, true).unwrap()]);
        ToCheck::of(all.iter().map(read))
    }

    /// Work of which everything was found before it is asked for.
    #[derive(Debug)]
    struct Before(ToCheck, Vec<Found>);

    impl Before {
        fn new(work: ToCheck) -> Self {
            let verifier = &mut Verifier::default();
            let all = (0..work.parts()).map(|number| work.part(number, verifier));
            let all = all.collect();
            Self(work, all)
        }
    }

    impl Outcomes<ToCheck> for Before {
        fn work(&self) -> &ToCheck {
            &self.0
        }

        fn outcome(&self, number: usize, _: &mut Verifier) -> (Found, bool) {
            (self.1[number].clone(), false)
        }
    }

    #[test]
    fn what_is_told_of_each_message_is_what_a_check_of_it_says() {
        let mixed = [issue(1).1, forged(2), issue(3).1].concat();
        let all = [issue(4).1, mixed, [issue(5).1, issue(6).1].concat()];
        let before = Before::new(of(&all));
        assert_eq!(before.0.parts(), 2 + 4 + 3);
        let verifier = &mut Verifier::default();
        let mut good = Vec::new();
        for data in &all {
            let told = Told::of(&before, data).unwrap();
            assert_eq!(told.digest(), PayId::of([data.as_slice()]));
            for (number, issue) in told.message.issues.iter().enumerate() {
                let record = Record::BitmarkIssue(issue.clone());
                let expected = record.pack(&issue.owner).map(|packed| {
                    let id = TxId::of(&packed);
                    (packed.into(), id)
                });
                good.push(expected.is_ok());
                assert_eq!(told.pack(number, issue, verifier), (expected, false));
            }
        }
        assert_eq!(good, [true, true, false, true, true, true]);
    }

    #[test]
    fn nothing_is_told_of_any_other_bytes() {
        let data = [issue(1).1, issue(2).1].concat();
        let before = Before::new(of(std::slice::from_ref(&data)));
        for place in [0, 5, 70, 140, data.len() - 1] {
            let mut other = data.clone();
            other[place] ^= 1;
            assert!(Told::of(&before, &other).is_none(), "{place}");
        }
        assert!(Told::of(&before, &data[..data.len() / 2]).is_none());
        assert!(Told::of(&before, &data).is_some());
    }

    #[test]
    fn a_part_that_is_bad_ends_the_work_and_one_that_is_none_is_bad() {
        let work = of(&[issue(1).1, forged(2)]);
        let verifier = &mut Verifier::default();
        let goes_on = |part| work.goes_on(&work.part(part, verifier));
        let goes_on: Vec<bool> = (0..5).map(goes_on).collect();
        assert_eq!(goes_on, [true, true, true, false, false]);
    }

    #[test]
    fn the_pay_id_is_that_of_the_records_however_long_they_were_written() {
        let (_, packed) = issue(1);
        let records = [packed.as_slice()];
        let expected = PayId::of(records);
        assert_eq!(pay_id(records.into_iter(), &packed, expected), expected);
        // The tag in two bytes says the same record; its bytes are others.
        let long = [&[0x83, 0x00], &packed[1..]].concat();
        let read = unpack_issues(&long, true).unwrap();
        assert_eq!(read, [issue(1).0]);
        let digest = PayId::of([long.as_slice()]);
        assert_ne!(digest, expected);
        assert_eq!(pay_id(records.into_iter(), &long, digest), expected);
        // Less than all of it, and more.
        let twice = [records[0], records[0]];
        for (records, data) in [(&twice[..], &packed), (&records[..], &twice.concat())] {
            let digest = PayId::of([data.as_slice()]);
            let found = pay_id(records.iter().copied(), data, digest);
            assert_eq!(found, PayId::of(records.iter().copied()));
        }
    }
}
