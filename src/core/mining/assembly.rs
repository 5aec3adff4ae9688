//! What goes into a block made here, and in which order (`proto/mining.md`, section 4).
//!
//! Invariants of a [`Body`]: foundation first; an asset directly before the first issue that needs
//! it; no record twice; no two transfers of one link; no record that links to another one of the
//! same block; at most as many records and bytes as the rule set allows. What does not fit or can
//! not stand is left out, for a later block. Nothing is verified here: the pool did that.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::block::HEADER_BYTES;
use crate::core::chain::Rules;
use crate::core::id::{AssetId, TxId};
use crate::core::record::merkle;

/// The record in front of every block of one miner; always the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foundation {
    /// Its id as a record (not the id under which the block is owned).
    pub id: TxId,
    /// The packed record.
    pub packed: Vec<u8>,
}

impl Foundation {
    /// Takes the packed record.
    #[must_use]
    pub fn new(packed: Vec<u8>) -> Self {
        Self {
            id: TxId::of(&packed),
            packed,
        }
    }
}

/// What an issue needs of its asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssetNeed {
    /// The record is no issue, or its asset is confirmed.
    None,
    /// The asset is only cached: it goes into the block first.
    Cached {
        /// The asset.
        id: AssetId,
        /// The packed asset record.
        packed: Arc<[u8]>,
    },
    /// Neither cached nor confirmed: the issue must wait.
    Missing,
}

/// A verified record that may go into a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: TxId,
    /// The packed record.
    pub packed: Arc<[u8]>,
    /// The record that a transfer links to.
    pub link: Option<TxId>,
    /// What an issue needs of its asset.
    pub asset: AssetNeed,
}

/// The records of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The packed foundation.
    pub foundation: Vec<u8>,
    /// All packed records behind the foundation, joined.
    pub records: Vec<u8>,
    /// Ids of all records in block order, foundation first.
    pub tx_ids: Vec<TxId>,
    /// Assets that this block confirms, in block order.
    pub asset_ids: Vec<AssetId>,
    /// Root of the tree over the ids.
    pub merkle_root: TxId,
}

impl Body {
    /// How many records, the foundation included.
    #[must_use]
    pub fn transaction_count(&self) -> u16 {
        u16::try_from(self.tx_ids.len()).unwrap_or(u16::MAX)
    }

    /// Length of a block with this body.
    #[must_use]
    pub const fn block_bytes(&self) -> usize {
        HEADER_BYTES + self.foundation.len() + self.records.len()
    }
}

/// Puts the candidates behind the foundation, in the order given. None when no record is left,
/// since a block with a foundation alone is refused everywhere.
#[must_use]
pub fn assemble(rules: &Rules, foundation: &Foundation, candidates: &[Candidate]) -> Option<Body> {
    let mut making = Making {
        body: Body {
            foundation: foundation.packed.clone(),
            records: Vec::new(),
            tx_ids: vec![foundation.id],
            asset_ids: Vec::new(),
            merkle_root: foundation.id,
        },
        ids: BTreeSet::from([foundation.id]),
        links: BTreeSet::new(),
        assets: BTreeSet::new(),
    };
    for candidate in candidates {
        making.add(rules, candidate);
    }
    let mut body = making.body;
    body.merkle_root = merkle::root(&body.tx_ids);
    (body.tx_ids.len() >= usize::from(rules.transactions_min)).then_some(body)
}

struct Making {
    body: Body,
    ids: BTreeSet<TxId>,
    links: BTreeSet<TxId>,
    assets: BTreeSet<AssetId>,
}

impl Making {
    fn add(&mut self, rules: &Rules, candidate: &Candidate) {
        let clashes = self.ids.contains(&candidate.id)
            || self.links.contains(&candidate.id)
            || candidate.link.is_some_and(|link| {
                self.ids.contains(&link) || self.links.contains(&link) || link == candidate.id
            });
        if clashes {
            return;
        }
        let asset = match &candidate.asset {
            AssetNeed::Missing => return,
            AssetNeed::Cached { id, packed } if !self.assets.contains(id) => Some((id, packed)),
            AssetNeed::Cached { .. } | AssetNeed::None => None,
        };
        let records = 1 + usize::from(asset.is_some());
        let bytes = candidate.packed.len() + asset.map_or(0, |(_, packed)| packed.len());
        let fits = self.body.tx_ids.len() + records <= usize::from(rules.transactions_max)
            && self.body.block_bytes() + bytes <= rules.block_bytes_made_max;
        if !fits {
            return;
        }
        if let Some((id, packed)) = asset {
            let tx_id = TxId::of(packed);
            self.assets.insert(*id);
            self.body.asset_ids.push(*id);
            self.put(tx_id, packed);
        }
        self.links.extend(candidate.link);
        self.put(candidate.id, &candidate.packed);
    }

    fn put(&mut self, id: TxId, packed: &[u8]) {
        self.ids.insert(id);
        self.body.tx_ids.push(id);
        self.body.records.extend_from_slice(packed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chain::LOCAL;

    fn foundation() -> Foundation {
        Foundation::new(b"foundation".to_vec())
    }

    fn record(name: &str) -> Candidate {
        Candidate {
            id: TxId::of(name.as_bytes()),
            packed: name.as_bytes().into(),
            link: None,
            asset: AssetNeed::None,
        }
    }

    fn transfer(name: &str, of: &str) -> Candidate {
        Candidate {
            link: Some(TxId::of(of.as_bytes())),
            ..record(name)
        }
    }

    fn issue(name: &str, asset: u8) -> Candidate {
        Candidate {
            asset: AssetNeed::Cached {
                id: AssetId([asset; 64]),
                packed: format!("<asset {asset}>").as_bytes().into(),
            },
            ..record(name)
        }
    }

    fn assembled(candidates: &[Candidate]) -> Body {
        assemble(&LOCAL.rules, &foundation(), candidates).expect("a body")
    }

    #[test]
    fn an_asset_goes_once_and_right_before_its_first_issue() {
        let body = assembled(&[record("a"), issue("i", 1), issue("j", 1), issue("k", 2)]);
        assert_eq!(body.records, b"a<asset 1>ij<asset 2>k");
        assert_eq!(body.asset_ids, [AssetId([1; 64]), AssetId([2; 64])]);
        assert_eq!(body.transaction_count(), 7);
        assert_eq!(body.tx_ids.first(), Some(&foundation().id));
    }

    #[test]
    fn an_issue_without_its_asset_waits() {
        let missing = Candidate {
            asset: AssetNeed::Missing,
            ..record("i")
        };
        assert_eq!(assembled(&[missing.clone(), record("a")]).records, b"a");
        assert_eq!(assemble(&LOCAL.rules, &foundation(), &[missing]), None);
    }

    #[test]
    fn two_transfers_of_one_link_never_share_a_block() {
        let body = assembled(&[transfer("a", "x"), transfer("b", "x"), transfer("c", "y")]);
        assert_eq!(body.records, b"ac");
    }

    #[test]
    fn a_transfer_never_shares_a_block_with_what_it_links_to() {
        let later = assembled(&[record("a"), transfer("b", "a")]);
        assert_eq!(later.records, b"a");
        let earlier = assembled(&[transfer("b", "a"), record("a")]);
        assert_eq!(earlier.records, b"b");
    }

    #[test]
    fn a_record_given_twice_stands_once() {
        assert_eq!(assembled(&[record("a"), record("a")]).records, b"a");
    }

    #[test]
    fn ten_thousand_records_leave_room_for_foundation_and_assets() {
        let many: Vec<_> = (0..12_000)
            .map(|n| {
                let asset = u8::try_from(n % 200).unwrap_or_default();
                issue(&format!("issue {n}"), asset)
            })
            .collect();
        let body = assembled(&many);
        assert_eq!(body.transaction_count(), 10_000);
        assert_eq!(body.asset_ids.len(), 200);
    }

    #[test]
    fn a_block_stays_below_what_peers_accept() {
        let big = |n: usize| Candidate {
            packed: vec![0; 600_000].into(),
            ..record(&format!("big {n}"))
        };
        let many: Vec<_> = (0..20).map(big).chain([record("small")]).collect();
        let body = assembled(&many);
        assert_eq!(body.tx_ids.len(), 1 + 8 + 1, "the small one still fits");
        assert!(body.block_bytes() <= LOCAL.rules.block_bytes_made_max);
        assert!(LOCAL.rules.block_bytes_made_max < LOCAL.rules.message_bytes_max);
    }

    #[test]
    fn an_empty_pool_makes_no_block() {
        assert_eq!(assemble(&LOCAL.rules, &foundation(), &[]), None);
    }
}
