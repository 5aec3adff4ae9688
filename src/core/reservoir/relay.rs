//! Telling the others again what waits (`proto/reservoir.md`, section 10): each set once in the
//! interval after it came, so that the work is spread as the arrivals were. Useless proofs of sets
//! that were paid for are not sent.

use super::{Kind, Reservoir, State, Verified};
use crate::core::id::PayId;
use crate::core::time::{Millis, Now};

/// A message to broadcast: command and parameter.
pub type Broadcast = (&'static str, Vec<u8>);

impl Reservoir {
    /// When the next set is due.
    #[must_use]
    pub fn next_broadcast(&self) -> Option<Millis> {
        self.broadcasts.first().map(|(at, _)| *at)
    }

    /// The messages of at most `most` sets that are due.
    pub fn due_broadcasts(&mut self, now: Now, most: usize) -> Vec<Broadcast> {
        let due: Vec<(Millis, PayId)> = self
            .broadcasts
            .iter()
            .take_while(|(at, _)| *at <= now.mono)
            .take(most)
            .copied()
            .collect();
        let mut messages = Vec::new();
        for (at, pay_id) in due {
            self.broadcasts.remove(&(at, pay_id));
            let Some(set) = self.sets.get_mut(&pay_id) else {
                continue;
            };
            set.next_broadcast = now.mono.saturating_add(self.rebroadcast_ms.max(1));
            self.broadcasts.insert((set.next_broadcast, pay_id));
            messages.extend(self.messages_of(&pay_id));
        }
        messages
    }

    /// What brings a set to a node that does not know it.
    #[must_use]
    pub fn messages_of(&self, pay_id: &PayId) -> Vec<Broadcast> {
        let Some(set) = self.sets.get(pay_id) else {
            return Vec::new();
        };
        let packed: Vec<u8> = set.members.iter().flat_map(|m| m.packed.to_vec()).collect();
        let Kind::Issues { assets } = &set.kind else {
            return vec![("transfer", packed)];
        };
        let mut messages = Vec::new();
        let cached: Vec<u8> = assets
            .iter()
            .filter_map(|id| self.assets.get(id))
            .flat_map(|asset| asset.packed.to_vec())
            .collect();
        if !cached.is_empty() {
            messages.push(("assets", cached));
        }
        messages.push(("issues", packed));
        if let State::Verified(Verified::Proof(nonce)) = &set.state {
            let proof = [pay_id.0.as_slice(), nonce.as_bytes()].concat();
            messages.push(("proof", proof));
        }
        messages
    }
}
