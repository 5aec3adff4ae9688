//! The REST mode: a thread a coin that asks its daemon what the scan wants to know
//! (`proto/reservoir.md`, section 15; `core::payment::scan`).
//!
//! A question may take as long as [`Patience`] says; the stop does not wait for its end: a thread
//! that hangs in one is left behind and ends with it.

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::fetch::Fetch;
pub use super::fetch::Patience;
use super::{Sink, Trouble, now};
use crate::core::currency::Currency;
use crate::core::payment::{Next, Scan, Timing};
use crate::shell::counters::Health;

/// How long the stop waits for a thread that is in the middle of a question.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// Which daemon is watched, and how.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The coin.
    pub currency: Currency,
    /// Whether payments are those of the live network.
    pub is_live: bool,
    /// Base of its REST service.
    pub url: String,
    /// When it is asked.
    pub timing: Timing,
    /// How long it may take to answer.
    pub patience: Patience,
}

/// A running watcher. Dropping it ends it.
#[derive(Debug)]
pub struct Watcher {
    /// The coin.
    pub currency: Currency,
    /// How its daemon is.
    pub health: Health,
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl Watcher {
    /// Starts to watch. Whether the daemon is there does not matter.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(setup: Setup, mut sink: Sink) -> io::Result<Self> {
        let (stop, stopped) = bounded(0);
        let (end, ended) = bounded(0);
        let health = Health::default();
        let (told, currency) = (health.clone(), setup.currency);
        std::thread::Builder::new()
            .name(format!("payment-{}", setup.currency.text()))
            .spawn(move || {
                watch(&setup, &mut sink, &told, &stopped);
                drop(end);
            })?;
        Ok(Self {
            currency,
            health,
            stop: Some(stop),
            ended,
        })
    }

    /// Whether its thread runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.ended.try_recv() == Err(crossbeam_channel::TryRecvError::Empty)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Nothing is ever sent: the wait ends with the thread, or with the time.
        let _ = self.ended.recv_timeout(STOP_WAIT);
    }
}

fn watch(setup: &Setup, sink: &mut Sink, health: &Health, stopped: &Receiver<()>) {
    let fetch = Fetch::new(&setup.url, setup.patience);
    let mut scan = Scan::new(setup.currency, setup.is_live, setup.timing);
    let mut trouble = Trouble::with(format!("{} at {}", setup.currency.text(), setup.url));
    loop {
        let wait = match scan.next_step() {
            Next::Wait(ms) => Duration::from_millis(ms),
            Next::Get(path) => {
                let answer = fetch.get(&path);
                match scan.answer(now(), answer.as_deref().map_err(Clone::clone)) {
                    Ok(payments) => {
                        // After a setback it works again when the scan has come over it.
                        if scan.is_on_its_way() {
                            trouble.works();
                            health.answered(now());
                        }
                        for payment in payments {
                            health.paid();
                            sink(payment);
                        }
                    }
                    Err(failure) => {
                        health.failed();
                        trouble.failed(failure);
                    }
                }
                Duration::ZERO
            }
        };
        if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}
