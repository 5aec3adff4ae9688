//! Whom to connect to: ring positions after this node (`proto/peer.md`, section 6.3).
//!
//! | n | orders of the reference (label:steps) | ours adds |
//! | --- | --- | --- |
//! | 1 | none | |
//! | 2 | N1:1 | |
//! | 3 | N1:1 | |
//! | 4, 5 | N1:1 N3:2 X50:2 | fill:3 |
//! | 6, 7 | N1:1 N3:2 X75:4 | |
//! | 8 and more | N1:1 N3:2 and those of X25 X50 X75 that are not the first or third successor | |
//!
//! Only numbers are dealt with here; who stands at a position is known to the caller.

use std::fmt;

/// Fewer distinct peers than this leave a node in resynchronisation for ever.
pub const DISTINCT_MIN: usize = 3;

/// Why a peer is ordered. It is told in the log and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The next node.
    N1,
    /// Named for the third successor, but always the second.
    N3,
    /// A quarter of the ring away.
    X25,
    /// Half the ring away.
    X50,
    /// Three quarters of the ring away.
    X75,
    /// The third successor, in a small ring.
    Fill,
    /// One of the places kept for configured and longest-proven peers.
    Kept,
}

impl Label {
    /// The text for the log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::N1 => "N1",
            Self::N3 => "N3",
            Self::X25 => "X25",
            Self::X50 => "X50",
            Self::X75 => "X75",
            Self::Fill => "fill",
            Self::Kept => "kept",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The orders of the reference in a ring of `size` nodes, this one included, as steps after it.
/// At most five.
#[must_use]
pub fn reference_orders(size: usize) -> Vec<(Label, usize)> {
    let mut orders = Vec::new();
    if size < 2 {
        return orders;
    }
    orders.push((Label::N1, 1));
    if size < 4 {
        return orders;
    }
    orders.push((Label::N3, 2));
    let (quarter, half) = (size / 4, size / 2);
    // The third successor counts as taken although it is never ordered.
    let mut taken = vec![1, 3];
    for (label, steps) in [
        (Label::X25, quarter),
        (Label::X50, half),
        (Label::X75, half + quarter),
    ] {
        if !taken.contains(&steps) {
            orders.push((label, steps));
        }
        taken.push(steps);
    }
    orders
}

/// Ours: the same, and the third successor where fewer than three distinct peers result although
/// there are as many, so that four or five dynamic nodes reach Normal.
#[must_use]
pub fn orders(size: usize) -> Vec<(Label, usize)> {
    let mut orders = reference_orders(size);
    let mut distinct: Vec<usize> = orders.iter().map(|(_, steps)| *steps).collect();
    distinct.sort_unstable();
    distinct.dedup();
    if size > DISTINCT_MIN && distinct.len() < DISTINCT_MIN {
        orders.push((Label::Fill, 3));
    }
    orders
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn line(orders: &[(Label, usize)]) -> String {
        let words: Vec<String> = orders
            .iter()
            .map(|(label, steps)| format!("{label}:{steps}"))
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_table_of_the_reference_is_reproduced() {
        for (sizes, expected) in [
            (&[0, 1][..], ""),
            (&[2, 3], "N1:1"),
            (&[4, 5], "N1:1 N3:2 X50:2"),
            (&[6, 7], "N1:1 N3:2 X75:4"),
            (&[8, 9], "N1:1 N3:2 X25:2 X50:4 X75:6"),
            (&[10, 11], "N1:1 N3:2 X25:2 X50:5 X75:7"),
            (&[12, 13], "N1:1 N3:2 X50:6 X75:9"),
            (&[16, 17], "N1:1 N3:2 X25:4 X50:8 X75:12"),
        ] {
            for size in sizes {
                assert_eq!(line(&reference_orders(*size)), expected, "{size} nodes");
            }
        }
    }

    #[test]
    fn a_ring_of_four_or_five_gives_three_distinct_peers() {
        assert_eq!(line(&orders(3)), "N1:1");
        assert_eq!(line(&orders(4)), "N1:1 N3:2 X50:2 fill:3");
        assert_eq!(line(&orders(5)), "N1:1 N3:2 X50:2 fill:3");
        for size in 4..200 {
            let orders = orders(size);
            let distinct: BTreeSet<usize> = orders.iter().map(|(_, steps)| *steps).collect();
            assert!(distinct.len() >= DISTINCT_MIN, "{size} nodes");
            assert!(distinct.iter().all(|steps| (1..size).contains(steps)));
            assert!(orders.starts_with(&reference_orders(size)));
        }
    }
}
