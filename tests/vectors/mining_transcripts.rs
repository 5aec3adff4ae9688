//! `mining-transcripts.json`: work, submissions and assembly as a running reference node showed them
//! (`proto/mining.md`).

use bitmarkd::core::block::{DigestMemory, Header, digest};
use bitmarkd::core::chain::LOCAL;
use bitmarkd::core::id::{AssetId, BlockDigest, TxId};
use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::mining::assembly::assemble;
use bitmarkd::core::mining::work::Work;
use bitmarkd::core::mining::{
    AssetNeed, Body, Candidate, Client, Effect, Foundation, Input, Job, Mining, Parent, Settings,
};
use bitmarkd::core::record::merkle;
use bitmarkd::core::time::Now;
use serde_json::{Value, json};

use crate::harness::{self, Case};

/// What describes a running network, and the whole-node test that shows it of ours.
const WAITING: [(&str, &str); 2] = [
    ("work timing", "work_goes_out_at_once_and_again"),
    ("broadcast_frames", "a_mined_block_is_broadcast"),
];

#[test]
fn mining_transcripts() {
    let bench = std::cell::RefCell::new(DigestMemory::new());
    for (what, test) in WAITING {
        println!("mining-transcripts.json: {what} waits for whole-node test {test}");
    }
    harness::run_with("mining-transcripts.json", |cases| {
        for case in cases {
            match case.input("group").as_str().unwrap_or_default() {
                "work message" => work_message(case),
                "submission refused" => refused(case, &mut bench.borrow_mut()),
                "submission accepted" => accepted(case, &mut bench.borrow_mut()),
                "block assembly" => assembly(case, cases),
                "work timing" => case.set_aside("jobs", "times of a running node"),
                "signing key" => signing_key(case),
                other => case.fail("group", format!("unknown group {other}")),
            }
        }
    });
}

fn unhex<const N: usize>(value: &Value) -> [u8; N] {
    let bytes = hex::decode(value.as_str().expect("a text")).expect("hex");
    bytes.try_into().expect("the right length")
}

/// The ids of a work message.
fn ids(message: &Value) -> (Vec<TxId>, Vec<AssetId>) {
    let list = |name: &str| message[name].as_array().expect("a list").clone();
    (
        list("TxIds").iter().map(|id| TxId(unhex(id))).collect(),
        list("AssetIds")
            .iter()
            .map(|id| AssetId(unhex(id)))
            .collect(),
    )
}

fn work_message(case: &Case) {
    case.expect("frames", 1);
    let text = case.text("frame_1_text");
    let work = Work::read(text.as_bytes()).expect("a work message");
    let message: Value = serde_json::from_str(text).expect("JSON");
    let (tx_ids, asset_ids) = ids(&message);
    let foundation = Foundation::new(case.bytes("foundation_packed"));
    case.expect("foundation_tx_id", hex::encode(foundation.id.0));
    let body = Body {
        merkle_root: merkle::root(&tx_ids),
        foundation: foundation.packed,
        records: Vec::new(),
        tx_ids,
        asset_ids,
    };
    expect_same_header(case, &work, &body);
    case.expect("frame_1_text", job_of(&work, body).message());
}

/// What of the header follows from the records and the rules.
fn expect_same_header(case: &Case, work: &Work, body: &Body) {
    let shown = |header: &Header| {
        json!([
            header.version,
            header.transaction_count,
            hex::encode(header.merkle_root.0),
            header.difficulty.to_json()
        ])
    };
    let made = Header {
        version: LOCAL.rules.block_version_made,
        transaction_count: body.transaction_count(),
        merkle_root: body.merkle_root,
        difficulty: LOCAL.rules.difficulty,
        ..work.header
    };
    case.expect_value("header", &shown(&work.header), &shown(&made));
}

fn job_of(work: &Work, body: Body) -> Job {
    Job {
        id: u16::from_str_radix(&work.job, 16).expect("hex"),
        header: work.header,
        body: body.into(),
    }
}

/// A machine on the parent of this header that has published work up to the job named.
struct Node {
    mining: Mining,
    now: Now,
    replies: Vec<String>,
    digests: Vec<([u8; 100], BlockDigest)>,
    stored: Vec<Vec<u8>>,
}

impl Node {
    fn new(header: &Header, foundation: Foundation, records: &[Candidate], job: &str) -> Self {
        let now = Now {
            mono: 0,
            wall: header.timestamp,
        };
        let settings = Settings::of_chain(&LOCAL, foundation);
        let mut node = Self {
            mining: Mining::new(settings, [0; 32]),
            now,
            replies: Vec::new(),
            digests: Vec::new(),
            stored: Vec::new(),
        };
        let parent = Parent {
            number: header.number - 1,
            digest: header.previous_block,
            version: 1,
            timestamp: 0,
        };
        let mut out = Vec::new();
        node.mining.step(now, Input::Tip(parent), &mut out);
        node.mining.step(now, Input::Normal(true), &mut out);
        while node.mining.jobs().last().map(Job::name).as_deref() != Some(job) {
            let records = Input::Records(records.to_vec());
            node.mining.step(now, records, &mut out);
        }
        node
    }

    fn submit(&mut self, frame: &str, memory: &mut DigestMemory) {
        let mut inputs = vec![Input::Submission {
            client: Client(1),
            frame: frame.as_bytes().to_vec(),
        }];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.mining.step(self.now, input, &mut out);
            for effect in out {
                match effect {
                    Effect::Reply { text, .. } => self.replies.push(text),
                    Effect::StoreBlock { packed, .. } => {
                        self.stored.push(packed);
                        inputs.push(Input::Stored(true));
                    }
                    Effect::ComputeDigest { request, header } => {
                        let digest = digest(&LOCAL.digest, &header, memory);
                        self.digests.push((*header, digest));
                        inputs.push(Input::Digest { request, digest });
                    }
                    Effect::NeedRecords(_) | Effect::Publish(_) => {}
                }
            }
        }
    }
}

fn frames(case: &Case) -> Vec<String> {
    let frames = case.input("request_frames").as_array().expect("a list");
    let text = |frame: &Value| frame.as_str().expect("a text").to_owned();
    frames.iter().map(text).collect()
}

fn refused(case: &Case, memory: &mut DigestMemory) {
    let (genesis, _) = Header::unpack(LOCAL.genesis).expect("a header");
    let header = Header {
        number: 2,
        previous_block: LOCAL.genesis_digest,
        ..genesis
    };
    let record = Candidate {
        id: TxId::of(b"a record"),
        packed: b"a record".as_slice().into(),
        link: None,
        asset: AssetNeed::None,
    };
    let foundation = Foundation::new(b"a foundation".to_vec());
    let mut node = Node::new(&header, foundation, &[record], case.text("known_job"));
    // The socket hands over the first frame alone.
    node.submit(&frames(case)[0], memory);
    case.expect("reply_frames", node.replies);
}

/// The records of a packed block, cut where the ids say: foundation, then name and bytes of each.
fn cut(packed: &[u8], ids: &[TxId]) -> Vec<(TxId, Vec<u8>)> {
    let mut rest = &packed[100..];
    let records = ids
        .iter()
        .map(|id| {
            let length = (1..=rest.len())
                .find(|length| TxId::of(&rest[..*length]) == *id)
                .expect("a record of this id");
            let (record, after) = rest.split_at(length);
            rest = after;
            (*id, record.to_vec())
        })
        .collect();
    assert!(rest.is_empty(), "bytes behind the last record");
    records
}

/// The names of the tags.
const TYPES: [&str; 8] = [
    "",
    "BaseData",
    "AssetData",
    "BitmarkIssue",
    "BitmarkTransferUnratified",
    "BitmarkTransferCountersigned",
    "BlockFoundation",
    "BlockOwnerTransfer",
];

/// Foundation and candidates from which the block of a "submission accepted" case was made: the
/// assets of a block of the reference each stand before their first issue.
fn candidates(case: &Case) -> (Foundation, Vec<Candidate>) {
    let message: Value = serde_json::from_str(case.text("work_message")).expect("JSON");
    let (tx_ids, asset_ids) = ids(&message);
    let mut records = cut(&case.bytes("packed_block"), &tx_ids).into_iter();
    let (_, foundation) = records.next().expect("a foundation");
    let mut assets = asset_ids.into_iter();
    let mut asset = AssetNeed::None;
    let mut candidates = Vec::new();
    for (id, packed) in records {
        if packed[0] == 2 {
            asset = AssetNeed::Cached {
                id: assets.next().expect("an id for each asset"),
                packed: packed.into(),
            };
        } else {
            candidates.push(Candidate {
                id,
                link: None,
                asset: if packed[0] == 3 {
                    asset.clone()
                } else {
                    AssetNeed::None
                },
                packed: packed.into(),
            });
        }
    }
    (Foundation::new(foundation), candidates)
}

fn accepted(case: &Case, memory: &mut DigestMemory) {
    let work = Work::read(case.text("work_message").as_bytes()).expect("a work message");
    case.expect("work_job", work.job.clone());
    let (foundation, candidates) = candidates(case);
    let body = assemble(&LOCAL.rules, &foundation, &candidates).expect("a body");
    expect_same_header(case, &work, &body);
    let job = job_of(&work, body);
    case.expect("work_message", job.message());

    let nonce = u64::from_le_bytes(unhex(case.input("nonce_little_endian")));
    case.expect("request_frames", vec![work.submission(nonce)]);
    case.expect("header_packed", hex::encode(job.with_nonce(nonce).pack()));
    case.expect("header_length", job.with_nonce(nonce).pack().len());
    case.expect("packed_block", hex::encode(job.block(nonce)));

    let mut node = Node::new(&work.header, foundation, &candidates, &work.job);
    node.submit(&frames(case)[0], memory);
    case.expect("reply_frames", node.replies);
    let (header, digest) = node.digests.first().expect("a digest");
    case.expect("header_packed", hex::encode(header));
    case.expect("block_digest", hex::encode(digest.0));
    let stored: Vec<_> = node.stored.iter().map(hex::encode).collect();
    case.expect_value(
        "stored",
        &json!([case.input("packed_block")]),
        &json!(stored),
    );
    // That these go out is shown by the test in the table above.
    let whole = "<packed_block as bytes>";
    case.expect("broadcast_frames", json!([LOCAL.name, "block", whole]));
}

fn assembly(case: &Case, cases: &[Case]) {
    let root = case.text("merkle_root");
    let of_block = cases
        .iter()
        .find(|other| other.has("packed_block") && other.text("work_message").contains(root));
    let Some(of_block) = of_block else {
        return case.fail("merkle_root", "no case holds the block");
    };
    let (foundation, candidates) = candidates(of_block);
    let body = assemble(&LOCAL.rules, &foundation, &candidates).expect("a body");
    case.expect("merkle_root", hex::encode(body.merkle_root.0));
    let block = [vec![0; 100], body.foundation, body.records].concat();
    let records: Vec<Value> = cut(&block, &body.tx_ids)
        .iter()
        .zip(1..)
        .map(|((id, packed), index)| {
            json!({
                "index": index,
                "type": TYPES[usize::from(packed[0])],
                "txId": hex::encode(id.0),
            })
        })
        .collect();
    case.expect("records", records);
}

fn signing_key(case: &Case) {
    let key = PrivateKey::from_signing_key_file(case.text("file")).expect("a seed");
    let bytes = key.to_bytes();
    let private = bytes.get(1..).unwrap_or_default();
    case.expect("private_key", hex::encode(private));
    case.expect(
        "public_key",
        hex::encode(private.get(32..).unwrap_or_default()),
    );
    case.expect(
        "private_tag_form",
        format!("PRIVATE:{}", hex::encode(&*bytes)),
    );
    let account = key.account().map(|account| account.to_string());
    case.expect("account", account.unwrap_or_default());
    let again = PrivateKey::from_signing_key_file(case.text("private_tag_form"));
    if again.as_ref() != Ok(&key) {
        case.fail("private_tag_form", "does not read back");
    }
}
