//! Sets of issues whose signatures others check before, or while, they are taken in: the checks are most
//! of the cost of a set and need nothing else, so that many may share them. What a check gives stays
//! with the bytes that it was made of, and is used for these bytes alone.
//!
//! What nobody has checked is checked when it is wanted, as ever. Nothing here refuses anything.

use std::sync::{Arc, OnceLock};

use super::confirmed::Confirmed;
use super::error::Refusal;
use super::peer::unpack_issues;
use super::{Reservoir, pools::Pools};
use crate::core::id::{PayId, TxId};
use crate::core::keys::Verifier;
use crate::core::record::{BitmarkIssue, Divided, Record, RecordError};

/// What [`Record::pack`] says of an issue, with its id.
pub(super) type Packed = Result<(Arc<[u8]>, TxId), RecordError>;

fn pack(issue: &BitmarkIssue, verifier: &mut Verifier) -> Packed {
    let packed = Record::BitmarkIssue(issue.clone()).pack_with(&issue.owner, verifier)?;
    let id = TxId::of(&packed);
    Ok((packed.into(), id))
}

/// An issue, and what its check gave, if it was checked already.
#[derive(Debug)]
pub(super) struct Given {
    issue: BitmarkIssue,
    packed: OnceLock<Packed>,
}

impl Given {
    pub const fn new(issue: BitmarkIssue) -> Self {
        let packed = OnceLock::new();
        Self { issue, packed }
    }

    pub const fn issue(&self) -> &BitmarkIssue {
        &self.issue
    }

    /// Checks it, unless somebody did; the second is whether it was checked now.
    pub fn pack(&self, verifier: &mut Verifier) -> (Packed, bool) {
        let mut is_now = false;
        let packed = self.packed.get_or_init(|| {
            is_now = true;
            pack(&self.issue, verifier)
        });
        (packed.clone(), is_now)
    }
}

/// A set as a peer sends it: its bytes, and what follows from them alone.
#[derive(Debug)]
pub(super) struct Message {
    data: Vec<u8>,
    digest: OnceLock<PayId>,
    pub issues: Vec<Given>,
}

impl Message {
    /// Reads one.
    ///
    /// # Errors
    /// As [`unpack_issues`].
    pub fn read(data: &[u8], testing: bool) -> Result<Self, Refusal> {
        let issues = unpack_issues(data, testing)?;
        Ok(Self {
            data: data.to_vec(),
            digest: OnceLock::new(),
            issues: issues.into_iter().map(Given::new).collect(),
        })
    }

    /// The same, of which the digest is known.
    pub fn of_digest(self, digest: PayId) -> Self {
        Self {
            digest: digest.into(),
            ..self
        }
    }

    /// The digest of its bytes. It is the pay id of its records if they are written in the shortest way.
    pub fn digest(&self) -> PayId {
        *self
            .digest
            .get_or_init(|| PayId::of([self.data.as_slice()]))
    }

    /// The pay id of these records.
    pub fn pay_id<'a>(&self, packed: impl Iterator<Item = &'a [u8]> + Clone) -> PayId {
        let mut rest = self.data.as_slice();
        let is_same = packed.clone().all(|record| {
            let left = rest.strip_prefix(record);
            rest = left.unwrap_or_default();
            left.is_some()
        });
        if is_same && rest.is_empty() {
            self.digest()
        } else {
            PayId::of(packed)
        }
    }

    /// The digest, which is wanted first, then each issue.
    fn parts(&self) -> usize {
        1 + self.issues.len()
    }

    fn part(&self, number: usize, verifier: &mut Verifier) -> bool {
        let Some(index) = number.checked_sub(1) else {
            self.digest();
            return true;
        };
        let given = self.issues.get(index);
        given.is_none_or(|given| given.pack(verifier).0.is_ok())
    }
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

    /// How many issues were checked.
    #[must_use]
    pub fn checked(&self) -> usize {
        let issues = self.0.iter().flat_map(|message| &message.issues);
        issues.filter(|given| given.packed.get().is_some()).count()
    }

    /// What is known of a message.
    pub(super) fn message(&self, data: &[u8]) -> Option<&Message> {
        self.0.iter().find(|message| message.data == data)
    }
}

impl Divided for ToCheck {
    fn parts(&self) -> usize {
        self.0.iter().map(Message::parts).sum()
    }

    fn part(&self, number: usize, verifier: &mut Verifier) -> bool {
        let mut left = number;
        for message in &self.0 {
            match left.checked_sub(message.parts()) {
                Some(behind) => left = behind,
                None => return message.part(left, verifier),
            }
        }
        true
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
        let is_known = |given: &Given| {
            let asset = &given.issue.asset_id;
            self.has_cached_asset(asset) || confirmed.has_asset(asset).unwrap_or(false)
        };
        let is_wanted = |message: &Message| {
            let issues = &message.issues;
            issues.len() <= chain.rules.issues_max && issues.first().is_some_and(is_known)
        };
        let message = message.flatten().filter(is_wanted);
        ToCheck(message.into_iter().collect())
    }

    /// What was checked of the input that comes next; what was told before is forgotten.
    pub fn tell_checked(&mut self, checked: Arc<ToCheck>) {
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

    fn all_parts(work: &ToCheck) {
        let mut verifier = Verifier::default();
        for number in 0..work.parts() {
            work.part(number, &mut verifier);
        }
    }

    #[test]
    fn what_was_checked_is_packed_as_by_a_check_and_is_not_checked_again() {
        let mut forged = issue(2).1;
        let last = forged.len() - 1;
        forged[last] ^= 1;
        let data = [issue(1).1, forged, issue(3).1].concat();
        let work = ToCheck(vec![Message::read(&data, true).unwrap()]);
        assert_eq!((work.parts(), work.checked()), (4, 0));
        all_parts(&work);
        assert_eq!(work.checked(), 3);
        let message = work.message(&data).unwrap();
        let verifier = &mut Verifier::default();
        for given in &message.issues {
            let record = Record::BitmarkIssue(given.issue.clone());
            let expected = record.pack(&given.issue.owner).map(|packed| {
                let id = TxId::of(&packed);
                (packed.into(), id)
            });
            assert_eq!(given.pack(verifier), (expected, false));
        }
        assert_eq!(
            given_results(message),
            [true, false, true],
            "the second is forged"
        );
    }

    fn given_results(message: &Message) -> Vec<bool> {
        let verifier = &mut Verifier::default();
        let issues = message.issues.iter();
        issues.map(|given| given.pack(verifier).0.is_ok()).collect()
    }

    #[test]
    fn nothing_is_known_of_any_other_bytes() {
        let data = [issue(1).1, issue(2).1].concat();
        let work = ToCheck(vec![Message::read(&data, true).unwrap()]);
        all_parts(&work);
        for place in [0, 5, 70, 140, data.len() - 1] {
            let mut other = data.clone();
            other[place] ^= 1;
            assert!(work.message(&other).is_none(), "{place}");
        }
        assert!(work.message(&data[..data.len() / 2]).is_none());
        assert!(work.message(&data).is_some());
    }

    #[test]
    fn a_part_that_is_bad_ends_the_work_and_one_that_is_none_does_nothing() {
        let mut forged = issue(2).1;
        let last = forged.len() - 1;
        forged[last] ^= 1;
        let one = |data: &[u8]| ToCheck(vec![Message::read(data, true).unwrap()]);
        let work = ToCheck::of([one(&issue(1).1), one(&forged)]);
        let verifier = &mut Verifier::default();
        let goes_on: Vec<bool> = (0..6).map(|part| work.part(part, verifier)).collect();
        assert_eq!(goes_on, [true, true, true, false, true, true]);
    }

    #[test]
    fn the_pay_id_is_that_of_the_records_however_long_they_were_written() {
        let (_, packed) = issue(1);
        let message = Message::read(&packed, true).unwrap();
        let records = [packed.as_slice()];
        assert_eq!(message.pay_id(records.into_iter()), PayId::of(records));
        // The tag in two bytes says the same record; its bytes are others.
        let long = [&[0x83, 0x00], &packed[1..]].concat();
        let message = Message::read(&long, true).unwrap();
        assert_eq!(message.pay_id(records.into_iter()), PayId::of(records));
        assert_ne!(message.digest(), PayId::of(records));
    }
}
