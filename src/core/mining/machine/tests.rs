//! The machine of `super`, driven by hand; digests are made up.

use super::*;
use crate::core::chain::LOCAL;
use crate::core::id::TxId;
use crate::core::mining::assembly::AssetNeed;

const GOOD: BlockDigest = BlockDigest([0; 32]);
const BAD: BlockDigest = BlockDigest([0xff; 32]);
const ANNA: Client = Client(1);

struct Bench {
    mining: Mining,
    now: Now,
}

fn parent(number: u64) -> Parent {
    Parent {
        number,
        digest: BlockDigest([u8::try_from(number).unwrap(); 32]),
        version: 2,
        timestamp: 500,
    }
}

fn record(name: &str) -> Candidate {
    Candidate {
        id: TxId::of(name.as_bytes()),
        packed: name.as_bytes().into(),
        link: None,
        asset: AssetNeed::None,
    }
}

impl Bench {
    /// Normal, on block 5, nothing published yet.
    fn new() -> Self {
        let settings = Settings::of_chain(&LOCAL, Foundation::new(b"foundation".to_vec()));
        let mut bench = Self {
            mining: Mining::new(settings, [1; 32]),
            now: Now {
                mono: 10_000,
                wall: 1_000,
            },
        };
        assert_eq!(bench.give(Input::Tip(parent(5))), []);
        assert_eq!(
            bench.give(Input::Normal(true)),
            [Effect::NeedRecords(9_999)]
        );
        bench
    }

    fn give(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.mining.step(self.now, input, &mut out);
        out
    }

    fn later(&mut self, ms: Millis) -> &mut Self {
        self.now = self.now.plus_ms(ms);
        self
    }

    /// Publishes work with this record; the job's name.
    fn work(&mut self, name: &str) -> String {
        let out = self.give(Input::Records(vec![record(name)]));
        assert!(matches!(out.as_slice(), [Effect::Publish(_)]), "{out:?}");
        self.mining.jobs().last().unwrap().name()
    }

    fn submit(&mut self, client: Client, job: &str, nonce: u64) -> Vec<Effect> {
        let work = crate::core::mining::work::Work {
            job: job.to_owned(),
            header: self.mining.jobs().last().map_or_else(
                || Header::unpack(LOCAL.genesis).unwrap().0,
                |job| job.header,
            ),
        };
        self.give(Input::Submission {
            client,
            frame: work.submission(nonce).into_bytes(),
        })
    }
}

fn refusal(client: Client, job: &str) -> Effect {
    Effect::Reply {
        client,
        text: reply(job, false),
    }
}

fn request_of(effects: &[Effect]) -> u64 {
    match effects {
        [Effect::ComputeDigest { request, .. }] => *request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_tip_brings_new_work_at_once_and_ends_the_old() {
    let mut bench = Bench::new();
    let old = bench.work("a");
    let out = bench.give(Input::Tip(parent(6)));
    assert_eq!(out, [Effect::NeedRecords(9_999)]);
    assert_eq!(bench.submit(ANNA, &old, 1), [refusal(ANNA, &old)]);
    bench.work("a");
    let header = bench.mining.jobs().last().unwrap().header;
    assert_eq!(header.number, 7);
    assert_eq!(header.previous_block, parent(6).digest);
    assert_eq!(bench.give(Input::Tip(parent(6))), [], "the same tip again");
}

#[test]
fn a_change_of_the_set_brings_new_work_at_most_once_a_second() {
    let mut bench = Bench::new();
    assert_eq!(bench.give(Input::VerifiedChanged), []);
    assert_eq!(bench.mining.next_wakeup(), Some(11_000));
    assert_eq!(bench.later(999).give(Input::Wake), []);
    let asked = [Effect::NeedRecords(9_999)];
    assert_eq!(bench.later(1).give(Input::Wake), asked);
    assert_eq!(bench.later(1).give(Input::VerifiedChanged), []);
    assert_eq!(bench.later(5_000).give(Input::VerifiedChanged), asked);
}

#[test]
fn the_newest_work_is_made_anew_after_the_interval() {
    let mut bench = Bench::new();
    bench.work("a");
    assert_eq!(bench.mining.next_wakeup(), Some(25_000));
    let out = bench.later(15_000).give(Input::Wake);
    assert_eq!(out, [Effect::NeedRecords(9_999)]);
    bench.work("a");
    let jobs: Vec<_> = bench.mining.jobs().collect();
    assert_eq!(jobs.len(), 2);
    assert!(Arc::ptr_eq(&jobs[0].body, &jobs[1].body), "shared records");
    assert_eq!(jobs[1].header.timestamp, jobs[0].header.timestamp + 15);
    assert_ne!(jobs[1].header.nonce, jobs[0].header.nonce);
}

#[test]
fn an_older_job_on_the_same_tip_stays_valid() {
    let mut bench = Bench::new();
    let first = bench.work("a");
    let second = bench.work("b");
    assert_ne!(first, second);
    let request = request_of(&bench.submit(ANNA, &first, 7));
    let out = bench.give(Input::Digest {
        request,
        digest: GOOD,
    });
    let [Effect::StoreBlock { packed, digest }] = out.as_slice() else {
        panic!("{out:?}");
    };
    assert_eq!(*digest, GOOD);
    let (header, rest) = Header::unpack(packed).unwrap();
    assert_eq!(header.nonce, 7);
    assert_eq!(rest, b"foundationa");
    assert_eq!(bench.mining.jobs().count(), 0, "all jobs end with a block");
    let reply = Effect::Reply {
        client: ANNA,
        text: r#"{"job":"0001","ok":true}"#.into(),
    };
    assert_eq!(bench.give(Input::Stored(true)), [reply]);
}

#[test]
fn a_block_that_is_refused_is_answered_false_to_everybody_and_brings_new_work() {
    let mut bench = Bench::new();
    let job = bench.work("a");
    let request = request_of(&bench.submit(ANNA, &job, 7));
    assert_eq!(bench.submit(Client(2), &job, 7), []);
    assert_eq!(bench.submit(Client(3), &job, 8), []);
    let digest = GOOD;
    let out = bench.give(Input::Digest { request, digest });
    assert!(
        matches!(&out[..], [Effect::StoreBlock { .. }, other] if *other == refusal(Client(3), &job)),
        "{out:?}"
    );
    let out = bench.give(Input::Stored(false));
    let told = [refusal(ANNA, &job), refusal(Client(2), &job)];
    assert_eq!(out[..2], told);
    assert_eq!(out[2..], [Effect::NeedRecords(9_999)]);
    let next = bench.work("a");
    assert_ne!(next, job);
    request_of(&bench.submit(ANNA, &next, 7));
}

#[test]
fn nothing_is_published_for_an_empty_pool_or_outside_of_normal() {
    let mut bench = Bench::new();
    assert_eq!(bench.give(Input::Records(Vec::new())), []);
    let job = bench.work("a");
    assert_eq!(bench.give(Input::Normal(false)), []);
    assert_eq!(bench.submit(ANNA, &job, 1), [refusal(ANNA, &job)]);
    assert_eq!(bench.later(60_000).give(Input::VerifiedChanged), []);
    assert_eq!(bench.give(Input::Records(vec![record("a")])), []);
    assert_eq!(bench.mining.next_wakeup(), None);
    assert_eq!(
        bench.give(Input::Normal(true)),
        [Effect::NeedRecords(9_999)]
    );
}

#[test]
fn an_unknown_request_keeps_the_jobs() {
    let mut bench = Bench::new();
    let job = bench.work("a");
    let frame = br#"{"Request":"block.other","Job":"0001","Packed":"AAAAAAAAAAA="}"#;
    let out = bench.give(Input::Submission {
        client: ANNA,
        frame: frame.to_vec(),
    });
    assert_eq!(out, [refusal(ANNA, &job)]);
    request_of(&bench.submit(ANNA, &job, 1));
}

#[test]
fn a_nonce_is_digested_once_and_everybody_is_answered() {
    let mut bench = Bench::new();
    let job = bench.work("a");
    let request = request_of(&bench.submit(ANNA, &job, 1));
    assert_eq!(bench.submit(Client(2), &job, 1), []);
    let digest = BAD;
    let out = bench.give(Input::Digest { request, digest });
    assert_eq!(out, [refusal(ANNA, &job), refusal(Client(2), &job)]);
    assert_eq!(bench.submit(Client(3), &job, 1), [refusal(Client(3), &job)]);
    request_of(&bench.submit(ANNA, &job, 2));
}

#[test]
fn one_client_has_a_few_places_and_all_of_them_a_bound() {
    let mut bench = Bench::new();
    let job = bench.work("a");
    request_of(&bench.submit(ANNA, &job, 1));
    for nonce in 2..=4 {
        assert_eq!(bench.submit(ANNA, &job, nonce), []);
    }
    assert_eq!(bench.submit(ANNA, &job, 5), [refusal(ANNA, &job)]);
    for client in 2..62 {
        assert_eq!(bench.submit(Client(client), &job, client), []);
    }
    let late = Client(99);
    assert_eq!(bench.submit(late, &job, 99), [refusal(late, &job)]);
}

#[test]
fn a_digest_for_a_job_that_ended_meanwhile_is_passed_over() {
    let mut bench = Bench::new();
    let job = bench.work("a");
    let request = request_of(&bench.submit(ANNA, &job, 1));
    let out = bench.give(Input::Tip(parent(6)));
    assert_eq!(out[0], refusal(ANNA, &job));
    let next = bench.work("a");
    assert_eq!(bench.submit(ANNA, &next, 1), [], "one digest at a time");
    let digest = GOOD;
    let out = bench.give(Input::Digest { request, digest });
    assert_ne!(request_of(&out), request, "the next one begins");
    assert_eq!(bench.give(Input::Digest { request, digest }), []);
}

#[test]
fn few_jobs_are_kept_and_the_oldest_goes() {
    let mut bench = Bench::new();
    for n in 0..JOBS_MAX + 3 {
        bench.work(&format!("record {n}"));
    }
    assert_eq!(bench.mining.jobs().count(), JOBS_MAX);
    assert_eq!(bench.submit(ANNA, "0001", 1), [refusal(ANNA, "0001")]);

    for n in 0..6 {
        let big = Candidate {
            packed: vec![n; 4_000_000].into(),
            ..record(&format!("big {n}"))
        };
        bench.give(Input::Records(vec![big]));
    }
    let bytes: usize = bench.mining.jobs().map(|job| job.body.block_bytes()).sum();
    assert!(bytes <= JOB_BYTES_MAX);
    assert_eq!(bench.mining.jobs().count(), 4);
}

#[test]
fn the_header_is_never_dated_before_its_parent_nor_of_a_lower_version() {
    let mut bench = Bench::new();
    let late = Parent {
        version: 3,
        timestamp: 5_000,
        ..parent(6)
    };
    bench.give(Input::Tip(late));
    bench.work("a");
    let header = bench.mining.jobs().last().unwrap().header;
    assert_eq!((header.timestamp, header.version), (5_000, 3));
    assert_eq!(header.check(&LOCAL, 5_000), Ok(()));
}

#[test]
fn job_numbers_begin_with_one_and_wrap() {
    let mut bench = Bench::new();
    assert_eq!(bench.work("a"), "0001");
    bench.mining.last_job = u16::MAX;
    assert_eq!(bench.work("a"), "0000");
}
