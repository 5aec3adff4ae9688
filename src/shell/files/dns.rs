//! Looking names up: TXT records that name the first peers, and hosts in addresses
//! (`proto/peer.md`, section 6.5; `proto/records.md`, section 8.2).
//!
//! Calls block, for at most [`LIMIT`] each. What the records say is read in `core/announce/dns`.

use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use thiserror::Error;

use crate::core::wire::connection::{Connection, ConnectionError, HostPort};

/// Longest time a look-up of TXT records may take.
pub const LIMIT: Duration = Duration::from_secs(20);
/// Most records that are looked at.
const RECORDS_MAX: usize = 256;

/// Why a name gave nothing.
#[derive(Debug, Error)]
pub enum LookupError {
    /// The text is no address and no name with a port.
    #[error(transparent)]
    Text(#[from] ConnectionError),
    /// The name has no address, or nobody could say.
    #[error("{host}: {error}")]
    Host {
        /// The name.
        host: String,
        /// What the resolver says.
        error: std::io::Error,
    },
    /// The TXT records could not be had.
    #[error("TXT records of {domain}: {reason}")]
    Txt {
        /// The name.
        domain: String,
        /// What the resolver says.
        reason: String,
    },
}

/// The TXT records of `domain`, the parts of each joined.
///
/// # Errors
/// A failing look-up; a name without TXT records is one too.
pub fn txt_records(domain: &str) -> Result<Vec<String>, LookupError> {
    let failed = |reason: String| LookupError::Txt {
        domain: domain.to_owned(),
        reason,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let lookup = async {
        let resolver = TokioResolver::builder_tokio()
            .and_then(|builder| builder.build())
            .map_err(|error| failed(error.to_string()))?;
        match tokio::time::timeout(LIMIT, resolver.txt_lookup(absolute(domain))).await {
            Ok(answer) => answer.map_err(|error| failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer in {} s", LIMIT.as_secs()))),
        }
    };
    let answer = runtime.block_on(lookup)?;
    let texts = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        })
        .take(RECORDS_MAX)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    Ok(texts)
}

/// The name from the root, so that no search list is tried.
fn absolute(domain: &str) -> String {
    format!("{}.", domain.trim_end_matches('.'))
}

/// The address of a text; a name is looked up and its first answer taken.
///
/// # Errors
/// A text that is none, or a name without an answer.
pub fn resolve(address: &HostPort) -> Result<Connection, LookupError> {
    let (host, port) = match address {
        HostPort::Address(connection) => return Ok(*connection),
        HostPort::Name { host, port } => (host, *port),
    };
    let failed = |error| LookupError::Host {
        host: host.clone(),
        error,
    };
    let ip: IpAddr = (host.as_str(), port)
        .to_socket_addrs()
        .map_err(failed)?
        .next()
        .ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?
        .ip();
    Ok(Connection::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_resolver() {
        let text = HostPort::parse("[::1]:2136").unwrap();
        assert_eq!(resolve(&text).unwrap().to_string(), "[::1]:2136");
    }

    #[test]
    fn localhost_is_found_and_an_empty_name_is_not() {
        let found = resolve(&HostPort::parse("localhost:7").unwrap()).unwrap();
        assert!(found.ip().is_loopback());
        let error = resolve(&HostPort::parse(":7").unwrap()).unwrap_err();
        assert!(matches!(error, LookupError::Host { .. }));
    }

    #[test]
    fn a_failing_look_up_names_the_domain() {
        let error = txt_records("nothing.invalid").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("TXT records of nothing.invalid: ")
        );
    }
}
