//! `title.json`: proofs of title made from the blocks of `blocks.json` and `blocks-live.json`, and
//! the same damaged in every way that has an error of its own. The file is ours; it is written
//! anew by `cargo test --test vectors title -- --ignored`.

use std::collections::BTreeMap;

use bitmarkd::core::chain::{BITMARK, Chain, LOCAL};
use bitmarkd::core::id::{BlockDigest, TxId};
use bitmarkd::core::ledger::{Item, Ledger};
use bitmarkd::core::record::Record;
use bitmarkd::core::state::MemoryStore;
use bitmarkd::core::title::{self, Known, Says, Sound, Title};
use serde_json::{Value, json};
use sha3::{Digest as _, Sha3_256};

use crate::harness::{self, Case};

/// All recorded blocks are older.
const NOW: u64 = 1_900_000_000;

#[test]
fn title() {
    // A folder of the reference's vectors alone does not have it.
    let is_there = harness::folder().join("title.json").exists();
    if std::env::var_os("VECTORS_DIR").is_none() || is_there {
        harness::run("title.json", check);
    } else {
        println!("title.json is not in {}", harness::folder().display());
    }
}

fn check(case: &Case) {
    let known: Known = case
        .input("known")
        .as_object()
        .unwrap()
        .iter()
        .map(|(number, digest)| {
            let digest: BlockDigest = digest.as_str().unwrap().parse().unwrap();
            (number.parse().unwrap(), digest)
        })
        .collect();
    let text = case.text("text").to_owned();
    let mut digests = 0;
    let verified = title::verify(text.as_bytes(), &known, |_, all| digests = all);
    let error = verified.as_ref().err().map(ToString::to_string);
    case.expect("error", json!(error));
    if let Ok(says) = verified {
        case.expect("says", shown(&says));
        case.expect("digests", digests);
        assert_eq!(title::read(text.as_bytes()).unwrap().to_text(), text);
    }
}

fn shown(says: &Says) -> Value {
    let (asset, block) = match says.item {
        Item::Asset(id) => (Some(id), None),
        Item::Block(number) => (None, Some(number)),
    };
    json!({
        "assetId": asset,
        "blockNumber": block,
        "issue": says.issue,
        "issuedTo": says.issued_to.to_string(),
        "issuedIn": says.issued_in,
        "transaction": says.transaction,
        "owner": says.owner.to_string(),
        "since": says.since,
        "transfers": says.transfers,
        "height": says.height,
    })
}

/// A chain of recorded blocks.
struct World {
    store: MemoryStore,
    ledger: Ledger,
    ids: Vec<TxId>,
}

impl World {
    fn new(chain: &'static Chain, file: &str) -> Self {
        let path = format!("{}/proto/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
        let document: Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut world = Self {
            store: MemoryStore::new(),
            ledger: Ledger::empty(chain),
            ids: Vec::new(),
        };
        for case in document["cases"].as_array().unwrap() {
            let block = &case["block"];
            if case["operation"] != "store" || block["packed_block"].is_null() {
                continue;
            }
            let packed = hex::decode(block["packed_block"].as_str().unwrap()).unwrap();
            let digest: BlockDigest = block["digest"].as_str().unwrap().parse().unwrap();
            let applied = world.ledger.apply(&world.store, &packed, digest, NOW);
            // Those that the reference refused, and branches of later deletions, are passed over.
            let Ok(applied) = applied else { continue };
            world.store.apply(&applied.batch);
            for (record, bytes) in title::split(chain, &packed).unwrap() {
                world.ids.push(match record {
                    Record::BlockFoundation(_) => {
                        bitmarkd::core::block::foundation_id(&digest, applied.tip.number)
                    }
                    _ => TxId::of(bytes),
                });
            }
        }
        world
    }

    fn titles(&self, from_known: Option<u64>) -> Vec<Sound> {
        let made = self.ids.iter();
        made.filter_map(|id| title::make(&self.store, &self.ledger, id, from_known).ok())
            .collect()
    }

    fn known(&self, number: u64) -> Value {
        let digest = self.ledger.digest_of(&self.store, number).unwrap();
        json!({ number.to_string(): digest })
    }
}

/// Puts the right checksum under a changed text.
fn sealed(text: &str) -> String {
    let (front, _) = text.rsplit_once(",\n  \"checksum\": \"").unwrap();
    let sum = hex::encode(Sha3_256::digest(front.as_bytes()));
    format!("{front},\n  \"checksum\": \"{sum}\"\n}}\n")
}

fn case(name: &str, text: &str, known: &Value) -> Value {
    let of_known: BTreeMap<String, BlockDigest> = serde_json::from_value(known.clone()).unwrap();
    let of_known = of_known
        .into_iter()
        .map(|(number, digest)| (number.parse().unwrap(), digest))
        .collect();
    let mut digests = 0;
    match title::verify(text.as_bytes(), &of_known, |_, all| digests = all) {
        Ok(says) => json!({
            "group": "holds", "name": name, "known": known, "text": text,
            "error": null, "says": shown(&says), "digests": digests,
        }),
        Err(error) => json!({
            "group": "refused", "name": name, "known": known, "text": text,
            "error": error.to_string(),
        }),
    }
}

/// A title that was taken apart, changed, and written with the right checksum: only what passes
/// the cheap checks can be written at all, so the text of the whole one is changed.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from) && from != to, "{from}");
    sealed(&text.replacen(from, to, 1))
}

#[test]
#[ignore = "writes title.json anew"]
fn write_title_json() {
    let world = World::new(&LOCAL, "blocks.json");
    let live = World::new(&BITMARK, "blocks-live.json");
    let none = json!({});
    let titles = world.titles(None);
    let longest = titles
        .iter()
        .filter(|t| t.says().asset.is_some())
        .max_by_key(|t| t.says().transfers)
        .unwrap();
    let of_block = titles
        .iter()
        .filter(|t| matches!(t.says().item, Item::Block(_)))
        .max_by_key(|t| t.says().transfers)
        .unwrap();
    let issue = titles
        .iter()
        .find(|t| t.says().transfers == 0 && t.says().asset.is_some())
        .unwrap();
    let text = longest.to_text();
    let height = longest.says().height;
    let mut cases = vec![
        case("passed on", &text, &none),
        case("a block", &of_block.to_text(), &none),
        case("issued", &issue.to_text(), &none),
        case("the live chain", &live.titles(None)[0].to_text(), &none),
        case("known at its end", &text, &world.known(height)),
        case(
            "known is another",
            &text,
            &json!({"3": BlockDigest([0; 32])}),
        ),
    ];
    let begins = world
        .titles(Some(3))
        .into_iter()
        .find(|t| t.title().first == 4)
        .unwrap();
    let short = begins.to_text();
    cases.push(case("begins at a known block", &short, &world.known(3)));
    cases.push(case("begins at nothing known", &short, &none));

    for (case, group) in cases.iter().skip(5).zip(["refused", "holds", "refused"]) {
        assert_eq!(case["group"], group, "{}", case["name"]);
    }
    let title: &Title = longest.title();
    let header = |at: usize| hex::encode(title.headers[at]);
    let hex_of = |at: usize| hex::encode(&title.records[at].packed);
    let flipped = |text: &str, at: usize| {
        let mut text = text.to_owned().into_bytes();
        text[at] = if text[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(text).unwrap()
    };
    let newest = header(title.headers.len() - 1);
    let record = |at: usize| {
        let begin = text.match_indices("    {\"block\": ").nth(at).unwrap().0;
        let end = begin + text[begin..].find("]}").unwrap() + 2;
        text[begin..end].to_owned()
    };
    let owner = |of: &Sound| format!("\"owner\": \"{}\"", of.says().owner);
    let index = |more| format!("\"index\": {},", title.records[0].index + more);
    let (since, height) = (longest.says().since, longest.says().height);
    let says_so = format!("\"since\": {since},\n    \"height\": {height}");
    let other_way = format!("\"height\": {height},\n    \"since\": {since}");
    let damages: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("no title", "{\"a\": 1}\n".to_owned()),
        (
            "one byte changed",
            text.replacen("\"since\"", "\"sincf\"", 1),
        ),
        ("cut short", text[..text.len() / 2].to_owned()),
        ("a line end more", format!("{text}\n")),
        (
            "a blank more",
            changed(&text, "\"first\": ", "\"first\":  "),
        ),
        ("another order", changed(&text, &says_so, &other_way)),
        (
            "a member more",
            changed(&text, "  \"chain\"", "  \"more\": 1,\n  \"chain\""),
        ),
        (
            "another format",
            changed(&text, "bitmark-title-1", "bitmark-title-2"),
        ),
        (
            "no chain",
            changed(&text, "\"chain\": \"local\"", "\"chain\": \"nowhere\""),
        ),
        (
            "another chain",
            changed(&text, "\"chain\": \"local\"", "\"chain\": \"bitmark\""),
        ),
        (
            "another owner said",
            changed(&text, &owner(longest), &owner(of_block)),
        ),
        (
            "another height said",
            changed(&text, "\"height\": ", "\"height\": 1"),
        ),
        (
            "a header's nonce",
            changed(&text, &header(1), &flipped(&header(1), 199)),
        ),
        (
            "the last header's nonce",
            changed(&text, &newest, &flipped(&newest, 199)),
        ),
        (
            "a header's number",
            changed(&text, &header(1), &flipped(&header(1), 9)),
        ),
        (
            "a header's difficulty",
            changed(&text, &header(1), &flipped(&header(1), 183)),
        ),
        (
            "a header left out",
            changed(&text, &format!("    \"{}\",\n", header(1)), ""),
        ),
        (
            "a digest without work",
            changed(&text, &title.digest.to_string(), &"f".repeat(64)),
        ),
        (
            "a signature",
            changed(&text, &hex_of(1), &flipped(&hex_of(1), hex_of(1).len() - 9)),
        ),
        ("another index", changed(&text, &index(0), &index(1))),
        (
            "a transfer left out",
            changed(&text, &format!("{},\n", record(2)), ""),
        ),
        (
            "the asset left out",
            changed(&text, &format!("{},\n", record(0)), ""),
        ),
    ];
    cases.extend(damages.iter().map(|(name, text)| case(name, text, &none)));
    for case in cases.iter().skip(8) {
        assert_eq!(case["group"], "refused", "{}", case["name"]);
    }
    let document = json!({
        "about": "Proofs of title (proto/title.md) made from the blocks of blocks.json and blocks-live.json: those that hold, with what they say and how many digests it takes, and damaged ones with the error. The errors are this implementation's own.",
        "source": "ours",
        "cases": cases,
    });
    let path = format!("{}/proto/vectors/title.json", env!("CARGO_MANIFEST_DIR"));
    let text = serde_json::to_string_pretty(&document).unwrap();
    std::fs::write(path, format!("{text}\n")).unwrap();
}
