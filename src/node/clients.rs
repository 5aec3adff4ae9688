//! The thread of the services for clients and for people: one runtime, one task a connection. It
//! asks the engine and decides nothing. A service that cannot bind is logged; the others run on.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::desk::Desk;
use crate::core::engine::Input;
use crate::core::explore::Shown;
use crate::core::rpc;
use crate::shell::counters::Counters;
use crate::shell::counters::requests::{ANSWERED, ERROR, OTHER, REFUSED};
use crate::shell::explorer;
use crate::shell::files::config::{Config, ListenAddress};
use crate::shell::https::paths::Page;
use crate::shell::https::{self, Pages};
use crate::shell::rpc::{self as tls_rpc, Answer, Service};
use crate::shell::tcp::tls;

/// What the services ask with.
#[derive(Debug, Clone)]
pub struct Desks {
    pub calls: Desk<rpc::Outcome>,
    pub views: Desk<Shown>,
}

/// What the services show of themselves, read before anything starts.
#[derive(Debug)]
pub struct Certificates {
    rpc: Option<Arc<ServerConfig>>,
    https: Option<Arc<ServerConfig>>,
    explorer: Option<Arc<ServerConfig>>,
}

impl Certificates {
    /// Those of the services that are configured.
    ///
    /// # Errors
    /// A file that is missing or holds something else, and what to do.
    pub fn read(config: &Config) -> anyhow::Result<Self> {
        type Listen = [ListenAddress];
        let read = |listen: &Listen, certificate: &Path, key: &Path, protocols: &[&[u8]]| {
            let is_on = !listen.is_empty();
            is_on
                .then(|| tls::server(certificate, key, protocols))
                .transpose()
        };
        let (rpc, https) = (&config.client_rpc, &config.https_rpc);
        let pages = &config.explorer;
        let explorer = match (&pages.certificate, &pages.private_key) {
            (Some(certificate), Some(key)) => {
                read(&pages.listen, certificate, key, &explorer::PROTOCOLS)
                    .context("explorer.certificate")?
            }
            _ => None,
        };
        Ok(Self {
            rpc: read(&rpc.listen, &rpc.certificate, &rpc.private_key, &[])
                .context("client_rpc.certificate")?,
            https: read(
                &https.listen,
                &https.certificate,
                &https.private_key,
                &https::PROTOCOLS,
            )
            .context("https_rpc.certificate")?,
            explorer,
        })
    }
}

/// The running thread. Dropping it ends it.
#[derive(Debug)]
pub struct Clients {
    /// Where JSON-RPC was bound.
    pub rpc: Vec<SocketAddr>,
    /// Where HTTPS was bound.
    pub https: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Clients {
    /// Starts what is configured; `counters` are shown by the explorer.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub fn start(
        config: &Config,
        certificates: Certificates,
        desks: Desks,
        counters: Counters,
    ) -> anyhow::Result<Self> {
        let (stop, mut stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let listeners = {
            let _inside = runtime.enter();
            Listeners {
                rpc: tls_rpc::bind(&sockets(&config.client_rpc.listen)),
                https: https::bind(&sockets(&config.https_rpc.listen)),
            }
        };
        let (rpc, https) = (bound(&listeners.rpc), bound(&listeners.https));
        let pages = super::explorer::serve(
            config.clone(),
            certificates.explorer.clone(),
            desks.views.clone(),
            counters.clone(),
            stopped.clone(),
        );
        let asker = Asker { desks, counters };
        let services = serve(config, certificates, listeners, asker);
        let all = async move {
            tokio::select! {
                _ = async { tokio::join!(services, pages) } => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        };
        let thread = std::thread::Builder::new()
            .name("clients".to_owned())
            .spawn(move || runtime.block_on(all))?;
        Ok(Self {
            rpc,
            https,
            stop,
            thread: Some(thread),
        })
    }

    /// Whether its thread runs.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What was bound.
struct Listeners {
    rpc: Vec<TcpListener>,
    https: Vec<TcpListener>,
}

fn sockets(listen: &[ListenAddress]) -> Vec<SocketAddr> {
    listen.iter().flat_map(|a| a.sockets()).copied().collect()
}

fn bound(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    let addresses = listeners.iter().map(TcpListener::local_addr);
    addresses.filter_map(Result::ok).collect()
}

/// All services, for ever.
fn serve(
    config: &Config,
    certificates: Certificates,
    listeners: Listeners,
    asker: Asker,
) -> impl Future<Output = ()> + Send + use<> {
    let places = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
    let rpc = tls_rpc::Settings::new(places(config.client_rpc.maximum_connections));
    let https = https::Settings::new(
        places(config.https_rpc.maximum_connections),
        config.https_rpc.allow.clone(),
    );
    async move {
        let over_tls = async {
            if let Some(tls) = certificates.rpc {
                let counts = asker.counters.rpc.clone();
                tls_rpc::serve(listeners.rpc, tls, rpc, counts, asker.clone()).await;
            }
        };
        let over_https = async {
            if let Some(tls) = certificates.https {
                let counts = asker.counters.https.clone();
                let calls = asker.counters.rpc.requests.clone();
                https::serve(listeners.https, tls, https, counts, calls, asker.clone()).await;
            }
        };
        tokio::join!(over_tls, over_https, std::future::pending::<()>());
    }
}

/// Asks the engine what clients ask.
#[derive(Debug, Clone)]
struct Asker {
    desks: Desks,
    counters: Counters,
}

impl Asker {
    async fn ask(&self, call: rpc::Call) -> rpc::Outcome {
        let counters = &self.counters;
        let around = rpc::Surroundings {
            rpcs: counters
                .rpc
                .count
                .get()
                .saturating_add(counters.https.count.get()),
            incoming: counters.connections.get(),
        };
        let asked = self
            .desks
            .calls
            .ask(|token| Input::Rpc(token, call, around));
        asked.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

impl Service for Asker {
    async fn call(&self, request: Vec<u8>) -> Answer {
        let envelope = match rpc::read(&request) {
            Ok(envelope) => envelope,
            Err(unreadable) => {
                self.counters.rpc.requests.count(OTHER, REFUSED);
                return Answer::Unreadable(unreadable.reply());
            }
        };
        let method = envelope.known_method().unwrap_or(OTHER);
        let begun = self.counters.rpc.requests.begin(method);
        match envelope.call {
            Ok(call) => {
                let outcome = self.ask(call).await;
                begun.end(if outcome.is_ok() { ANSWERED } else { ERROR });
                Answer::Called(rpc::reply(&envelope.id, &outcome))
            }
            Err(error) => {
                begun.refuse();
                Answer::Refused(rpc::reply(&envelope.id, &Err(error)))
            }
        }
    }
}

impl Pages for Asker {
    async fn show(&self, page: Page) -> Option<String> {
        let call = match page {
            Page::Details => rpc::Call::Details,
            Page::Connections => rpc::Call::Connections,
            Page::Peers { count, after } => rpc::Call::Peers { count, after },
        };
        self.ask(call).await.ok()
    }
}
