//! What is shown of a chain of three blocks in memory, and of what waits beside it.

use serde_json::{Value, json};

use super::*;
use crate::core::block::{Compact, Header};
use crate::core::chain::LOCAL;
use crate::core::currency::{Currency, Payments, address};
use crate::core::record::samples::{account, issue, key, transfer};
use crate::core::record::{AssetData, BlockFoundation, Record, merkle, sign};
use crate::core::reservoir::{Caps, Command, Effect, Input, Timing};
use crate::core::state::{Batch, MemoryStore};
use crate::core::time::Now;
use crate::core::title::{Making, Piece};

const NOW: Now = Now {
    mono: 0,
    wall: 1_600_000_000,
};
const PRINT: &str = "01abcdef";

fn foundation(nonce: u64) -> Vec<u8> {
    let coin = |currency| {
        let address = address::encode(111, &[7; 20]).into_bytes();
        (currency, address)
    };
    let payments = Payments([coin(Currency::Bitcoin), coin(Currency::Litecoin)].into());
    let mut record = Record::BlockFoundation(BlockFoundation {
        version: 1,
        payments,
        owner: account(7),
        nonce,
        signature: Vec::new(),
    });
    sign(&mut record, &key(7)).unwrap()
}

fn asset(name: &str, print: &str) -> Vec<u8> {
    let mut record = Record::AssetData(AssetData {
        name: name.into(),
        fingerprint: print.into(),
        metadata: b"kind\0picture".to_vec(),
        registrant: account(1),
        signature: Vec::new(),
    });
    sign(&mut record, &key(1)).unwrap()
}

struct World {
    store: MemoryStore,
    ledger: Ledger,
    pools: Reservoir,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            store: MemoryStore::new(),
            ledger: Ledger::empty(&LOCAL),
            pools: Reservoir::new(Caps::default(), Timing::default(), NOW),
        };
        world.input(Input::Mode { normal: true });
        world
    }

    fn block(&mut self, records: &[Vec<u8>]) {
        let number = self.ledger.height() + 1;
        let all: Vec<Vec<u8>> = [foundation(number)]
            .into_iter()
            .chain(records.iter().cloned())
            .collect();
        let ids: Vec<TxId> = all.iter().map(|packed| TxId::of(packed)).collect();
        let header = Header {
            version: 2,
            transaction_count: u16::try_from(all.len()).unwrap(),
            number,
            previous_block: self.ledger.tip().digest,
            merkle_root: merkle::root(&ids),
            timestamp: 1_500_000_000 + number,
            difficulty: Compact::ONE,
            nonce: 1,
        };
        let packed = [header.pack().to_vec(), all.concat()].concat();
        let digest = Self::digest(number);
        let applied = self
            .ledger
            .apply(&self.store, &packed, digest, NOW.wall)
            .unwrap();
        self.store.apply(&applied.batch);
        self.input(Input::BlockStored {
            number,
            confirmed: applied.confirmed,
        });
    }

    /// Small enough for any difficulty, and each another.
    fn digest(number: u64) -> BlockDigest {
        let mut digest = [0; 32];
        digest[0] = u8::try_from(number).unwrap();
        BlockDigest(digest)
    }

    fn input(&mut self, input: Input) {
        let confirmed = Confirmed {
            view: &self.store,
            ledger: &self.ledger,
        };
        let mut out = Vec::new();
        self.pools.step(NOW, input, &confirmed, &mut out);
        let mut batch = Batch::new();
        for effect in out {
            match effect {
                Effect::Persist(changes) => batch.extend(changes),
                Effect::Reply { result, .. } => {
                    result.unwrap();
                }
                _ => {}
            }
        }
        self.store.apply(&batch);
    }

    fn peer(&mut self, command: Command, data: Vec<u8>) {
        self.input(Input::Peer {
            command,
            data,
            source: Some(1),
            ticket: 9,
        });
    }

    fn ask(&self, question: &Question) -> Result<Value, Blank> {
        Sight {
            view: &self.store,
            ledger: &self.ledger,
            reservoir: &self.pools,
        }
        .show(question)
    }

    fn show(&self, question: &Question) -> Value {
        self.ask(question).unwrap()
    }

    fn found(&self, text: &str) -> Value {
        self.show(&Question::Search(text.to_owned(), None))["found"].clone()
    }
}

/// Block 2 issues a bitmark, block 3 passes it on to account 2; account 2 gives it to account 3,
/// and another asset has an issue, which both wait.
fn world() -> (World, [TxId; 4]) {
    let mut world = World::new();
    let issued = issue(PRINT, 1);
    let first = TxId::of(&issued);
    world.block(&[asset("picture", PRINT), issued]);
    let passed = transfer(first, 1, 2);
    let second = TxId::of(&passed);
    world.block(&[passed]);
    let waiting = transfer(second, 2, 3);
    let third = TxId::of(&waiting);
    world.peer(Command::Transfer, waiting);
    world.peer(Command::Assets, asset("other", "print two"));
    let another = issue("print two", 5);
    let fourth = TxId::of(&another);
    world.peer(Command::Issues, another);
    (world, [first, second, third, fourth])
}

#[test]
fn blocks_are_listed_from_the_newest_down_to_genesis() {
    let (world, _) = world();
    let shown = world.show(&Question::Blocks(None));
    let numbers: Vec<u64> = shown["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_eq!(shown["next"], Value::Null);
    assert_eq!(shown["blocks"][1]["records"], 3);
    assert_eq!(shown["blocks"][1]["owner"], account(7).to_string());
    let shown = world.show(&Question::Blocks(Some(2)));
    assert_eq!(shown["blocks"].as_array().unwrap().len(), 1);
}

#[test]
fn a_long_list_of_blocks_goes_on_where_it_ended() {
    let mut world = World::new();
    for nonce in 1..=30 {
        let print = format!("print {nonce}");
        world.block(&[asset("a", &print), issue(&print, nonce)]);
    }
    let mut below = None;
    let mut seen = Vec::new();
    loop {
        let shown = world.show(&Question::Blocks(below));
        let blocks = shown["blocks"].as_array().unwrap();
        assert!(blocks.len() <= BLOCKS_MAX);
        seen.extend(blocks.iter().map(|b| b["number"].as_u64().unwrap()));
        below = shown["next"].as_u64();
        if below.is_none() {
            break;
        }
    }
    let all: Vec<u64> = (1..=31).rev().collect();
    assert_eq!(seen, all);
}

#[test]
fn a_block_is_shown_with_its_records_and_one_that_is_not_there_says_so() {
    let (world, [first, ..]) = world();
    let shown = world.show(&Question::Block(BlockAt::Number(2), 0));
    assert_eq!(shown["digest"], World::digest(2).to_string());
    let list = shown["list"].as_array().unwrap();
    assert_eq!(list.len(), 3);
    assert_eq!(list[1]["name"], "picture");
    assert_eq!(list[2]["id"], first.to_string());
    assert_eq!(shown["next"], Value::Null);
    let part = world.show(&Question::Block(BlockAt::Number(2), 2));
    assert_eq!(part["list"][0]["index"], 2);
    let own = list[0]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        world.show(&Question::Record(own))["type"],
        "BlockFoundation"
    );
    for number in [0, 4, u64::MAX] {
        let blank = world.ask(&Question::Block(BlockAt::Number(number), 0));
        assert!(matches!(blank, Err(Blank::Nothing(_))), "{number}");
    }
    let genesis = world.show(&Question::Block(BlockAt::Number(1), 0));
    assert_eq!(genesis["digest"], LOCAL.genesis_digest.to_string());
    let newest = world.show(&Question::Block(BlockAt::Newest, usize::MAX));
    assert_eq!(newest["number"], 3);
    assert_eq!(newest["list"], json!([]));
}

#[test]
fn a_record_tells_where_it_is_and_who_follows() {
    let (world, [first, second, third, fourth]) = world();
    let shown = world.show(&Question::Record(first));
    assert_eq!(shown["status"], "Confirmed");
    assert_eq!(shown["block"], 2);
    assert_eq!(shown["isCurrent"], false);
    assert_eq!(shown["asset"]["name"], "picture");
    assert_eq!(shown["fields"]["nonce"], "1");
    let shown = world.show(&Question::Record(second));
    assert_eq!(shown["isCurrent"], true);
    assert_eq!(shown["waitingFollower"], third.to_string());
    let shown = world.show(&Question::Record(third));
    assert_eq!(shown["status"], "Pending");
    assert_eq!(shown["waits"]["for"], "payment");
    assert!(shown["waits"]["due"]["BTC"].is_array());
    let shown = world.show(&Question::Record(fourth));
    assert_eq!(shown["waits"]["for"], "proof or payment");
    assert_eq!(shown["waits"]["missingAssets"], json!([]));
    let blank = world.ask(&Question::Record(TxId::default()));
    assert!(matches!(blank, Err(Blank::Nothing(_))));
}

#[test]
fn a_provenance_goes_back_from_what_waits_to_the_asset() {
    let (world, [first, second, third, _]) = world();
    let shown = world.show(&Question::Provenance(third));
    let ids: Vec<&str> = shown["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["id"].as_str().unwrap())
        .collect();
    let expected = [third, second, first].map(|id| id.to_string());
    assert_eq!(ids, expected);
    assert_eq!(shown["steps"][0]["block"], Value::Null);
    assert_eq!(shown["steps"][2]["timestamp"], 1_500_000_002);
    assert_eq!(shown["asset"]["name"], "picture");
    assert_eq!(shown["next"], Value::Null);
}

#[test]
fn who_followed_and_all_issues_are_found_by_looking_through_the_blocks() {
    let (world, [first, second, ..]) = world();
    let look = |wanted, from| world.show(&Question::Look(wanted, from));
    let shown = look(Wanted::Follower(first), 2);
    assert_eq!(shown["found"][0]["id"], second.to_string());
    assert_eq!(shown["next"], Value::Null);
    let shown = look(Wanted::Follower(second), 0);
    assert_eq!(shown["found"], json!([]));
    assert_eq!(shown["next"], Value::Null);
    let id = AssetId::of(PRINT.as_bytes());
    let shown = look(Wanted::Issues(id), 0);
    assert_eq!(shown["found"][0]["id"], first.to_string());
    assert_eq!(look(Wanted::Issues(id), u64::MAX)["found"], json!([]));
}

#[test]
fn looking_through_many_blocks_is_done_in_slices() {
    let mut world = World::new();
    let last = LOOK_BLOCKS + 10;
    for nonce in 2..=last {
        let print = format!("print {nonce}");
        world.block(&[asset("a", &print), issue(&print, nonce)]);
    }
    let wanted = Wanted::Issues(AssetId::of(format!("print {last}").as_bytes()));
    let first = world.show(&Question::Look(wanted, 2));
    assert_eq!(first["found"], json!([]));
    assert_eq!(first["next"], 2 + LOOK_BLOCKS);
    let second = world.show(&Question::Look(wanted, 2 + LOOK_BLOCKS));
    assert_eq!(second["found"][0]["block"], last);
    assert_eq!(second["next"], Value::Null);
}

#[test]
fn an_asset_is_found_by_id_and_by_fingerprint_with_its_issues() {
    let (world, [first, _, _, fourth]) = world();
    let shown = world.show(&Question::Fingerprint(PRINT.to_owned()));
    assert_eq!(shown["name"], "picture");
    assert_eq!(shown["metadata"], json!([["kind", "picture"]]));
    assert_eq!(shown["issues"][0]["id"], first.to_string());
    let id = AssetId::of(PRINT.as_bytes());
    assert_eq!(world.show(&Question::Asset(id)), shown);
    let waiting = world.show(&Question::Fingerprint("print two".to_owned()));
    assert_eq!(waiting["status"], "Pending");
    assert_eq!(waiting["issues"][0]["id"], fourth.to_string());
    let blank = world.ask(&Question::Fingerprint("print three".to_owned()));
    assert!(matches!(blank, Err(Blank::Nothing(_))));
}

#[test]
fn an_account_shows_what_it_has_and_not_what_it_passed_on() {
    let (world, [_, second, third, _]) = world();
    let list = |number| world.show(&Question::Account(account(number), 0))["list"].clone();
    assert_eq!(list(1), json!([]));
    let of_two = list(2);
    assert_eq!(of_two[0]["id"], second.to_string());
    assert_eq!(of_two[0]["asset"]["name"], "picture");
    assert_eq!(of_two[0]["sinceBlock"], 3);
    assert_eq!(of_two[0]["waitingFollower"], third.to_string());
    assert_eq!(list(3), json!([]));
    assert_eq!(list(7).as_array().unwrap().len(), 2, "two blocks");
}

#[test]
fn a_long_list_of_an_account_goes_on_where_it_ended() {
    let mut world = World::new();
    let issues: Vec<Vec<u8>> = (1..=60).map(|nonce| issue(PRINT, nonce)).collect();
    world.block(&[&[asset("a", PRINT)], issues.as_slice()].concat());
    let mut from = 0;
    let mut count = 0;
    loop {
        let shown = world.show(&Question::Account(account(1), from));
        let list = shown["list"].as_array().unwrap();
        assert!(list.len() <= OWNED_MAX);
        count += list.len();
        match shown["next"].as_u64() {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(count, 60);
}

#[test]
fn what_waits_is_listed_with_what_it_waits_for() {
    let (world, [_, _, third, fourth]) = world();
    let shown = world.show(&Question::Pending(None));
    assert_eq!(shown["pending"], 2);
    let list = shown["list"].as_array().unwrap();
    let of = |id: &TxId| {
        list.iter()
            .find(|set| set["records"][0]["id"] == id.to_string())
            .unwrap()
    };
    assert_eq!(of(&third)["kind"], "transfer");
    assert_eq!(of(&third)["waits"]["for"], "payment");
    assert_eq!(of(&fourth)["kind"], "issues");
    assert_eq!(of(&fourth)["waits"]["remainingSeconds"], 72 * 3600);
    let last: PayId = list[1]["payId"].as_str().unwrap().parse().unwrap();
    let rest = world.show(&Question::Pending(Some(last)));
    assert_eq!(rest["list"], json!([]));
}

#[test]
fn a_title_comes_in_pieces_and_what_waits_or_was_passed_on_has_none() {
    let (world, [first, second, third, _]) = world();
    let mut making = Making::new(second, None);
    let mut asked = 0;
    while let Some(ask) = making.ask() {
        let shown = world.show(&Question::Title(ask));
        making
            .take(Piece::from_text(shown.as_str().unwrap()).unwrap())
            .unwrap();
        asked += 1;
    }
    assert_eq!(asked, 2, "the records, and the headers");
    let made = making.finish().unwrap();
    assert_eq!(made.says().owner, account(2));
    assert_eq!((made.says().since, made.says().height), (3, 3));
    for (id, why) in [
        (first, "was passed on"),
        (third, "waits: it is in no block yet"),
        (TxId([9; 32]), "no block has transaction"),
    ] {
        let Err(Blank::Nothing(told)) = world.ask(&Question::Title(Ask::Newest(id))) else {
            panic!("there is no title to {id}");
        };
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn the_search_finds_everything_by_every_name() {
    let (world, [first, _, third, _]) = world();
    let block = json!([{"kind": "block", "number": 2}]);
    assert_eq!(world.found("2"), block);
    assert_eq!(world.found(" #2 "), block);
    assert_eq!(world.found(&World::digest(2).to_string()), block);
    assert_eq!(world.found(&World::digest(2).display()), block);
    let genesis = json!([{"kind": "block", "number": 1}]);
    assert_eq!(world.found(&LOCAL.genesis_digest.to_string()), genesis);
    assert_eq!(world.found(&first.to_string())[0]["type"], "BitmarkIssue");
    assert_eq!(world.found(&first.display())[0]["id"], first.to_string());
    assert_eq!(world.found(&third.to_string())[0]["kind"], "record");
    let id = AssetId::of(PRINT.as_bytes());
    assert_eq!(world.found(&id.to_string())[0]["name"], "picture");
    assert_eq!(world.found(PRINT)[0]["assetId"], id.to_string());
    let owner = account(2).to_string();
    assert_eq!(world.found(&owner)[0]["account"], owner);
    for nothing in ["", "99", "zz", "\u{0}", &"0".repeat(64), &"9".repeat(300)] {
        assert_eq!(world.found(nothing), json!([]), "{nothing:?}");
    }
}
