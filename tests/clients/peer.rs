//! The client program over the command protocol, against a stand-in for a node that sends whatever
//! blocks it likes: what a node says of records is checked before it is shown.

use std::collections::VecDeque;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bitmarkd::core::block::Header;
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::currency::{Currency, Payments, payments};
use bitmarkd::core::id::{AssetId, BlockDigest, TxId};
use bitmarkd::core::keys::{Account, PrivateKey};
use bitmarkd::core::listener::{Envelope, Reply};
use bitmarkd::core::record::{
    self, AssetData, BitmarkIssue, BitmarkTransferUnratified, BlockFoundation, Record, merkle,
};
use bitmarkd::shell::zmq::monitor::Event;
use bitmarkd::shell::zmq::receive::Received;
use bitmarkd::shell::zmq::requester::fresh_key;
use bitmarkd::shell::zmq::server::{Binding, Bound, Server, Service};
use bitmarkd::shell::zmq::{Access, AccessThread, Context, Frames};
use serde_json::{Value, json};

fn key(number: u8) -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[number; 32], true)
}

fn account(number: u8) -> Account {
    key(number).account().unwrap()
}

fn asset() -> Vec<u8> {
    let mut asset = Record::AssetData(AssetData {
        name: b"a house".to_vec(),
        fingerprint: b"f".to_vec(),
        metadata: Vec::new(),
        registrant: account(1),
        signature: Vec::new(),
    });
    record::sign(&mut asset, &key(1)).unwrap()
}

fn issue() -> Vec<u8> {
    let mut issue = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId::of(b"f"),
        owner: account(1),
        nonce: 1,
        signature: Vec::new(),
    });
    record::sign(&mut issue, &key(1)).unwrap()
}

/// Passes the issue on to account 2; account 1 owns it.
fn transfer(signer: u8) -> Vec<u8> {
    let mut transfer = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
        link: TxId::of(&issue()),
        escrow: None,
        owner: account(2),
        signature: Vec::new(),
    });
    record::sign(&mut transfer, &key(signer)).unwrap()
}

/// What each block begins with.
fn foundation() -> Vec<u8> {
    let addresses = [
        (
            Currency::Bitcoin,
            b"msxN7C7cRNgbgyUzt3EcvrpmWXc59sZVN4".to_vec(),
        ),
        (
            Currency::Litecoin,
            b"mjPkDNakVA4w4hJZ6WF7p8yKUV2merhyCM".to_vec(),
        ),
    ];
    let mut foundation = Record::BlockFoundation(BlockFoundation {
        version: payments::VERSION,
        payments: Payments(addresses.into()),
        owner: account(5),
        nonce: 1,
        signature: Vec::new(),
    });
    record::sign(&mut foundation, &key(5)).unwrap()
}

/// A digest that is below every target.
const DIGEST: BlockDigest = BlockDigest([0; 32]);

/// Blocks from the second on that hang together as far as can be seen without a digest.
fn blocks(records: &[&[Vec<u8>]]) -> Vec<Vec<u8>> {
    let block = |(number, records): (u64, &&[Vec<u8>])| {
        let records = [&[foundation()], *records].concat();
        let ids: Vec<TxId> = records.iter().map(|packed| TxId::of(packed)).collect();
        let header = Header {
            version: DEVNET.rules.block_version_made,
            transaction_count: u16::try_from(records.len()).unwrap(),
            number,
            previous_block: if number == 2 {
                DEVNET.genesis_digest
            } else {
                DIGEST
            },
            merkle_root: merkle::root(&ids),
            timestamp: DEVNET.genesis_timestamp + number,
            difficulty: DEVNET.rules.difficulty,
            nonce: 0,
        };
        [header.pack().to_vec(), records.concat()].concat()
    };
    (2..).zip(records).map(block).collect()
}

/// Answers with its blocks, or every request with one error.
struct Node {
    blocks: Vec<Vec<u8>>,
    digest: BlockDigest,
    error: Option<&'static str>,
    replies: VecDeque<(usize, Frames)>,
    stop: Arc<AtomicBool>,
}

impl Node {
    fn answer(&self, body: &[Vec<u8>]) -> Reply {
        if let Some(error) = self.error {
            return Reply::error(error);
        }
        let height = self.blocks.len() as u64 + 1;
        let number = body.get(2).and_then(|bytes| bytes.first_chunk::<8>());
        let block = number
            .and_then(|bytes| {
                usize::try_from(u64::from_be_bytes(*bytes))
                    .ok()?
                    .checked_sub(2)
            })
            .and_then(|at| self.blocks.get(at));
        match (body[1].as_slice(), block) {
            (b"N", _) => Reply::height(height),
            (b"B", Some(packed)) => Reply::block(packed.clone()),
            (b"H", Some(_)) => Reply::digest(&self.digest),
            _ => Reply::block_not_found(),
        }
    }
}

impl Service for Node {
    fn message(&mut self, socket: usize, received: Received) {
        let mut frames = received.frames;
        let id = frames.remove(0);
        let Some((envelope, body)) = Envelope::split(frames) else {
            return;
        };
        let mut out = vec![id];
        out.extend(envelope.around(self.answer(&body).into_frames()));
        self.replies.push_back((socket, out));
    }
    fn woken(&mut self) {}
    fn event(&mut self, _: usize, _: Event) {}
    fn next_reply(&mut self) -> Option<(usize, Frames)> {
        self.replies.pop_front()
    }
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// A stand-in that runs. Dropping it stops it.
struct Play {
    server: Server,
    key: String,
    stop: Arc<AtomicBool>,
    _access: AccessThread,
    _context: Context,
}

impl Play {
    fn new(blocks: Vec<Vec<u8>>) -> Self {
        Self::with(blocks, DIGEST, None)
    }

    fn with(blocks: Vec<Vec<u8>>, digest: BlockDigest, error: Option<&'static str>) -> Self {
        let context = Context::new().unwrap();
        let access = AccessThread::start(&context, Access::default()).unwrap();
        let key = fresh_key();
        let binding = Binding {
            name: "node",
            key: &key,
            zap_domain: "listen",
            addresses: &["127.0.0.1:0".parse().unwrap()],
        };
        let stop = Arc::new(AtomicBool::new(false));
        let node = Node {
            blocks,
            digest,
            error,
            replies: VecDeque::new(),
            stop: Arc::clone(&stop),
        };
        let server = Bound::new(&context, &binding).unwrap().serve(node).unwrap();
        Self {
            server,
            key: key.public_key().to_string(),
            stop,
            _access: access,
            _context: context,
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        std::process::Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
            .args(arguments)
            .args(["--connect", &self.server.addresses[0].to_string()])
            .args(["--server-key", &self.key, "--chain", "devnet"])
            .output()
            .unwrap()
    }

    fn shown(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn told(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

#[test]
fn what_the_owner_before_did_not_sign_is_not_shown() {
    let first = [asset(), issue()];
    let [id, issue_id] = [transfer(1), issue()].map(|packed| TxId::of(&packed).to_string());
    let honest = Play::new(blocks(&[&first, &[transfer(1)]]));
    let way = honest.shown(&["provenance", &issue_id]);
    assert_eq!(way.as_array().unwrap().len(), 3);
    assert_eq!(way[0]["txId"], json!(id));
    assert_eq!(honest.shown(&["status", &id])["block"], 3);
    let [one, two] = [1, 2].map(|number| account(number).to_string());
    assert_eq!(honest.shown(&["owned", &one]), json!([]));
    assert_eq!(honest.shown(&["owned", &two])[0]["txId"], json!(id));

    // Somebody else signed, and nobody did.
    let mut unsigned = transfer(1);
    let end = unsigned.len();
    unsigned[end - 64..].fill(0);
    for forged in [transfer(3), unsigned] {
        let id = TxId::of(&forged).to_string();
        let liar = Play::new(blocks(&[&first, &[forged]]));
        for arguments in [
            ["provenance", &issue_id],
            ["provenance", &id],
            ["status", &id],
            ["status", &issue_id],
            ["owned", &one],
            ["owned", &two],
        ] {
            let told = liar.told(&arguments);
            let place = format!("the node's block 3 has BitmarkTransferUnratified {id}");
            assert!(told.contains(&place), "{arguments:?}: {told}");
            assert!(told.contains("not signed by the owner before"), "{told}");
        }
    }
}

#[test]
fn a_block_has_the_records_that_its_header_claims() {
    let id = TxId::of(&issue()).to_string();
    let mut more = blocks(&[&[asset(), issue()]]);
    more[0].extend(transfer(1));
    let told = Play::new(more).told(&["status", &id]);
    assert!(told.contains("the node's block 2"), "{told}");
    let mut other = blocks(&[&[asset(), issue()]]);
    let at = other[0].len() - issue().len();
    other[0].truncate(at);
    other[0].extend(transfer(1));
    let told = Play::new(other).told(&["status", &id]);
    assert!(
        told.contains("other records than its header claims"),
        "{told}"
    );
}

#[test]
fn headers_hang_together_down_to_the_first_block() {
    let nowhere = TxId([9; 32]).to_string();
    let honest = blocks(&[&[asset(), issue()], &[transfer(1)]]);
    let standing = Play::new(honest.clone()).shown(&["status", &nowhere]);
    assert_eq!(standing["status"], "NotConfirmed");
    // A digest without work in it, by the node's word and by that of the block above.
    let high = BlockDigest([0xff; 32]);
    let told = Play::with(honest.clone(), high, None).told(&["status", &nowhere]);
    assert!(told.contains("block 3 does not have the work"), "{told}");
    let changed = |at: usize, digest: BlockDigest| {
        let mut blocks = honest.clone();
        let (mut header, rest) = Header::unpack(&blocks[at]).unwrap();
        header.previous_block = digest;
        blocks[at] = [header.pack().to_vec(), rest.to_vec()].concat();
        Play::new(blocks).told(&["status", &nowhere])
    };
    let told = changed(1, high);
    assert!(told.contains("block 2 does not have the work"), "{told}");
    let told = changed(0, DIGEST);
    assert!(told.contains("does not follow the first block"), "{told}");
}

#[test]
fn an_error_of_a_node_is_shown_on_one_line_and_moves_nothing_on_the_terminal() {
    let node = Play::with(Vec::new(), DIGEST, Some("\u{1b}[31mred\r\nfake line"));
    for arguments in [&["peer", "height"][..], &["peer", "raw", "N"]] {
        let told = node.told(arguments);
        assert!(told.contains("\\u{1b}[31mred\\r\\nfake line"), "{told}");
        assert_eq!(told.matches(['\u{1b}', '\r', '\n']).count(), 1, "{told}");
    }
}

#[test]
fn an_answer_may_take_a_year_and_no_longer() {
    let node = Play::new(blocks(&[&[asset()]]));
    let id = TxId([9; 32]).to_string();
    let long = ["status", &id, "--answer-within", "31536000"];
    assert_eq!(node.shown(&long)["height"], 2);
    let longer = ["status", &id, "--answer-within", "18446744073709551615"];
    assert_eq!(node.run(&longer).status.code(), Some(2));
}
