//! One simulated node: the real engine on a simulated disk, behind a shell that performs as the
//! running node's does. A crash takes everything but the disk.

use std::collections::{BTreeMap, BTreeSet};

use bitmarkd::core::block::HEADER_BYTES;
use bitmarkd::core::chain::{Chain, LOCAL};
use bitmarkd::core::currency::{Currency, Payments, address};
use bitmarkd::core::engine::{self, Engine, Settings, SocketId, StaticPeer};
use bitmarkd::core::id::{BlockDigest, TxId};
use bitmarkd::core::keys::{PeerPublicKey, PrivateKey};
use bitmarkd::core::mining::assembly::Foundation;
use bitmarkd::core::mining::machine as mining;
use bitmarkd::core::overlay::mempool;
use bitmarkd::core::record::{self, BlockFoundation, Record};
use bitmarkd::core::reservoir::{Caps, Confirmed, Status};
use bitmarkd::core::time::{Millis, Now};
use bitmarkd::core::timing::Timing;
use bitmarkd::core::wire::connection::{Connection, pack_list};
use bitmarkd::core::{announce, upstream};
use sha3::{Digest as _, Sha3_256};

use crate::disk::Disk;

/// The wall clock when the simulation begins.
pub const WALL: u64 = 1_600_000_000;
/// What a block digest takes.
pub const DIGEST_MS: Millis = 500;

/// The chain of the simulation: `local`, with proofs that clients find at once.
pub fn chain() -> &'static Chain {
    Box::leak(Box::new(Chain {
        name: LOCAL.name,
        testing: LOCAL.testing,
        genesis: LOCAL.genesis,
        genesis_digest: LOCAL.genesis_digest,
        genesis_crc: LOCAL.genesis_crc,
        genesis_timestamp: LOCAL.genesis_timestamp,
        digest: LOCAL.digest,
        issue_base: 0.125,
        work_interval_ms: LOCAL.work_interval_ms,
        dns_domain: LOCAL.dns_domain,
        simulated_payments: LOCAL.simulated_payments,
        rules: LOCAL.rules.clone(),
    }))
}

/// Where a party listens.
pub fn address_of(party: usize) -> Connection {
    Connection::from_text(&format!("127.0.0.1:{}", 10_000 + party)).unwrap()
}

/// Who listens there.
pub fn party_at(address: &Connection) -> Option<usize> {
    usize::from(address.port()).checked_sub(10_000)
}

/// The key of a party.
pub fn key_of(party: usize) -> PeerPublicKey {
    PeerPublicKey(Sha3_256::digest(format!("party {party}")).into())
}

/// A digest for next to nothing. It meets the lowest difficulty unless the nonce says that nobody
/// worked for it.
pub fn cheap_digest(header: &[u8; HEADER_BYTES]) -> BlockDigest {
    let mut digest: [u8; 32] = Sha3_256::digest(header).into();
    // The nonce ends the header, its highest byte last.
    if header[HEADER_BYTES - 1] == NO_WORK {
        digest = [0xff; 32];
    } else {
        digest[..2].fill(0);
        digest[30..].fill(0);
    }
    BlockDigest(digest)
}

/// The last byte of a nonce without work behind it.
pub const NO_WORK: u8 = 0xee;

/// How a node of a scene differs from others.
#[derive(Debug, Clone)]
pub struct Plan {
    pub connect: Vec<usize>,
    pub subscribe: Vec<usize>,
    pub bootstrap: Vec<usize>,
    pub dynamic: bool,
    pub timing: Timing,
    pub mempool: mempool::Settings,
    pub caps: Caps,
}

/// A socket that goes out.
#[derive(Debug, Clone, Copy)]
pub struct Socket {
    pub party: usize,
    pub key: PeerPublicKey,
    /// The request that is open.
    pub open: Option<u64>,
}

/// Who waits for a reply.
#[derive(Debug, Clone, Copy)]
pub enum Waiter {
    /// A socket of another party, and the number of its request.
    Party {
        party: usize,
        life: u64,
        socket: SocketId,
        number: u64,
    },
    /// A client of the simulation.
    Client(u64),
}

#[derive(Debug)]
pub struct SimNode {
    pub plan: Plan,
    pub settings: Settings,
    pub disk: Disk,
    pub engine: Option<Engine>,
    /// Starts so far: what was for an earlier one does not arrive.
    pub life: u64,
    booted: Millis,
    /// Seconds that the wall clock is off.
    pub clock_off: i64,
    /// Parts in a million that both clocks run fast.
    pub drift: i64,
    pub sockets: BTreeMap<SocketId, Socket>,
    pub tickets: BTreeMap<u64, Waiter>,
    pub next_ticket: u64,
    pub digest_free: Millis,
    /// It crashes after so many more changes of its store.
    pub crash_at_commit: Option<u32>,
    pub wake: Option<Millis>,
    pub work: Option<String>,
    pub banned: BTreeSet<PeerPublicKey>,
    /// What it has acknowledged to clients.
    pub promised: BTreeSet<TxId>,
    /// Since when it has strangers alone as peers.
    pub encircled: Option<Millis>,
    pub checked_height: u64,
    pub checked_tip: BlockDigest,
    /// Since when its tip is that one.
    pub tip_since: Millis,
    /// Steps at one moment: too many are a livelock.
    pub busy: (Millis, u32),
}

fn foundation(chain: &'static Chain, index: usize) -> Foundation {
    let key =
        PrivateKey::from_ed25519_seed(&Sha3_256::digest(format!("miner {index}")).into(), true);
    let byte = u8::try_from(index).unwrap();
    let coin = |currency| (currency, address::encode(111, &[byte; 20]).into_bytes());
    let mut foundation = Record::BlockFoundation(BlockFoundation {
        version: chain.rules.foundation_version,
        payments: Payments([coin(Currency::Bitcoin), coin(Currency::Litecoin)].into()),
        owner: key.account().unwrap(),
        nonce: chain.rules.foundation_nonce,
        signature: Vec::new(),
    });
    Foundation::new(record::sign(&mut foundation, &key).unwrap())
}

impl SimNode {
    pub fn new(chain: &'static Chain, index: usize, plan: Plan, seed: u64) -> Self {
        let own = key_of(index);
        let peers = |list: &[usize]| -> Vec<StaticPeer> {
            list.iter()
                .map(|party| StaticPeer {
                    key: key_of(*party),
                    address: address_of(*party),
                })
                .collect()
        };
        let connect = peers(&plan.connect);
        let listeners = pack_list([&address_of(index)]);
        let settings = Settings {
            chain,
            announce: announce::Setup {
                key: own.0,
                listeners: listeners.clone(),
                rpc: None,
                configured: connect.iter().map(|peer| peer.key.0).collect(),
                prefer_ipv6: false,
            },
            own: upstream::Own {
                key: own,
                listeners,
            },
            subscribe: peers(&plan.subscribe),
            connect,
            dynamic_connections: plan.dynamic,
            caps: plan.caps,
            timing: engine::Timing::from(&plan.timing),
            mempool: plan.mempool,
            mining: Some(mining::Settings::of_chain(chain, foundation(chain, index))),
            seed: Sha3_256::digest(format!("seed {seed} of node {index}")).into(),
        };
        Self {
            plan,
            settings,
            disk: Disk::default(),
            engine: None,
            life: 0,
            booted: 0,
            clock_off: 0,
            drift: 0,
            sockets: BTreeMap::new(),
            tickets: BTreeMap::new(),
            next_ticket: 1,
            digest_free: 0,
            crash_at_commit: None,
            wake: None,
            work: None,
            banned: BTreeSet::new(),
            promised: BTreeSet::new(),
            encircled: None,
            checked_height: 0,
            checked_tip: BlockDigest([0; 32]),
            tip_since: 0,
            busy: (0, 0),
        }
    }

    pub const fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    /// Its clocks at this moment of the simulation.
    pub fn now(&self, at: Millis) -> Now {
        let stretched = |ms: Millis| {
            let more = i128::from(ms) * i128::from(self.drift) / 1_000_000;
            u64::try_from(i128::from(ms) + more).unwrap()
        };
        Now {
            mono: stretched(at - self.booted),
            wall: (WALL + stretched(at) / 1000).saturating_add_signed(self.clock_off),
        }
    }

    /// The moment of the simulation at which its clock shows this.
    pub fn moment(&self, mono: Millis) -> Millis {
        let shrunk = u128::from(mono) * 1_000_000 / u128::try_from(1_000_000 + self.drift).unwrap();
        self.booted
            .saturating_add(u64::try_from(shrunk).unwrap_or(u64::MAX / 2))
            .saturating_add(u64::from(self.drift != 0))
    }

    /// Begins a life on what the disk has.
    pub fn boot(&mut self, at: Millis) -> Vec<engine::Effect> {
        assert!(self.engine.is_none());
        self.life += 1;
        self.booted = at;
        self.wake = None;
        self.digest_free = at;
        let now = self.now(at);
        let mut settings = self.settings.clone();
        settings.seed[31] ^= u8::try_from(self.life % 256).unwrap();
        let (mut engine, first) =
            Engine::new(now, settings, &self.disk.seen).expect("the disk can be read");
        let number = self.disk.apply(first);
        self.disk.flush(number);
        self.banned = engine.banned().map(|(key, _)| key).collect();
        let mut out = Vec::new();
        engine.start(now, &self.disk.seen, &mut out);
        for party in &self.plan.bootstrap {
            let listeners = pack_list([&address_of(*party)]);
            let known = engine::Input::Bootstrap(key_of(*party).0, listeners, 0);
            engine.step(now, known, &self.disk.seen, &mut out);
        }
        self.engine = Some(engine);
        out
    }

    /// Everything in memory is gone.
    pub fn end(&mut self) {
        self.engine = None;
        self.sockets.clear();
        self.tickets.clear();
        self.work = None;
        self.wake = None;
        self.encircled = None;
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it is up")
    }

    pub fn is_normal(&self) -> bool {
        self.engine.as_ref().is_some_and(|e| e.status().normal)
    }

    pub fn height(&self) -> u64 {
        self.engine.as_ref().map_or(0, |e| e.status().height)
    }

    /// Where a record is, as its clients are told.
    pub fn status(&self, id: &TxId) -> Status {
        let engine = self.engine();
        let confirmed = Confirmed {
            view: &self.disk.seen,
            ledger: engine.ledger(),
        };
        engine.reservoir().status(id, &confirmed).unwrap()
    }
}
