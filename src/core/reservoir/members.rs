//! The records of one set, as close together as they go: their bytes joined in one piece, each asset
//! once. Most of what the pools hold is here, so every byte for each record counts.
//!
//! Plain data: nothing is judged here, and what is asked for and not there is nothing.

use crate::core::id::{AssetId, TxId};

/// A record of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub id: TxId,
    pub packed: &'a [u8],
    /// The asset of an issue.
    pub asset: Option<AssetId>,
    /// It stands in a block already; only members of a verified set can.
    pub confirmed: bool,
}

/// What is kept of one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    id: TxId,
    /// Where its bytes end; they begin where those before it end. A set is far below 4 GiB: messages
    /// and entries of the store are bounded.
    end: u32,
    /// Which of the assets, or [`NO_ASSET`].
    asset: u32,
    confirmed: bool,
}

/// Of a record that is no issue.
const NO_ASSET: u32 = u32::MAX;

/// The records of a set, in the order given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Members {
    bytes: Box<[u8]>,
    /// Each once, in the order in which they are needed.
    assets: Box<[AssetId]>,
    kept: Box<[Kept]>,
}

impl<'a> FromIterator<Member<'a>> for Members {
    fn from_iter<I: IntoIterator<Item = Member<'a>>>(members: I) -> Self {
        let members = members.into_iter();
        let count = members.size_hint().0;
        let (mut bytes, mut assets, mut kept) = (Vec::new(), Vec::new(), Vec::with_capacity(count));
        for member in members {
            if bytes.is_empty() {
                // Those of a set are about as long as each other.
                bytes.reserve(member.packed.len().saturating_mul(count));
            }
            bytes.extend_from_slice(member.packed);
            let asset = member.asset.map(|asset| {
                let known = assets.iter().rposition(|known| *known == asset);
                known.unwrap_or_else(|| {
                    assets.push(asset);
                    assets.len() - 1
                })
            });
            kept.push(Kept {
                id: member.id,
                end: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                asset: asset.map_or(NO_ASSET, |at| u32::try_from(at).unwrap_or(NO_ASSET)),
                confirmed: member.confirmed,
            });
        }
        Self {
            bytes: bytes.into(),
            assets: assets.into(),
            kept: kept.into(),
        }
    }
}

impl Members {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        let mut from = 0;
        self.kept.iter().map(move |kept| {
            let to = usize::try_from(kept.end).unwrap_or(usize::MAX);
            let packed = self.bytes.get(from..to).unwrap_or_default();
            from = to;
            let asset = usize::try_from(kept.asset).ok();
            Member {
                id: kept.id,
                packed,
                asset: asset.and_then(|at| self.assets.get(at)).copied(),
                confirmed: kept.confirmed,
            }
        })
    }

    /// The first one.
    pub fn first(&self) -> Option<Member<'_>> {
        self.iter().next()
    }

    /// The one of this id.
    pub fn find(&self, id: &TxId) -> Option<Member<'_>> {
        self.iter().find(|member| member.id == *id)
    }

    /// Whether one that is still to be confirmed has this id.
    pub fn has_live(&self, id: &TxId) -> bool {
        let mut kept = self.kept.iter();
        kept.any(|kept| kept.id == *id && !kept.confirmed)
    }

    /// Each with its mark of standing in a block, to be changed.
    pub fn marks(&mut self) -> impl Iterator<Item = (&TxId, &mut bool)> {
        self.kept
            .iter_mut()
            .map(|kept| (&kept.id, &mut kept.confirmed))
    }

    /// The bytes of all of them, joined.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(packed: &[u8], asset: Option<u8>, confirmed: bool) -> Member<'_> {
        Member {
            id: TxId::of(packed),
            packed,
            asset: asset.map(|name| AssetId::of(&[name])),
            confirmed,
        }
    }

    #[test]
    fn what_was_put_in_comes_out_in_order_with_its_asset_and_its_mark() {
        let given = [
            member(b"one", Some(1), false),
            member(b"", Some(2), true),
            member(b"three", Some(1), false),
            member(b"four", None, true),
            member(b"one", Some(2), true),
        ];
        let mut members: Members = given.into_iter().collect();
        assert_eq!(members.iter().collect::<Vec<_>>(), given);
        assert_eq!(members.len(), 5);
        assert_eq!(members.first(), Some(given[0]));
        assert_eq!(members.bytes(), b"onethreefourone");
        assert_eq!(members.assets.len(), 2);
        assert_eq!(members.find(&given[3].id), Some(given[3]));
        assert_eq!(members.find(&TxId::of(b"two")), None);
        assert!(members.has_live(&given[0].id) && !members.has_live(&given[3].id));
        for (id, mark) in members.marks() {
            *mark |= *id == given[0].id;
        }
        let marks: Vec<bool> = members.iter().map(|member| member.confirmed).collect();
        assert_eq!(marks, [true, true, false, true, true]);
        assert_eq!(Members::default().first(), None);
    }
}
