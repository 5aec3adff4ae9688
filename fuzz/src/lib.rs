//! What the fuzz targets share: messages out of bytes, a node without sockets, and what is valid
//! for it, since no fuzzer guesses a signature.

mod bench;

pub use bench::Bench;

use std::sync::LazyLock;

use bitmarkd::core::announce;
use bitmarkd::core::block::{Compact, Header};
use bitmarkd::core::chain::{Chain, DEVNET};
use bitmarkd::core::connector;
use bitmarkd::core::currency::{Currency, Payments, address};
use bitmarkd::core::engine::{Settings, StaticPeer, Timing};
use bitmarkd::core::id::{AssetId, BlockDigest, PayId, TxId};
use bitmarkd::core::keys::{PeerPublicKey, PrivateKey};
use bitmarkd::core::overlay::mempool;
use bitmarkd::core::record::{
    AssetData, BitmarkIssue, BitmarkTransferUnratified, BlockFoundation, Record, merkle, sign,
};
use bitmarkd::core::reservoir::Caps;
use bitmarkd::core::time::Now;
use bitmarkd::core::upstream;
use bitmarkd::core::wire::connection::Connection;
use serde_json::{Value, json};

/// When a node starts: after every genesis.
pub const NOW: Now = Now {
    mono: 10_000,
    wall: 1_800_000_000,
};

/// Takes a length of one byte, or of two when the first is 255, and as many bytes.
fn frame(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let (first, mut rest) = bytes.split_first()?;
    let mut length = usize::from(*first);
    if length == 255 {
        let (two, after) = rest.split_first_chunk::<2>()?;
        length = usize::from(u16::from_be_bytes(*two));
        rest = after;
    }
    let (frame, after) = rest.split_at(length.min(rest.len()));
    *bytes = after;
    Some(frame.to_vec())
}

/// Splits bytes into the frames of one message.
#[must_use]
pub fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| frame(&mut bytes)).take(64).collect()
}

/// Splits bytes into messages: a kind, a count of frames up to seven, the frames.
#[must_use]
pub fn messages(mut bytes: &[u8]) -> Vec<(u8, Vec<Vec<u8>>)> {
    let mut all = Vec::new();
    while let Some(([kind, count], rest)) = bytes.split_first_chunk::<2>() {
        bytes = rest;
        let frames = std::iter::from_fn(|| frame(&mut bytes));
        all.push((*kind, frames.take(usize::from(count % 8)).collect()));
    }
    all
}

/// The digest that every block has here.
pub const PROVEN: BlockDigest = BlockDigest([0; 32]);

/// News that are taken one after the other: command and parameter.
pub static VALID: LazyLock<Vec<(&'static str, Vec<u8>)>> = LazyLock::new(valid);

fn valid() -> Vec<(&'static str, Vec<u8>)> {
    let key = PrivateKey::from_ed25519_seed(&[1; 32], DEVNET.testing);
    let owner = key.account().expect("a key has an account");
    let signed = |mut record| sign(&mut record, &key).expect("a valid record");
    let asset = signed(Record::AssetData(AssetData {
        name: b"name".to_vec(),
        fingerprint: b"fingerprint".to_vec(),
        metadata: b"a\0b".to_vec(),
        registrant: owner,
        signature: Vec::new(),
    }));
    let issue = |nonce| {
        signed(Record::BitmarkIssue(BitmarkIssue {
            asset_id: AssetId::of(b"fingerprint"),
            owner,
            nonce,
            signature: Vec::new(),
        }))
    };
    let (one, two) = (issue(0), issue(1));
    let transfer = signed(Record::BitmarkTransferUnratified(
        BitmarkTransferUnratified {
            link: TxId::of(&one),
            escrow: None,
            owner,
            signature: Vec::new(),
        },
    ));
    let text = |hash| address::encode(111, &[hash; 20]).into_bytes();
    let payments = [(Currency::Bitcoin, text(1)), (Currency::Litecoin, text(2))];
    let foundation = signed(Record::BlockFoundation(BlockFoundation {
        version: DEVNET.rules.foundation_version,
        payments: Payments(payments.into()),
        owner,
        nonce: DEVNET.rules.foundation_nonce,
        signature: Vec::new(),
    }));
    let block = |number, previous_block, records: &[&Vec<u8>]| {
        let records: Vec<&Vec<u8>> = [&foundation]
            .into_iter()
            .chain(records.iter().copied())
            .collect();
        let ids: Vec<TxId> = records.iter().map(|record| TxId::of(record)).collect();
        let header = Header {
            version: 2,
            transaction_count: u16::try_from(ids.len()).expect("few records"),
            number,
            previous_block,
            merkle_root: merkle::root(&ids),
            timestamp: NOW.wall,
            difficulty: Compact::ONE,
            nonce: 0,
        };
        let mut packed = header.pack().to_vec();
        records
            .into_iter()
            .for_each(|record| packed.extend_from_slice(record));
        packed
    };
    vec![
        ("assets", asset.clone()),
        ("issues", [one.clone(), two.clone()].concat()),
        ("block", block(2, DEVNET.genesis_digest, &[&asset, &one])),
        ("transfer", transfer.clone()),
        ("issues", two),
        ("block", block(3, PROVEN, &[&transfer])),
    ]
}

/// The record at the front.
fn record(packed: &[u8]) -> Record {
    let read = Record::unpack(packed, DEVNET.testing);
    read.expect("a record").0
}

/// What names something of [`Bench::filled`] in an address, and some that name nothing.
pub static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let (asset, issues, transfer) = (&VALID[0].1, &VALID[1].1, &VALID[3].1);
    let pending = &VALID[4].1;
    let issue = &issues[..issues.len() - pending.len()];
    let owner = *record(issue).owner();
    let names = [
        TxId::of(issue).to_string(),
        TxId::of(transfer).to_string(),
        TxId::of(pending).to_string(),
        AssetId::of(b"fingerprint").to_string(),
        PayId::of([pending.as_slice()]).to_string(),
        owner.to_string(),
        TxId::of(asset).to_string(),
        PROVEN.to_string(),
        "app.js".to_owned(),
        "3".to_owned(),
        "18446744073709551615".to_owned(),
        "%00%ff%2f..".to_owned(),
    ];
    names.into()
});

/// All methods of clients.
pub const METHODS: [&str; 11] = [
    "Node.Info",
    "Node.List",
    "Assets.Get",
    "Bitmarks.Create",
    "Bitmarks.Proof",
    "Bitmark.Transfer",
    "Bitmark.Provenance",
    "BlockOwner.TxIdForBlock",
    "BlockOwner.Transfer",
    "Owner.Bitmarks",
    "Transaction.Status",
];

/// Requests of clients that are answered with a result, or are refused late.
pub static CALLS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let key = PrivateKey::from_ed25519_seed(&[1; 32], DEVNET.testing);
    let owner = key.account().expect("a key has an account");
    let json =
        |record: &Record| -> Value { serde_json::from_str(&record.to_json()).expect("it is JSON") };
    let signed = |mut new| {
        sign(&mut new, &key).expect("a valid record");
        json(&new)
    };
    let asset = signed(Record::AssetData(AssetData {
        name: b"other".to_vec(),
        fingerprint: b"other".to_vec(),
        metadata: Vec::new(),
        registrant: owner,
        signature: Vec::new(),
    }));
    let issue = |of: &[u8], nonce| {
        signed(Record::BitmarkIssue(BitmarkIssue {
            asset_id: AssetId::of(of),
            owner,
            nonce,
            signature: Vec::new(),
        }))
    };
    let transfer = |link: &[u8]| {
        signed(Record::BitmarkTransferUnratified(
            BitmarkTransferUnratified {
                link: TxId::of(link),
                escrow: None,
                owner,
                signature: Vec::new(),
            },
        ))
    };
    let (set, pending, moved) = (&VALID[1].1, &VALID[4].1, &VALID[3].1);
    let first = TxId::of(&set[..set.len() - pending.len()]).to_string();
    let pay_id = PayId::of([pending.as_slice()]).to_string();
    let arguments = [
        ("Node.Info", json!({})),
        ("Node.List", json!({"start": "0", "count": 10})),
        ("Assets.Get", json!({"fingerprints": ["fingerprint", "x"]})),
        ("Bitmarks.Create", json!({"assets": [asset], "issues": []})),
        (
            "Bitmarks.Create",
            json!({"assets": [], "issues": [issue(b"fingerprint", 7)]}),
        ),
        (
            "Bitmarks.Create",
            json!({"assets": [asset], "issues": [issue(b"other", 1), issue(b"other", 2)]}),
        ),
        (
            "Bitmarks.Proof",
            json!({"payId": pay_id, "nonce": "0011223344556677"}),
        ),
        ("Bitmark.Transfer", transfer(moved)),
        (
            "Bitmark.Provenance",
            json!({"txId": TxId::of(moved).to_string(), "count": 20}),
        ),
        ("BlockOwner.TxIdForBlock", json!({"blockNumber": 2})),
        ("BlockOwner.Transfer", transfer(moved)),
        (
            "Owner.Bitmarks",
            json!({"owner": owner.to_string(), "start": "0", "count": 20}),
        ),
        ("Transaction.Status", json!({"txId": first})),
    ];
    let request = |(method, argument): &(&str, Value)| {
        json!({"id": 1, "method": method, "params": [argument]}).to_string()
    };
    arguments.iter().map(request).collect()
});

/// Changes one byte for every three: where, twice, and which bits.
pub fn mutate(bytes: &mut [u8], mutations: &[u8]) {
    for mutation in mutations.chunks_exact(3) {
        if let [high, low, bits] = *mutation
            && let Some(at) = usize::from(u16::from_be_bytes([high, low])).checked_rem(bytes.len())
            && let Some(byte) = bytes.get_mut(at)
        {
            *byte ^= bits;
        }
    }
}

/// A node with two peers that is Normal from the beginning.
#[must_use]
pub fn settings(chain: &'static Chain) -> Settings {
    let own = PeerPublicKey([1; 32]);
    let peer = |number: u8| StaticPeer {
        key: PeerPublicKey([number; 32]),
        address: Connection::from_text(&format!("127.0.0.1:{number}")).expect("an address"),
    };
    Settings {
        chain,
        announce: announce::Setup {
            key: own.0,
            listeners: Vec::new(),
            rpc: None,
            configured: [[2; 32]].into(),
            prefer_ipv6: true,
        },
        own: upstream::Own {
            key: own,
            listeners: Vec::new(),
        },
        connect: vec![peer(2)],
        dynamic_connections: true,
        subscribe: vec![peer(3)],
        caps: Caps::default(),
        timing: Timing {
            announce: announce::Timing::default(),
            connector: connector::Timing {
                cycle_ms: 1_000,
                minimum_upstreams: 0,
                blocks_per_cycle: 20,
                fork_protection: chain.rules.fork_protection,
                sampling_limit: 6,
            },
            upstream: upstream::Timing {
                cycle_ms: 2_000,
                timeout_ms: 5_000,
                question_ms: 5_000,
            },
            dynamic_upstreams: 3,
            rebroadcast_ms: 60_000,
            sweep_ms: 60_000,
            heartbeat_ms: 60_000,
            subscription_silence_ms: 120_000,
        },
        mempool: mempool::Settings::default(),
        mining: None,
        seed: [7; 32],
    }
}
