//! Whether two stores that hold the same blocks say the same about them: ours, built by the rules,
//! and the indexes that another node had kept (`proto/blocks.md`, sections 7 and 10).
//!
//! The reference's node leaves traces of blocks that it took off, which ours does not
//! (`undo-restores-exactly` in `proto/DEVIATIONS.md`): such a difference is explained. Reading two
//! views alone; entries are read a few at a time.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Ownership, keys};
use crate::core::state::{Entry, Pool, StoreFault, View};

/// The rule of `proto/DEVIATIONS.md` that explains what is explained.
pub const RULE: &str = "undo-restores-exactly";
/// Differences that are kept to be told.
pub const TOLD_MAX: usize = 5;

/// Entries of a pool that are read at a time.
const CHUNK: usize = 256;
/// Blocks that are remembered as taken off with a transfer of a block; more than that no node has
/// seen.
const LEFT_OVER_MAX: usize = 65_536;
/// Bytes of an account in front of a key.
const ACCOUNT_BYTES: usize = 33;

/// The pools that are compared, each with what its entries are called. The ownerships are compared
/// through the pool that finds them: where an account's list has gaps differs after a fork.
const COMPARED: [(Pool, &str); 6] = [
    (Pool::Assets, "assets"),
    (Pool::Transactions, "transactions"),
    (Pool::OwnerDigest, "ownerships"),
    (Pool::OwnerCount, "owners' counts"),
    // Before the payments: what is left over here explains what differs there.
    (Pool::BlockOwnerTxIndex, "owned blocks"),
    (Pool::BlockOwnerPayment, "payment addresses"),
];

/// A difference that no rule explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is about.
    pub what: &'static str,
    /// Its key in the pool.
    pub key: Vec<u8>,
    /// What ours says.
    pub ours: Option<Vec<u8>>,
    /// What the other store says.
    pub theirs: Option<Vec<u8>>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// How many entries were compared, by what they are called.
    pub compared: Vec<(&'static str, u64)>,
    /// Differences that [`RULE`] explains.
    pub explained: u64,
    /// Those that nothing explains.
    pub different: u64,
    /// The first of them, [`TOLD_MAX`] at most.
    pub first: Vec<Difference>,
}

/// Whether a difference follows from blocks that the other node took off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    Same,
    Explained,
    Different,
}

/// Compares what `theirs` says with what `ours` says. Both hold the same blocks up to `height`;
/// `at` hears of each entry.
///
/// # Errors
/// A fault of either store.
pub fn compare(
    ours: &dyn View,
    theirs: &dyn View,
    height: u64,
    at: &mut dyn FnMut(),
) -> Result<Comparison, StoreFault> {
    let mut all = Comparison::default();
    // How many left-over entries name each block.
    let mut left_over = BTreeMap::new();
    for (pool, what) in COMPARED {
        let mut left = Walk::new(ours, pool);
        let mut right = Walk::new(theirs, pool);
        let mut count = 0;
        while let Some((key, one, two)) = next_pair(&mut left, &mut right)? {
            count += 1;
            at();
            let pair = Pair {
                key: &key,
                ours: one.as_deref(),
                theirs: two.as_deref(),
            };
            let judged = match pool {
                Pool::OwnerDigest => pair.ownership(ours, theirs)?,
                Pool::OwnerCount => pair.count(theirs)?,
                Pool::BlockOwnerTxIndex => {
                    let judged = pair.owned_block();
                    if judged == Judged::Explained
                        && left_over.len() < LEFT_OVER_MAX
                        && let Some(number) = two.as_deref().and_then(keys::number)
                    {
                        *left_over.entry(number).or_insert(0_u64) += 1;
                    }
                    judged
                }
                Pool::BlockOwnerPayment => pair.payment(height, &mut left_over),
                _ => pair.same(),
            };
            all.judged(judged, what, key, one, two);
        }
        all.compared.push((what, count));
    }
    for (key, value) in unfound(theirs)? {
        all.judged(Judged::Different, "ownerships", key, None, Some(value));
    }
    Ok(all)
}

impl Comparison {
    fn judged(
        &mut self,
        judged: Judged,
        what: &'static str,
        key: Vec<u8>,
        ours: Option<Vec<u8>>,
        theirs: Option<Vec<u8>>,
    ) {
        match judged {
            Judged::Same => {}
            Judged::Explained => self.explained += 1,
            Judged::Different => {
                self.different += 1;
                if self.first.len() < TOLD_MAX {
                    self.first.push(Difference {
                        what,
                        key,
                        ours,
                        theirs,
                    });
                }
            }
        }
    }
}

/// The entries of a pool in order.
struct Walk<'a> {
    view: &'a dyn View,
    pool: Pool,
    from: Option<Vec<u8>>,
    read: std::vec::IntoIter<Entry>,
    head: Option<Entry>,
}

impl<'a> Walk<'a> {
    fn new(view: &'a dyn View, pool: Pool) -> Self {
        Self {
            view,
            pool,
            from: Some(Vec::new()),
            read: Vec::new().into_iter(),
            head: None,
        }
    }

    fn fill(&mut self) -> Result<(), StoreFault> {
        if self.head.is_some() {
            return Ok(());
        }
        self.head = self.read.next();
        if self.head.is_none()
            && let Some(from) = self.from.take()
        {
            let entries = self.view.scan(self.pool, &[], &from, CHUNK)?;
            self.from = entries
                .last()
                .map(|(key, _)| [key, [0].as_slice()].concat());
            self.read = entries.into_iter();
            self.head = self.read.next();
        }
        Ok(())
    }
}

/// A key with what each of two pools says of it.
type Both = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

/// The next key of either, with both values.
fn next_pair(left: &mut Walk<'_>, right: &mut Walk<'_>) -> Result<Option<Both>, StoreFault> {
    left.fill()?;
    right.fill()?;
    let order = match (&left.head, &right.head) {
        (None, None) => return Ok(None),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some((one, _)), Some((two, _))) => one.cmp(two),
    };
    let one = left.head.take_if(|_| order.is_le());
    let two = right.head.take_if(|_| order.is_ge());
    let key = one.as_ref().or(two.as_ref()).map(|(key, _)| key.clone());
    let value = |entry: Option<Entry>| entry.map(|(_, value)| value);
    Ok(key.map(|key| (key, value(one), value(two))))
}

/// What both say of a key.
#[derive(Clone, Copy)]
struct Pair<'a> {
    key: &'a [u8],
    ours: Option<&'a [u8]>,
    theirs: Option<&'a [u8]>,
}

impl Pair<'_> {
    fn same(self) -> Judged {
        if self.ours == self.theirs {
            Judged::Same
        } else {
            Judged::Different
        }
    }

    fn explained_if(self, is_explained: bool) -> Judged {
        match self.same() {
            Judged::Different if is_explained => Judged::Explained,
            judged => judged,
        }
    }

    /// A count is never lowered, so it is higher where a block was taken off: then the list of the
    /// account lies below it, with a gap for each that it is higher.
    fn count(self, theirs: &dyn View) -> Result<Judged, StoreFault> {
        let number = |value: Option<&[u8]>| match value {
            None => Some(0),
            Some(value) => keys::number(value),
        };
        let [Some(mine), Some(other)] = [self.ours, self.theirs].map(number) else {
            return Ok(self.same());
        };
        if other <= mine {
            return Ok(self.same());
        }
        let (mut held, mut from) = (0_u64, Vec::new());
        loop {
            let entries = theirs.scan(Pool::Ownership, self.key, &from, CHUNK)?;
            let Some((last, _)) = entries.last() else {
                return Ok(self.explained_if(held <= mine));
            };
            from = [last, [0].as_slice()].concat();
            held += entries.len() as u64;
            let is_below = |key: &[u8]| {
                let index = key.get(ACCOUNT_BYTES..).and_then(keys::number);
                index.is_some_and(|index| index < other)
            };
            if held > mine || !entries.iter().all(|(key, _)| is_below(key)) {
                return Ok(Judged::Different);
            }
        }
    }

    /// The entry of a block's transfer stays when its block goes; it names a block.
    fn owned_block(self) -> Judged {
        let names_a_block = self
            .theirs
            .is_some_and(|value| keys::number(value).is_some());
        self.explained_if(self.ours.is_none() && names_a_block)
    }

    /// The addresses of a block stay when it goes, and so do those that a block's transfer had put
    /// in the place of others: each transfer changed one block, below the one that it was in, which
    /// its left-over entry names. The keys come ascending.
    fn payment(self, height: u64, left_over: &mut BTreeMap<u64, u64>) -> Judged {
        let (Some(number), Judged::Different) = (keys::number(self.key), self.same()) else {
            return self.same();
        };
        if self.ours.is_none() {
            return self.explained_if(number > height);
        }
        let above = number.saturating_add(1)..;
        let entry = left_over.range_mut(above).find(|(_, count)| **count > 0);
        match entry.filter(|_| self.theirs.is_some()) {
            Some((_, count)) => {
                *count -= 1;
                Judged::Explained
            }
            None => Judged::Different,
        }
    }

    /// Who holds what, wherever it stands in the list of the account.
    fn ownership(self, ours: &dyn View, theirs: &dyn View) -> Result<Judged, StoreFault> {
        let (Some(one), Some(two)) = (self.ours, self.theirs) else {
            return Ok(Judged::Different);
        };
        let account = self.key.get(..ACCOUNT_BYTES).unwrap_or_default();
        let of = |view: &dyn View, index: &[u8]| {
            let value = view.get(Pool::Ownership, &[account, index].concat())?;
            Ok::<_, StoreFault>(value.as_deref().and_then(Ownership::unpack))
        };
        let (Some(mine), Some(other)) = (of(ours, one)?, of(theirs, two)?) else {
            return Ok(Judged::Different);
        };
        let counts = [ours, theirs].map(|view| view.get(Pool::OwnerCount, account));
        let [my_count, other_count] = counts;
        let other_count = number(other_count?);
        // What is put at the end stands later where the count is higher, and below it.
        let is_later = keys::number(two) >= keys::number(one)
            && keys::number(two).is_some_and(|index| index < other_count);
        let has_gaps = is_later && other_count > number(my_count?);
        let is_moved = one != two;
        if mine == other && !is_moved {
            return Ok(Judged::Same);
        }
        // A transfer that comes back is put at the end, without the block that it was in.
        let without_block = Ownership {
            last_transfer_block: 0,
            ..mine
        };
        let is_alike = mine == other || without_block == other;
        Ok(if is_alike && has_gaps {
            Judged::Explained
        } else {
            Judged::Different
        })
    }
}

fn number(value: Option<Vec<u8>>) -> u64 {
    value.and_then(|value| keys::number(&value)).unwrap_or(0)
}

/// Ownerships of a store that its own other pool does not lead to, a few at most.
fn unfound(view: &dyn View) -> Result<Vec<Entry>, StoreFault> {
    let mut found = Vec::new();
    let mut walk = Walk::new(view, Pool::Ownership);
    loop {
        walk.fill()?;
        let Some((key, value)) = walk.head.take() else {
            return Ok(found);
        };
        let (account, index) = key.split_at_checked(ACCOUNT_BYTES).unwrap_or((&key, &[]));
        let is_led_to = match Ownership::unpack(&value) {
            Some(ownership) => {
                let key = [account, &ownership.last_transfer.0].concat();
                view.get(Pool::OwnerDigest, &key)?.as_deref() == Some(index)
            }
            None => false,
        };
        if !is_led_to && found.len() < TOLD_MAX {
            found.push((key, value));
        }
    }
}

#[cfg(test)]
mod tests;
