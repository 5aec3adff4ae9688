//! The watchers of currency daemons, joined to the engine: what they see goes into its queue. A
//! node without a `[payment]` section that says where to look has none, and transfers wait for
//! the payments of nobody.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::SendTimeoutError;

use super::queue;
use crate::core::chain::Chain;
use crate::core::currency::Currency;
use crate::core::engine::Input;
use crate::core::payment::Timing;
use crate::core::wire::connection::HostPort;
use crate::shell::counters::Health;
use crate::shell::files::config::{self, Config};
use crate::shell::payment::rest::Patience;
use crate::shell::payment::{Sink, discovery, rest};
use crate::shell::zmq;

/// Between two looks whether the node stops, while the queue is full.
const LOOK: Duration = Duration::from_millis(100);

/// The running watchers. Dropping them ends them.
#[derive(Debug, Default)]
pub struct Watchers {
    discovery: Option<discovery::Watcher>,
    rest: Vec<rest::Watcher>,
    stop: Arc<AtomicBool>,
}

impl Watchers {
    /// Starts what is configured. Nobody has to be there.
    ///
    /// # Errors
    /// A name that has no address; no socket or thread.
    pub fn start(
        config: &Config,
        chain: &Chain,
        context: &zmq::Context,
        inputs: &queue::Sender<Input>,
    ) -> anyhow::Result<Self> {
        let payment = &config.payment;
        let mut watchers = Self::default();
        if payment.use_discovery {
            let Some(service) = &payment.discovery else {
                log::warn!(target: "payment", "payment.use_discovery is set and payment.discovery names no service: no payment is seen");
                return Ok(watchers);
            };
            let setup = discovery::Setup::new(
                address(&service.sub_endpoint).context("payment.discovery.sub_endpoint")?,
                address(&service.req_endpoint).context("payment.discovery.req_endpoint")?,
            );
            let sink = watchers.sink(inputs);
            watchers.discovery = Some(discovery::Watcher::start(context, setup, sink)?);
            return Ok(watchers);
        }
        for (currency, daemon) in [
            (Currency::Bitcoin, &payment.bitcoin),
            (Currency::Litecoin, &payment.litecoin),
        ] {
            let Some(daemon) = daemon else { continue };
            let setup = rest::Setup {
                currency,
                is_live: !chain.testing,
                url: daemon.url.clone(),
                timing: Timing::default(),
                patience: Patience::default(),
            };
            let sink = watchers.sink(inputs);
            watchers.rest.push(rest::Watcher::start(setup, sink)?);
        }
        Ok(watchers)
    }

    /// Into the engine's queue; while that is full a watcher waits, and its daemon with it.
    fn sink(&self, inputs: &queue::Sender<Input>) -> Sink {
        let (inputs, stop) = (inputs.clone(), Arc::clone(&self.stop));
        Box::new(move |payment| {
            let mut input = Input::Paid(payment);
            while !stop.load(Ordering::SeqCst) {
                match inputs.send_timeout(input, LOOK) {
                    Err(SendTimeoutError::Timeout(again)) => input = again,
                    Ok(()) | Err(SendTimeoutError::Disconnected(_)) => return,
                }
            }
        })
    }

    /// How the services are that are watched.
    pub fn health(&self) -> Vec<(Currency, Health)> {
        let heard = self.discovery.iter().flat_map(|watcher| &watcher.health);
        let heard = heard.map(|(coin, health)| (*coin, health.clone()));
        let asked = self
            .rest
            .iter()
            .map(|watcher| (watcher.currency, watcher.health.clone()));
        heard.chain(asked).collect()
    }

    /// Whether the threads of all of them run.
    pub fn is_running(&self) -> bool {
        let is_heard = self
            .discovery
            .as_ref()
            .is_none_or(|watcher| watcher.is_running());
        is_heard && self.rest.iter().all(rest::Watcher::is_running)
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Where an endpoint is; a name is looked up once.
fn address(endpoint: &config::Address) -> anyhow::Result<SocketAddr> {
    match endpoint.host_port() {
        HostPort::Address(connection) => Ok(SocketAddr::new(connection.ip(), connection.port())),
        HostPort::Name { host, port } => (host.as_str(), *port)
            .to_socket_addrs()
            .with_context(|| format!("{endpoint} cannot be looked up"))?
            .next()
            .with_context(|| format!("{endpoint} has no address")),
    }
}
