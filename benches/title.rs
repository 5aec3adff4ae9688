//! A proof of title out of 100,000 blocks (`BLOCKS=…`: of so many): how long the engine is held up
//! by one piece of it, and by all of it at once. Then the same to one of 5,000 records of a block.

use std::time::{Duration, Instant};

use bitmarkd::core::block::{Compact, Header};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::currency::{Currency, Payments, address};
use bitmarkd::core::id::{AssetId, BlockDigest, TxId};
use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::ledger::Ledger;
use bitmarkd::core::record::{AssetData, BitmarkIssue, BlockFoundation, Record, merkle, sign};
use bitmarkd::core::title::{self, Making};
use bitmarkd::shell::store::Store;

const NOW: u64 = 1_700_000_000;
const PRINT: &[u8] = b"01fingerprint";
const CROWD: u64 = 5_000;

fn signed(mut record: Record, key: &PrivateKey) -> Vec<u8> {
    sign(&mut record, key).expect("it is signed")
}

struct World {
    store: Store,
    ledger: Ledger,
    key: PrivateKey,
    foundation: Vec<u8>,
}

impl World {
    fn new(store: Store) -> Self {
        let key = PrivateKey::from_ed25519_seed(&[1; 32], true);
        let owner = key.account().expect("an account");
        let coin = |currency| (currency, address::encode(111, &[7; 20]).into_bytes());
        let payments = Payments([coin(Currency::Bitcoin), coin(Currency::Litecoin)].into());
        let foundation = Record::BlockFoundation(BlockFoundation {
            version: 1,
            payments,
            owner,
            nonce: 1234,
            signature: Vec::new(),
        });
        Self {
            foundation: signed(foundation, &key),
            ledger: Ledger::empty(&DEVNET),
            store,
            key,
        }
    }

    fn asset(&self) -> Vec<u8> {
        let asset = Record::AssetData(AssetData {
            name: b"a house".to_vec(),
            fingerprint: PRINT.to_vec(),
            metadata: Vec::new(),
            registrant: self.key.account().expect("an account"),
            signature: Vec::new(),
        });
        signed(asset, &self.key)
    }

    fn issue(&self, nonce: u64) -> Vec<u8> {
        let issue = Record::BitmarkIssue(BitmarkIssue {
            asset_id: AssetId::of(PRINT),
            owner: self.key.account().expect("an account"),
            nonce,
            signature: Vec::new(),
        });
        signed(issue, &self.key)
    }

    /// A block with these records. Its digest is no real one: that costs hours, and is not asked for.
    fn block(&mut self, records: Vec<Vec<u8>>) {
        let all: Vec<Vec<u8>> = std::iter::once(self.foundation.clone())
            .chain(records)
            .collect();
        let ids: Vec<TxId> = all.iter().map(|packed| TxId::of(packed)).collect();
        let tip = self.ledger.tip();
        let number = tip.number + 1;
        let header = Header {
            version: 2,
            transaction_count: u16::try_from(all.len()).expect("few records"),
            number,
            previous_block: tip.digest,
            merkle_root: merkle::root(&ids),
            timestamp: NOW + number,
            difficulty: Compact::ONE,
            nonce: 0,
        };
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        let packed = [header.pack().to_vec(), all.concat()].concat();
        let applied = self
            .ledger
            .apply(&self.store, &packed, BlockDigest(digest), NOW + number)
            .expect("a good block");
        self.store.apply(&applied.batch).expect("the disk takes it");
    }

    fn measure(&self, what: &str, id: TxId) {
        let mut making = Making::new(id, None);
        let mut times: Vec<Duration> = Vec::new();
        while let Some(ask) = making.ask() {
            let begin = Instant::now();
            let piece = title::answer(&self.store, &self.ledger, &ask).expect("a piece");
            let text = piece.to_text();
            times.push(begin.elapsed());
            let piece = title::Piece::from_text(&text).expect("the same piece");
            making.take(piece).expect("it fits");
        }
        let begin = Instant::now();
        let text = making.finish().expect("a title").to_text();
        let finish = begin.elapsed();
        let begin = Instant::now();
        title::make(&self.store, &self.ledger, &id, None).expect("a title");
        let at_once = begin.elapsed();
        let longest = times.iter().max().copied().unwrap_or_default();
        let engine: Duration = times.iter().sum();
        println!(
            "{what:>28} {:>7} {:>9.1}ms {:>9.0}ms {:>9.0}ms {:>9.0}ms {:>9.1}MB",
            times.len(),
            longest.as_secs_f64() * 1e3,
            engine.as_secs_f64() * 1e3,
            finish.as_secs_f64() * 1e3,
            at_once.as_secs_f64() * 1e3,
            f64::from(u32::try_from(text.len()).expect("a title has a bound")) / 1e6,
        );
    }
}

fn main() {
    let wanted = std::env::var("BLOCKS").ok();
    let blocks: u64 = wanted.map_or(100_000, |text| text.parse().expect("BLOCKS: a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let opened = Store::open(folder.path(), 64 << 20).expect("a store");
    let mut world = World::new(opened.store);
    let first = world.issue(1);
    world.block(vec![world.asset(), first.clone()]);
    while world.ledger.height() < blocks {
        let issue = world.issue(world.ledger.height() + 1);
        world.block(vec![issue]);
    }
    let crowd: Vec<Vec<u8>> = (1..=CROWD).map(|n| world.issue((1 << 40) + n)).collect();
    let one = TxId::of(&crowd[crowd.len() / 2]);
    world.block(crowd);
    world.store.flush().expect("the disk takes it");
    println!(
        "{:>28} {:>7} {:>11} {:>11} {:>11} {:>11} {:>11}",
        "title", "pieces", "longest", "engine", "finish", "at once", "text"
    );
    let height = world.ledger.height();
    let id = TxId::of(&first);
    world.measure(&format!("all of {height} blocks"), id);
    world.measure("one of 5,000 in a block", one);
}
