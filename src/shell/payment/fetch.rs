//! One question over HTTP to a currency daemon, with an end in time and in bytes.

use std::time::Duration;

use crate::core::payment::Failure;

/// Largest answer. A block of either coin has at most four million bytes, and stands in the JSON
/// in hex twice, with the scripts once more in words: some 30 MB for a full one. Twice that.
pub const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A connection.
    pub connect: Duration,
    /// All of it, to the last byte of the answer.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(60),
        }
    }
}

/// Asks one daemon.
#[derive(Debug)]
pub struct Fetch {
    agent: ureq::Agent,
    base: String,
}

impl Fetch {
    pub fn new(base: &str, patience: Patience) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // The daemon that is configured is asked, and nobody whom it names.
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(patience.connect))
            .timeout_global(Some(patience.whole))
            .max_idle_connections(1)
            .build();
        Self {
            agent: config.new_agent(),
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// # Errors
    /// No answer, or not 200.
    pub fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let url = format!("{}/{path}", self.base);
        let failed = |e: ureq::Error| Failure::Other(format!("{url}: {e}"));
        let mut response = self.agent.get(&url).call().map_err(failed)?;
        let status = response.status();
        match status.as_u16() {
            200 => {}
            404 => return Err(Failure::Absent),
            code => {
                let text = status.canonical_reason().unwrap_or_default();
                let text = format!("status: {code} {text:?} on: {url:?}");
                return Err(Failure::Other(text));
            }
        }
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        body.read_to_vec().map_err(failed)
    }
}
