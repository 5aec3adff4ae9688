//! A chain in a store, as long as wanted, of real records in blocks that nobody mined: their digests
//! are made up, since real ones cost hours and are not asked for. What its records are is the
//! business of who puts them in; see `mix.rs`.

use std::sync::Arc;

use bitmarkd::core::block::{Compact, Header};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::currency::{Currency, Payments, address};
use bitmarkd::core::id::{AssetId, BlockDigest, TxId};
use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::ledger::{Applied, Ledger};
use bitmarkd::core::record::{AssetData, BitmarkIssue, BlockFoundation, Record, merkle, sign};
use bitmarkd::core::state::{Batch, MemoryStore, View};
use bitmarkd::shell::signatures::Cores;
use bitmarkd::shell::store::Store;

/// The first block's time.
const NOW: u64 = 1_700_000_000;
/// Fingerprint of the one asset.
const PRINT: &[u8] = b"01fingerprint";

/// A record's packed bytes, signed.
pub fn signed(mut record: Record, key: &PrivateKey) -> Vec<u8> {
    sign(&mut record, key).expect("it is signed")
}

/// What can be read and takes batches.
pub trait Keep: View {
    /// Takes all of a batch.
    fn keep(&mut self, batch: &Batch);
}

impl Keep for Store {
    fn keep(&mut self, batch: &Batch) {
        self.apply(batch).expect("the disk takes it");
    }
}

impl Keep for MemoryStore {
    fn keep(&mut self, batch: &Batch) {
        self.apply(batch);
    }
}

/// The chain, its store and its one owner.
pub struct World<S = Store> {
    /// Where it lies.
    pub store: S,
    /// What of it is held in memory.
    pub ledger: Ledger,
    /// Who owns everything.
    pub key: PrivateKey,
    foundation: Vec<u8>,
}

impl<S: Keep> World<S> {
    /// A chain of no blocks.
    pub fn new(store: S) -> Self {
        Self::on(store, Ledger::empty(&DEVNET))
    }

    /// The chain that a store holds.
    pub fn load(store: S) -> Self {
        let ledger = Ledger::load(&DEVNET, &store).expect("a whole store");
        Self::on(store, ledger)
    }

    fn on(store: S, mut ledger: Ledger) -> Self {
        ledger.check_with(Arc::new(Cores::all()));
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
            ledger,
            store,
            key,
        }
    }

    /// The one asset.
    pub fn asset(&self) -> Vec<u8> {
        let asset = Record::AssetData(AssetData {
            name: b"a house".to_vec(),
            fingerprint: PRINT.to_vec(),
            metadata: Vec::new(),
            registrant: self.key.account().expect("an account"),
            signature: Vec::new(),
        });
        signed(asset, &self.key)
    }

    /// An issue of it.
    pub fn issue(&self, nonce: u64) -> Vec<u8> {
        let issue = Record::BitmarkIssue(BitmarkIssue {
            asset_id: AssetId::of(PRINT),
            owner: self.key.account().expect("an account"),
            nonce,
            signature: Vec::new(),
        });
        signed(issue, &self.key)
    }

    /// Puts a block with these records on top, and a foundation before them.
    pub fn block(&mut self, records: Vec<Vec<u8>>) {
        let made = self.make(records);
        self.put(&made);
    }

    /// Puts a block on top.
    pub fn put(&mut self, made: &Made) {
        let applied = self
            .ledger
            .apply(&self.store, &made.packed, made.digest, made.time)
            .expect("a good block");
        self.store.keep(&applied.batch);
    }

    /// The same of records whose signatures were checked before; tells what it changed.
    pub fn known_block(&mut self, records: Vec<Vec<u8>>) -> Applied {
        let made = self.make(records);
        let applied = self
            .ledger
            .apply_known(
                &self.store,
                &made.packed,
                made.digest,
                made.time,
                &|_, _, _| true,
            )
            .expect("a good block");
        self.store.keep(&applied.batch);
        applied
    }

    /// A block with these records, to be put on top.
    pub fn make(&self, records: Vec<Vec<u8>>) -> Made {
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
        Made {
            packed: [header.pack().to_vec(), all.concat()].concat(),
            digest: BlockDigest(digest),
            time: NOW + number,
        }
    }
}

/// A block that was made.
pub struct Made {
    /// Its bytes.
    pub packed: Vec<u8>,
    /// The digest it goes under.
    pub digest: BlockDigest,
    /// When it is put on top.
    pub time: u64,
}
