//! The merkle tree over the transaction ids of a block (`proto/records.md`, section 6.3).

use crate::core::id::TxId;

fn parents(level: &[TxId]) -> Vec<TxId> {
    level
        .chunks(2)
        .filter_map(|pair| {
            let (left, right) = (pair.first()?, pair.last()?);
            Some(TxId::of(&[left.0, right.0].concat()))
        })
        .collect()
}

/// All levels in order, leaves first, the root last. No leaves: one entry of zeros.
#[must_use]
pub fn tree(leaves: &[TxId]) -> Vec<TxId> {
    if leaves.is_empty() {
        return vec![TxId::default()];
    }
    let mut all = leaves.to_vec();
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
        all.extend_from_slice(&level);
    }
    all
}

/// The root. One leaf is its own root; no leaves give 32 zero bytes, which no block may have.
#[must_use]
pub fn root(leaves: &[TxId]) -> TxId {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
    }
    level.first().copied().unwrap_or_default()
}

/// What stands beside the way from a leaf up to the root, leaves' level first; a node without a
/// neighbour stands beside itself. Nothing when there is no such leaf.
#[must_use]
pub fn path(leaves: &[TxId], index: usize) -> Option<Vec<TxId>> {
    leaves.get(index)?;
    let (mut level, mut at) = (leaves.to_vec(), index);
    let mut beside = Vec::new();
    while level.len() > 1 {
        let own = level.get(at)?;
        beside.push(*level.get(at ^ 1).unwrap_or(own));
        level = parents(&level);
        at /= 2;
    }
    Some(beside)
}

/// The root that a leaf has by its [`path`] in a tree of so many leaves. Nothing when the index is
/// beyond the leaves, the path has another length than the tree is high, or a node without a
/// neighbour is not beside itself: there is one path to each leaf.
#[must_use]
pub fn root_by_path(leaf: &TxId, index: usize, leaves: usize, path: &[TxId]) -> Option<TxId> {
    if index >= leaves {
        return None;
    }
    let (mut node, mut at, mut width) = (*leaf, index, leaves);
    for beside in path {
        if width <= 1 || ((at ^ 1) >= width && *beside != node) {
            return None;
        }
        let pair = if at.is_multiple_of(2) {
            [node.0, beside.0]
        } else {
            [beside.0, node.0]
        };
        node = TxId::of(&pair.concat());
        at /= 2;
        width = width.div_ceil(2);
    }
    (width == 1).then_some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_has_one_path_to_the_root_and_no_other_is_taken() {
        for count in 1..=17_usize {
            let leaves: Vec<TxId> = (0..count).map(|n| TxId::of(&[n as u8])).collect();
            let root = root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let beside = path(&leaves, index).unwrap();
                let by = |index, leaves, path: &[TxId]| root_by_path(leaf, index, leaves, path);
                assert_eq!(by(index, count, &beside), Some(root));
                for other in (0..=count).filter(|other| *other != index) {
                    assert_ne!(by(other, count, &beside), Some(root));
                }
                let longer = [&beside[..], &[root]].concat();
                assert_eq!(by(index, count, &longer), None);
                if let Some((_, shorter)) = beside.split_last() {
                    assert_eq!(by(index, count, shorter), None);
                }
            }
            assert_eq!(path(&leaves, count), None);
        }
    }
}
