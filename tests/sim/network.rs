//! Who hears whom, how late, and what gets lost: decided by the seed alone. Parties are numbers.

use std::collections::{BTreeMap, BTreeSet};

use bitmarkd::core::time::Millis;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

/// How messages fare. Chances are in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Shortest and longest way.
    pub latency_ms: (Millis, Millis),
    /// Lost on the way.
    pub loss: u32,
    /// Arrives twice.
    pub duplicate: u32,
    /// Takes up to `late_ms` more, so that later ones overtake it.
    pub late: u32,
    /// At most how much more.
    pub late_ms: Millis,
}

impl Weather {
    /// Nothing is lost.
    pub const FAIR: Self = Self {
        latency_ms: (1, 20),
        loss: 0,
        duplicate: 0,
        late: 0,
        late_ms: 0,
    };
}

/// The network between parties.
#[derive(Debug, Clone)]
pub struct Network {
    pub weather: Weather,
    /// From, to: nothing gets through.
    blocked: BTreeSet<(usize, usize)>,
    /// Parties to and from which everything takes so much longer.
    pub slow: BTreeMap<usize, Millis>,
    pub lost: u64,
    pub carried: u64,
}

impl Network {
    pub const fn new(weather: Weather) -> Self {
        Self {
            weather,
            blocked: BTreeSet::new(),
            slow: BTreeMap::new(),
            lost: 0,
            carried: 0,
        }
    }

    /// Nothing gets from one to the other any more; the way back may be open.
    pub fn block(&mut self, from: usize, to: usize) {
        self.blocked.insert((from, to));
    }

    /// All ways are open.
    pub fn heal(&mut self) {
        self.blocked.clear();
    }

    pub fn is_open(&self, from: usize, to: usize) -> bool {
        !self.blocked.contains(&(from, to))
    }

    /// The delays after which copies of a message arrive; none if it is lost.
    pub fn carry(&mut self, from: usize, to: usize, random: &mut ChaCha8Rng) -> Vec<Millis> {
        let weather = self.weather;
        if !self.is_open(from, to) || random.gen_ratio(weather.loss, 1000) {
            self.lost += 1;
            return Vec::new();
        }
        let copies = 1 + usize::from(random.gen_ratio(weather.duplicate, 1000));
        self.carried += 1;
        let slow = |party| self.slow.get(&party).copied().unwrap_or_default();
        let more = slow(from) + slow(to);
        (0..copies)
            .map(|_| {
                let (shortest, longest) = weather.latency_ms;
                let mut delay = more + random.gen_range(shortest..=longest);
                if random.gen_ratio(weather.late, 1000) {
                    delay += random.gen_range(0..=weather.late_ms);
                }
                delay
            })
            .collect()
    }
}
