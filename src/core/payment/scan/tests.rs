use serde_json::{Value, json};

use super::*;
use crate::core::id::PayId;

const NOW: u64 = 1_800_000_000;
const TIMING: Timing = Timing {
    poll_ms: 60_000,
    retry_ms: 5_000,
    retry_max_ms: 30_000,
};

/// A daemon with a chain of blocks; branch and height make a hash.
struct Daemon {
    chain: Vec<String>,
    stale: Vec<String>,
    has_headers: bool,
    /// Said to be the newest block, instead of that of the chain.
    best: Option<String>,
    /// A block that it does not have, though its headers name it.
    absent: Option<String>,
}

fn hash(branch: u8, height: usize) -> String {
    format!("{branch:02x}{height:062x}")
}

fn pay_id(number: usize) -> PayId {
    let mut id = [0; 48];
    id[..8].copy_from_slice(&(number as u64).to_be_bytes());
    PayId(id)
}

impl Daemon {
    fn of(height: usize) -> Self {
        Self {
            chain: (0..height).map(|at| hash(0, at)).collect(),
            stale: Vec::new(),
            has_headers: true,
            best: None,
            absent: None,
        }
    }

    /// Replaces the blocks from this height on by another branch.
    fn reorganise(&mut self, from: usize, branch: u8, to: usize) {
        self.stale.extend(self.chain.drain(from..));
        self.chain.extend((from..to).map(|at| hash(branch, at)));
    }

    fn grow(&mut self, to: usize) {
        let from = self.chain.len();
        self.chain.extend((from..to).map(|at| hash(0, at)));
    }

    fn confirmations(&self, hash: &str) -> i64 {
        let at = self.chain.iter().position(|other| other == hash);
        at.map_or(-1, |at| (self.chain.len() - at) as i64)
    }

    fn header(&self, hash: &str) -> Value {
        let at = self.chain.iter().position(|other| other == hash);
        let height = usize::from_str_radix(&hash[2..], 16).unwrap();
        let previous = at
            .map(|at| at.wrapping_sub(1))
            .and_then(|at| self.chain.get(at));
        json!({
            "hash": hash,
            "confirmations": self.confirmations(hash),
            "height": height,
            // Ten minutes a block, the newest now.
            "time": NOW - 600 * (self.chain.len().saturating_sub(height)) as u64,
            "previousblockhash": previous,
            "nextblockhash": at.and_then(|at| self.chain.get(at + 1)),
        })
    }

    /// Every block pays for the id of its height.
    fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        if path == "chaininfo.json" {
            let info = json!({"chain": "main", "blocks": self.chain.len(), "bestblockhash": self.best.as_ref().or(self.chain.last())});
            return Ok(info.to_string().into_bytes());
        }
        if let Some(hash) = path.strip_prefix("headers/1/") {
            if !self.has_headers {
                return Err(Failure::Absent);
            }
            let hash = hash.strip_suffix(".json").unwrap();
            let on_chain = self.confirmations(hash) > 0;
            let list: Vec<Value> = on_chain.then(|| self.header(hash)).into_iter().collect();
            return Ok(json!(list).to_string().into_bytes());
        }
        let hash = path
            .strip_prefix("block/")
            .and_then(|path| path.strip_suffix(".json"));
        let hash = hash.unwrap();
        if self.absent.as_deref() == Some(hash)
            || !self
                .chain
                .iter()
                .chain(&self.stale)
                .any(|other| other == hash)
        {
            return Err(Failure::Absent);
        }
        let mut block = self.header(hash);
        let height = block["height"].as_u64().unwrap() as usize;
        let pays = |number: usize| {
            json!({"txid": "00", "vout": [
                {"value": 0, "scriptPubKey": {"hex": format!("6a30{}", pay_id(number))}},
                {"value": 0.0001, "scriptPubKey": {"hex": "00", "addresses": ["a"]}},
            ]})
        };
        // The first makes coins and is not looked at.
        block["tx"] = json!([pays(9999), pays(height)]);
        Ok(block.to_string().into_bytes())
    }
}

/// Runs until the scan waits; gives the heights whose payments were told, and how long it waits.
/// Nothing fails.
fn run(scan: &mut Scan, daemon: &Daemon) -> (Vec<usize>, Millis) {
    let mut heights = Vec::new();
    for _ in 0..50_000 {
        match scan.next_step() {
            Next::Wait(wait) => return (heights, wait),
            Next::Get(path) => {
                let answer = daemon.get(&path);
                let payments = scan.answer(NOW, answer.as_deref().map_err(Clone::clone));
                for payment in payments.unwrap() {
                    assert_eq!(payment.currency, Currency::Litecoin);
                    let bytes = payment.pay_id.0.first_chunk::<8>().copied().unwrap();
                    heights.push(u64::from_be_bytes(bytes) as usize);
                }
            }
        }
    }
    panic!("it never waits");
}

/// Runs until an answer is a failure; gives that and the wait behind it. Before it nothing waits.
fn run_to_failure(scan: &mut Scan, daemon: &Daemon) -> (Failure, Millis) {
    for _ in 0..50_000 {
        let Next::Get(path) = scan.next_step() else {
            panic!("it waits");
        };
        let answer = daemon.get(&path);
        if let Err(failure) = scan.answer(NOW, answer.as_deref().map_err(Clone::clone)) {
            let Next::Wait(wait) = scan.next_step() else {
                panic!("it goes on");
            };
            return (failure, wait);
        }
    }
    panic!("it never fails");
}

fn scan() -> Scan {
    Scan::new(Currency::Litecoin, true, TIMING)
}

#[test]
fn it_goes_back_72_hours_and_then_follows_the_chain() {
    let mut daemon = Daemon::of(1000);
    let mut scan = scan();
    let (heights, wait) = run(&mut scan, &daemon);
    // Of the newest three blocks none; 72 hours are 432 blocks of ten minutes, and one more tells
    // that they are over.
    assert_eq!(heights, (567..=996).rev().collect::<Vec<_>>());
    assert_eq!(wait, 60_000);
    assert_eq!(run(&mut scan, &daemon), (Vec::new(), 60_000));
    daemon.grow(1003);
    assert_eq!(run(&mut scan, &daemon), (vec![997, 998, 999], 60_000));
    assert!(scan.trail.len() <= TRAIL_MAX);
}

#[test]
fn after_a_reorganisation_it_goes_on_from_the_common_block() {
    let mut daemon = Daemon::of(100);
    let mut scan = scan();
    run(&mut scan, &daemon);
    daemon.reorganise(90, 1, 104);
    assert_eq!(run(&mut scan, &daemon), ((90..=100).collect(), 60_000));
    // Deeper than what it remembers: everything again, after a pause.
    daemon.reorganise(0, 2, 50);
    let (failure, wait) = run_to_failure(&mut scan, &daemon);
    assert!(matches!(failure, Failure::Setback(_)), "{failure}");
    assert_eq!((wait, scan.is_on_its_way()), (5_000, false));
    let (heights, _) = run(&mut scan, &daemon);
    assert!(scan.is_on_its_way());
    assert_eq!(heights, (0..=46).rev().collect::<Vec<_>>());
}

#[test]
fn a_block_that_goes_off_the_chain_on_the_way_back_starts_it_again() {
    let mut daemon = Daemon::of(50);
    let mut scan = scan();
    assert_eq!(scan.next_step(), Next::Get("chaininfo.json".to_owned()));
    let info = daemon.get("chaininfo.json").unwrap();
    scan.answer(NOW, Ok(&info)).unwrap();
    daemon.reorganise(45, 1, 52);
    let (failure, wait) = run_to_failure(&mut scan, &daemon);
    assert!(matches!(failure, Failure::Setback(_)), "{failure}");
    assert_eq!(wait, 5_000);
    let (heights, _) = run(&mut scan, &daemon);
    assert_eq!(heights, (0..=48).rev().collect::<Vec<_>>());
}

#[test]
fn a_chain_that_is_too_short_is_looked_at_again_later() {
    let mut daemon = Daemon::of(3);
    let mut scan = scan();
    assert_eq!(run(&mut scan, &daemon), (Vec::new(), 60_000));
    daemon.grow(5);
    assert_eq!(run(&mut scan, &daemon), (vec![1, 0], 60_000));
}

#[test]
fn failures_make_growing_pauses_and_change_nothing() {
    let daemon = Daemon::of(20);
    let mut scan = scan();
    let fail = |scan: &mut Scan| {
        let Next::Get(path) = scan.next_step() else {
            panic!("it waits")
        };
        let failure = Failure::Other("no connection".to_owned());
        assert_eq!(scan.answer(NOW, Err(failure.clone())), Err(failure));
        let Next::Wait(wait) = scan.next_step() else {
            panic!("it goes on")
        };
        (path, wait)
    };
    let waits: Vec<Millis> = (0..5).map(|_| fail(&mut scan).1).collect();
    assert_eq!(waits, [5_000, 10_000, 20_000, 30_000, 30_000]);
    // A failure on the way back: the same block is asked for again.
    assert_eq!(scan.next_step(), Next::Get("chaininfo.json".to_owned()));
    scan.answer(NOW, Ok(&daemon.get("chaininfo.json").unwrap()))
        .unwrap();
    let (first, wait) = fail(&mut scan);
    assert_eq!(
        (first.as_str(), wait),
        (format!("block/{}.json", hash(0, 19)).as_str(), 5_000)
    );
    assert_eq!(
        run(&mut scan, &daemon).0,
        (0..=16).rev().collect::<Vec<_>>()
    );
}

#[test]
fn a_block_that_cannot_be_had_at_all_starts_it_again() {
    let daemon = Daemon::of(20);
    let mut scan = scan();
    let info = daemon.get("chaininfo.json").unwrap();
    scan.next_step();
    scan.answer(NOW, Ok(&info)).unwrap();
    for _ in 0..FAILURES_MAX {
        assert!(matches!(scan.next_step(), Next::Get(path) if path.starts_with("block/")));
        scan.answer(NOW, Err(Failure::Absent)).unwrap_err();
        assert!(matches!(scan.next_step(), Next::Wait(_)));
    }
    assert_eq!(scan.next_step(), Next::Get("chaininfo.json".to_owned()));
}

#[test]
fn garbage_is_a_failure_and_never_part_of_an_address() {
    for garbage in [
        "",
        "[]",
        "{}",
        "{\"bestblockhash\":7}",
        "{\"bestblockhash\":\"../../../../etc/passwd\"}",
        "{\"bestblockhash\":\"\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\"}",
    ] {
        let mut scan = scan();
        scan.next_step();
        let answer = scan.answer(NOW, Ok(garbage.as_bytes()));
        assert!(matches!(answer, Err(Failure::Garbage(_))), "{garbage}");
    }
    let daemon = Daemon::of(20);
    let mut scan = scan();
    scan.next_step();
    scan.answer(NOW, Ok(&daemon.get("chaininfo.json").unwrap()))
        .unwrap();
    scan.next_step();
    let other = daemon.get(&format!("block/{}.json", hash(0, 3))).unwrap();
    assert!(scan.answer(NOW, Ok(&other)).is_err());
}

#[test]
fn on_the_live_chain_the_daemon_follows_the_main_network() {
    let info = json!({"bestblockhash": hash(0, 1), "chain": "test"}).to_string();
    let mut live = scan();
    live.next_step();
    let refused = live.answer(NOW, Ok(info.as_bytes()));
    assert_eq!(refused, Err(Failure::InvalidChain("test".to_owned())));
    let mut testing = Scan::new(Currency::Litecoin, false, TIMING);
    testing.next_step();
    assert_eq!(testing.answer(NOW, Ok(info.as_bytes())), Ok(Vec::new()));
}

#[test]
fn a_daemon_without_headers_is_asked_for_all_again_after_pauses_that_grow() {
    let mut daemon = Daemon::of(300);
    daemon.has_headers = false;
    let mut scan = scan();
    for pause in [5_000, 10_000, 20_000, 30_000, 30_000] {
        let (failure, wait) = run_to_failure(&mut scan, &daemon);
        assert!(matches!(failure, Failure::Setback(_)), "{failure}");
        assert_eq!((wait, scan.is_on_its_way()), (pause, false));
    }
    daemon.has_headers = true;
    assert_eq!(run(&mut scan, &daemon).1, 60_000);
    assert!(scan.is_on_its_way());
    // The next time the pauses begin small again.
    daemon.has_headers = false;
    assert_eq!(run_to_failure(&mut scan, &daemon).1, 5_000);
}

#[test]
fn a_newest_block_that_is_off_the_chain_is_asked_for_again_after_pauses_that_grow() {
    let mut daemon = Daemon::of(60);
    daemon.reorganise(50, 1, 60);
    daemon.best = daemon.stale.last().cloned();
    let mut scan = scan();
    for pause in [5_000, 10_000, 20_000, 30_000, 30_000] {
        let (failure, wait) = run_to_failure(&mut scan, &daemon);
        assert!(matches!(failure, Failure::Setback(_)), "{failure}");
        assert_eq!((wait, scan.is_on_its_way()), (pause, false));
    }
    daemon.best = None;
    assert_eq!(
        run(&mut scan, &daemon).0,
        (0..=56).rev().collect::<Vec<_>>()
    );
    assert!(scan.is_on_its_way());
}

#[test]
fn a_follower_that_the_daemon_does_not_have_is_asked_for_after_pauses_that_grow() {
    let mut daemon = Daemon::of(60);
    let mut scan = scan();
    run(&mut scan, &daemon);
    daemon.grow(62);
    daemon.absent = Some(hash(0, 57));
    for pause in [5_000, 10_000, 20_000, 30_000] {
        assert_eq!(run_to_failure(&mut scan, &daemon), (Failure::Absent, pause));
        assert!(!scan.is_on_its_way());
    }
    daemon.absent = None;
    assert_eq!(run(&mut scan, &daemon), (vec![57, 58], 60_000));
    assert!(scan.is_on_its_way());
}
