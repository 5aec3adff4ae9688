//! One pool of threads for all signature checks: of blocks, lent to the ledger, and of what waits for
//! the owner of the state. Nothing here says what a good signature is, nor decides what follows.
//!
//! The threads begin at the end of the work; whoever wants the outcome begins at its front, goes on
//! with it at once, and does itself what nobody has done yet. So both are at work until they meet,
//! and the work comes to its end even where nobody helps.
//!
//! Bounds: 31 threads; what is handed out is bounded by who does it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, unbounded};

use crate::core::keys::Verifier;
use crate::core::record::{Checker, Claim, Claims, Divided, Outcomes, RecordError};

/// Most threads of a pool.
const THREADS: usize = 31;
/// Fewer parts than this for each are not worth a thread: it takes longer to wake.
const PARTS_EACH: usize = 4;
/// Claims of a block that are copied, and handed out, at a time.
const CLAIMS: usize = 256;

/// Work, and a place for what comes out of each part: whoever comes first fills it, and who comes
/// meanwhile waits. Nothing can be taken for the outcome of anything else.
#[derive(Debug)]
pub struct Shared<W: Divided> {
    work: W,
    outcomes: Vec<OnceLock<W::Outcome>>,
}

impl<W: Divided> Shared<W> {
    /// Nobody has done anything of it.
    pub fn new(work: W) -> Self {
        let outcomes = (0..work.parts()).map(|_| OnceLock::new()).collect();
        Self { work, outcomes }
    }

    /// How many parts are done.
    #[must_use]
    pub fn done(&self) -> usize {
        let outcomes = self.outcomes.iter();
        outcomes.filter(|place| place.get().is_some()).count()
    }
}

impl<W: Divided> Outcomes<W> for Shared<W> {
    fn work(&self) -> &W {
        &self.work
    }

    fn outcome(&self, number: usize, verifier: &mut Verifier) -> (W::Outcome, bool) {
        let Some(place) = self.outcomes.get(number) else {
            return (self.work.part(number, verifier), true);
        };
        let mut is_now = false;
        let outcome = place.get_or_init(|| {
            is_now = true;
            self.work.part(number, verifier)
        });
        (outcome.clone(), is_now)
    }
}

/// Shared work that was handed out.
struct Job<W: Divided> {
    shared: Arc<Shared<W>>,
    /// Parts that are taken, from the end on.
    taken: AtomicUsize,
    /// No further part is of use.
    is_over: Arc<AtomicBool>,
}

/// Help with some work, as long as this is kept.
#[derive(Debug, Default)]
pub struct Help(Arc<AtomicBool>);

impl Drop for Help {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a thread of the pool does of a job, whatever its work is.
trait Helped: Send + Sync {
    fn help(&self, verifier: &mut Verifier);
}

impl<W: Divided> Helped for Job<W> {
    /// Does parts that nobody has taken until there is none.
    fn help(&self, verifier: &mut Verifier) {
        while !self.is_over.load(Ordering::Relaxed) {
            let taken = self.taken.fetch_add(1, Ordering::Relaxed);
            let Some(number) = self.shared.outcomes.len().checked_sub(taken + 1) else {
                return;
            };
            let (outcome, _) = self.shared.outcome(number, verifier);
            if !self.shared.work.goes_on(&outcome) {
                self.is_over.store(true, Ordering::Relaxed);
            }
        }
    }
}

#[derive(Debug)]
struct Pool {
    queue: Option<Sender<Arc<dyn Helped>>>,
    threads: Vec<JoinHandle<()>>,
    /// Of whoever waits for a block; each thread has one of its own.
    waiting: Mutex<Verifier>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The pool. Clones share it; the last one ends its threads.
#[derive(Debug, Clone)]
pub struct Cores(Arc<Pool>);

impl Cores {
    /// One that has all cores at work together with who waits.
    #[must_use]
    pub fn all() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_helpers((cores - 1).min(THREADS))
    }

    /// One of so many threads beside who waits; fewer where the system has no more.
    #[must_use]
    pub fn with_helpers(count: usize) -> Self {
        let (queue, jobs) = unbounded::<Arc<dyn Helped>>();
        let threads = (1..=count).map_while(|number| {
            let jobs = jobs.clone();
            let thread = std::thread::Builder::new()
                .name(format!("checker-{number}"))
                .spawn(move || {
                    let mut verifier = Verifier::default();
                    jobs.iter().for_each(|job| job.help(&mut verifier));
                });
            thread
                .inspect_err(|e| log::warn!("no thread for signature checks: {e}"))
                .ok()
        });
        Self(Arc::new(Pool {
            threads: threads.collect(),
            queue: Some(queue),
            waiting: Mutex::default(),
        }))
    }

    /// Hands work out to as many as are worth it, as long as what comes back is kept.
    #[must_use]
    pub fn share<W: Divided>(&self, shared: &Arc<Shared<W>>) -> Help {
        let help = Help::default();
        let helpers = (shared.outcomes.len() / PARTS_EACH).min(self.0.threads.len());
        let Some(queue) = self.0.queue.as_ref().filter(|_| helpers > 0) else {
            return help;
        };
        let job: Arc<dyn Helped> = Arc::new(Job {
            shared: Arc::clone(shared),
            taken: AtomicUsize::new(0),
            is_over: Arc::clone(&help.0),
        });
        for _ in 0..helpers {
            let _ = queue.send(Arc::clone(&job));
        }
        help
    }

    /// Whether all threads run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.threads.iter().all(|thread| !thread.is_finished())
    }
}

impl Checker for Cores {
    fn check(&self, claims: &[Claim<'_>]) -> Vec<Result<(), RecordError>> {
        self.check_while(claims, &mut || claims.len())
    }

    fn check_while(
        &self,
        claims: &[Claim<'_>],
        meanwhile: &mut dyn FnMut() -> usize,
    ) -> Vec<Result<(), RecordError>> {
        let parts = claims.chunks(CLAIMS).map(|some| {
            let some = Arc::new(Shared::new(Claims::copied(some)));
            let help = self.share(&some);
            (some, help)
        });
        let parts: Vec<_> = parts.collect();
        let useful = meanwhile().min(claims.len());
        // Mostly one waits at a time; who comes beside him begins anew.
        let mut others = Verifier::default();
        let mut kept = self.0.waiting.try_lock();
        let verifier = kept.as_deref_mut().unwrap_or(&mut others);
        let mut results = Vec::with_capacity(useful);
        for (some, _help) in &parts {
            let numbers = 0..some.outcomes.len().min(useful - results.len());
            results.extend(numbers.map(|number| some.outcome(number, verifier).0));
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::TxId;
    use crate::core::keys::PrivateKey;
    use crate::core::record::{BitmarkTransferCountersigned, Record, sign_first, sign_second};

    #[test]
    fn every_claim_is_answered_in_its_place_as_one_thread_answers_it() {
        let key = |seed| PrivateKey::from_ed25519_seed(&[seed; 32], true);
        let (from, to) = (key(1), key(2));
        let records: Vec<Record> = (0..600_u16)
            .map(|number| {
                let link = [number.to_be_bytes(); 16].concat();
                let mut record =
                    Record::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
                        link: TxId::from_bytes(&link).unwrap(),
                        escrow: None,
                        owner: to.account().unwrap(),
                        signature: Vec::new(),
                        countersignature: Vec::new(),
                    });
                sign_first(&mut record, if number % 7 == 3 { &to } else { &from });
                sign_second(&mut record, if number % 11 == 5 { &from } else { &to });
                record
            })
            .collect();
        let signer = from.account().unwrap();
        let claims: Vec<Claim<'_>> = records
            .iter()
            .map(|record| Claim { record, signer })
            .collect();
        for helpers in [0, 1, 2, 7] {
            let cores = Cores::with_helpers(helpers);
            for count in [0, 1, 7, 8, 9, 16, 17, 63, 100, 600] {
                let mut done = 0;
                let mut all = |useful| {
                    cores.check_while(&claims[..count], &mut || {
                        done += 1;
                        useful
                    })
                };
                let answers = all(usize::MAX);
                for useful in [0, count / 3, count] {
                    assert_eq!(all(useful), answers[..useful]);
                }
                assert_eq!(done, 4);
                assert_eq!(answers, cores.check(&claims[..count]));
                let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
                let expected = (0..count).map(|n| n % 7 != 3 && n % 11 != 5);
                assert_eq!(good, expected.collect::<Vec<_>>(), "{count} with {helpers}");
            }
            assert!(cores.is_running());
        }
    }

    /// Parts that write down the order in which they are done.
    #[derive(Debug)]
    struct Written(usize, Mutex<Vec<usize>>, usize);

    impl Divided for Written {
        type Outcome = usize;

        fn parts(&self) -> usize {
            self.0
        }

        fn part(&self, number: usize, _: &mut Verifier) -> usize {
            self.1.lock().unwrap().push(number);
            number
        }

        fn goes_on(&self, outcome: &usize) -> bool {
            *outcome != self.2
        }
    }

    fn written(parts: usize, last: usize) -> Job<Written> {
        Job {
            shared: Arc::new(Shared::new(Written(parts, Mutex::default(), last))),
            taken: AtomicUsize::new(0),
            is_over: Arc::default(),
        }
    }

    #[test]
    fn helpers_begin_at_the_end_and_stop_where_nothing_more_is_of_use() {
        for (last, expected) in [(9, vec![5, 4, 3, 2, 1, 0]), (3, vec![5, 4, 3])] {
            let job = written(6, last);
            job.help(&mut Verifier::default());
            job.help(&mut Verifier::default());
            assert_eq!(*job.shared.work.1.lock().unwrap(), expected);
            assert_eq!(job.shared.done(), expected.len());
        }
    }

    #[test]
    fn many_who_help_and_one_who_asks_do_each_part_once() {
        let job = written(1000, usize::MAX);
        let found_now = std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| job.help(&mut Verifier::default()));
            }
            let mut verifier = Verifier::default();
            let mut found_now = Vec::new();
            for number in 0..1000 {
                let (outcome, is_now) = job.shared.outcome(number, &mut verifier);
                assert_eq!(outcome, number);
                found_now.extend(is_now.then_some(number));
            }
            found_now
        });
        let mut done = job.shared.work.1.lock().unwrap().clone();
        done.sort_unstable();
        assert!(done.into_iter().eq(0..1000));
        let mut verifier = Verifier::default();
        for number in found_now {
            assert_eq!(job.shared.outcome(number, &mut verifier), (number, false));
        }
    }

    #[test]
    fn who_stops_to_need_the_outcome_stops_the_help() {
        let job = written(6, usize::MAX);
        drop(Help(Arc::clone(&job.is_over)));
        job.help(&mut Verifier::default());
        assert_eq!(job.shared.done(), 0);
    }
}
