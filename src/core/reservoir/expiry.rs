//! What ends by time (`proto/reservoir.md`, sections 3, 4 and 19). A set goes as one unit with
//! its link and its index; an asset that has outlived its time goes with the last set that uses
//! it, and a transfer that came back from a block with what it follows. Ordered by deadline, so a sweep touches what it removes and nothing else.

use super::confirmed::Confirmed;
use super::pools::{Key, Lapsing};
use super::{ASSET_LIFE_S, LIFE_S, Reservoir, relay};
use crate::core::time::Millis;

/// How often the pools are swept by default.
pub const SWEEP_MS: Millis = 5 * 60 * 1000;
/// Most that one step removes; the rest follows soon.
const REMOVALS_MAX: usize = 5_000;
/// How soon.
const REST_MS: Millis = 100;

impl Reservoir {
    pub(super) fn on_wake(&mut self, confirmed: &Confirmed<'_>) {
        if self.mono >= self.next_sweep {
            let rest = if std::mem::take(&mut self.pause) {
                false
            } else {
                self.follow_clock();
                self.sweep(confirmed)
            };
            let wait = if rest { REST_MS } else { self.sweep_ms };
            self.next_sweep = self.mono.saturating_add(wait);
        }
        if self.normal {
            for pay_id in self.relay.due(self.mono) {
                let messages = self
                    .pools
                    .sets
                    .get(&pay_id)
                    .map(|set| relay::messages(&pay_id, set, &self.pools.assets));
                for (command, data) in messages.unwrap_or_default() {
                    self.send(command, data);
                }
            }
        }
    }

    /// Follows a clock that is still far ahead. What came since then was given its life by the
    /// other time.
    fn follow_clock(&mut self) {
        let Some((since, jump)) = self.clock.follow() else {
            return;
        };
        self.time = self.clock.at(self.mono);
        for (list, life) in [
            (Lapsing::Set, LIFE_S),
            (Lapsing::UnusedAsset, ASSET_LIFE_S),
            (Lapsing::Orphan, LIFE_S),
        ] {
            let from = since.saturating_add(life);
            for key in self.pools.lapsing_from(list, from) {
                self.pools.lengthen(&key, jump);
            }
        }
    }

    /// Removes what has lapsed; whether something is left.
    fn sweep(&mut self, confirmed: &Confirmed<'_>) -> bool {
        let mut left = REMOVALS_MAX;
        for list in [Lapsing::Set, Lapsing::UnusedAsset, Lapsing::Orphan] {
            while let Some((deadline, key)) = self.pools.next_lapse(list) {
                if deadline > self.time {
                    break;
                }
                if left == 0 {
                    return true;
                }
                left -= 1;
                self.expired = self.expired.saturating_add(1);
                match key {
                    Key::Asset(id) => {
                        self.pools.take_asset(&id);
                    }
                    Key::Set(pay_id) => self.drop_set(&pay_id, confirmed),
                    Key::Orphan(pay_id) => {
                        self.pools.take_orphan(&pay_id);
                    }
                    Key::Settled(_) => break,
                }
            }
        }
        false
    }
}
