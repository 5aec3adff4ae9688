//! Pools that follow a script: a bundle says by its few bytes what it is and what it needs.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::core::id::{AssetId, PayId};

/// An asset.
pub fn asset(number: u8) -> Bundle {
    bundle(Kind::Assets, &[b'a', number, 0])
}

/// Issues of an asset.
pub fn issues(number: u8, of: u8) -> Bundle {
    bundle(Kind::Issues, &[b'i', number, of])
}

/// The proof for issues.
pub fn proof(number: u8) -> Bundle {
    bundle(Kind::Proof, &[b'p', number, 0])
}

/// A transfer; of something confirmed if `link` is 0, else of those issues.
pub fn transfer(number: u8, link: u8) -> Bundle {
    bundle(Kind::Transfer, &[b't', number, link])
}

fn bundle(kind: Kind, payload: &[u8]) -> Bundle {
    let payload = payload.to_vec();
    Bundle { kind, payload }
}

const fn asset_at(number: u8) -> Locator {
    Locator::Assets(AssetId([number; 64]))
}

const fn issues_at(number: u8) -> Locator {
    Locator::Issues(PayId([number; 48]))
}

/// Where a bundle is, if it is one; longer ones are padded.
pub fn locate(bundle: &Bundle) -> Option<Locator> {
    match (bundle.kind, bundle.payload.as_slice()) {
        (Kind::Assets, [b'a', number, ..]) => Some(asset_at(*number)),
        (Kind::Issues, [b'i', number, ..]) => Some(issues_at(*number)),
        (Kind::Transfer, [b't', number, ..]) => Some(Locator::Transfer(PayId([*number; 48]))),
        (Kind::Proof, [b'p', number, ..]) => Some(Locator::Proof(PayId([*number; 48]))),
        _ => None,
    }
}

/// The pools.
#[derive(Debug, Clone)]
pub struct Pool {
    pub held: BTreeMap<Locator, Bundle>,
    pub confirmed: BTreeSet<Locator>,
    /// In the order in which they came.
    pub order: Vec<Locator>,
    pub room: usize,
}

impl Pool {
    pub fn new() -> Self {
        Self {
            held: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            order: Vec::new(),
            room: usize::MAX,
        }
    }

    fn need(&self, bundle: &Bundle) -> Option<Locator> {
        let need = match (bundle.kind, bundle.payload.as_slice()) {
            (Kind::Issues, [_, _, of, ..]) => asset_at(*of),
            (Kind::Proof, [_, of, ..]) => issues_at(*of),
            _ => return None,
        };
        (!self.confirmed.contains(&need)).then_some(need)
    }

    fn waits(&self, bundle: &Bundle) -> bool {
        match (bundle.kind, bundle.payload.as_slice()) {
            (Kind::Transfer, [_, _, link, ..]) => {
                *link != 0 && !self.confirmed.contains(&issues_at(*link))
            }
            _ => self
                .need(bundle)
                .is_some_and(|need| !self.held.contains_key(&need)),
        }
    }

    /// What the pools say to it.
    pub fn offer(&mut self, bundle: &Bundle) -> Verdict {
        let Some(locator) = locate(bundle) else {
            return Verdict::Invalid;
        };
        if self.held.contains_key(&locator) || self.confirmed.contains(&locator) {
            return Verdict::Duplicate;
        }
        if self.waits(bundle) {
            return Verdict::Waits;
        }
        if self.held.len() >= self.room {
            return Verdict::NoRoom;
        }
        self.held.insert(locator, bundle.clone());
        self.order.push(locator);
        Verdict::Accepted
    }

    /// Takes it in whatever it needs.
    pub fn put(&mut self, bundle: &Bundle) -> Locator {
        let locator = locate(bundle).expect("a bundle of the script");
        self.held.insert(locator, bundle.clone());
        self.order.push(locator);
        locator
    }

    pub fn drop(&mut self, locator: &Locator) {
        self.held.remove(locator);
        self.order.retain(|held| held != locator);
    }

    /// A block has it.
    pub fn confirm(&mut self, locator: &Locator) {
        self.drop(locator);
        self.confirmed.insert(*locator);
    }
}

impl Pools for Pool {
    fn payload(&self, locator: &Locator) -> Option<Vec<u8>> {
        self.held.get(locator).map(|bundle| bundle.payload.clone())
    }

    fn needs(&self, locator: &Locator) -> Vec<Locator> {
        let held = self.held.get(locator);
        held.and_then(|bundle| self.need(bundle))
            .into_iter()
            .collect()
    }
}
