//! Signatures of issues that were checked before their set is taken in: the checks are most of its cost
//! and need nothing else, so that many may share them. What stands here is remembered by id, which is
//! the digest of the whole record, so that it says the same of whatever record has that id.
//!
//! What is not found here is checked when the set is taken in, as ever. Nothing here refuses anything.

use std::collections::BTreeSet;

use super::Reservoir;
use super::confirmed::Confirmed;
use super::peer::unpack_issues;
use crate::core::id::{PayId, TxId};
use crate::core::keys::Account;
use crate::core::record::{BitmarkIssue, Record, RecordError};

/// Issues that are good by themselves, by their ids. Only a check puts one in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked(BTreeSet<TxId>);

impl Checked {
    /// Checks an issue; whether it is good.
    pub fn check(&mut self, issue: &BitmarkIssue) -> bool {
        let owner = issue.owner;
        let packed = Record::BitmarkIssue(issue.clone()).pack(&owner);
        let id = packed.map(|packed| TxId::of(&packed));
        id.is_ok_and(|id| {
            self.0.insert(id);
            true
        })
    }

    /// Those of another one too.
    pub fn join(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What [`Record::pack`] says of an issue of `owner`, with the id.
    pub(super) fn pack(
        &self,
        issue: &Record,
        owner: &Account,
    ) -> Result<(Vec<u8>, TxId), RecordError> {
        if !self.is_empty() {
            let packed = issue.pack_unchecked();
            let id = TxId::of(&packed);
            if self.0.contains(&id) {
                return Ok((packed, id));
            }
        }
        let packed = issue.pack(owner)?;
        let id = TxId::of(&packed);
        Ok((packed, id))
    }
}

impl Reservoir {
    /// The issues of a peer's message whose signatures will be checked when it is taken in: none
    /// where it will be refused before that.
    #[must_use]
    pub fn to_check(&self, data: &[u8], confirmed: &Confirmed<'_>) -> Vec<BitmarkIssue> {
        let chain = confirmed.chain();
        let is_looked_at = self.normal && !self.pools.sets.contains_key(&PayId::of([data]));
        let issues = is_looked_at.then(|| unpack_issues(data, chain.testing).ok());
        let issues = issues.flatten().unwrap_or_default();
        let is_known = |issue: &BitmarkIssue| {
            let asset = &issue.asset_id;
            self.has_cached_asset(asset) || confirmed.has_asset(asset).unwrap_or(false)
        };
        if issues.len() <= chain.rules.issues_max && issues.first().is_some_and(is_known) {
            issues
        } else {
            Vec::new()
        }
    }

    /// What was checked of the input that comes next; what was told before is forgotten.
    pub fn tell_checked(&mut self, checked: Checked) {
        self.checked = checked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::record::samples::issue_record;

    fn issue(nonce: u64) -> BitmarkIssue {
        issue_record("print", nonce)
    }

    #[test]
    fn what_was_checked_is_packed_as_by_a_check_and_nothing_else_passes() {
        let mut checked = Checked::default();
        assert!(checked.check(&issue(1)));
        let mut forged = issue(2);
        forged.signature[3] ^= 1;
        assert!(!checked.check(&forged));
        assert_eq!(checked.len(), 1);
        let pack = |issue: &BitmarkIssue| {
            let record = Record::BitmarkIssue(issue.clone());
            let told = checked.pack(&record, &issue.owner);
            assert_eq!(
                told.clone().map(|(packed, _)| packed),
                record.pack(&issue.owner)
            );
            told.is_ok()
        };
        assert!(pack(&issue(1)));
        assert!(pack(&issue(3)), "it is checked now");
        assert!(!pack(&forged));
        let mut another = issue(1);
        another.signature[3] ^= 1;
        assert!(!pack(&another), "the same but for its signature");
    }
}
