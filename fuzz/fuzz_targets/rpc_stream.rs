//! The stream of requests of a client, and the paths it asks for over HTTPS.
//!
//! 1. How the stream is cut into reads changes nothing.
//! 2. No request is longer than the limit; each begins and ends with a bracket.
//! 3. After a fault there is nothing more.

#![no_main]

use bitmarkd::shell::files::config::Allow;
use bitmarkd::shell::https::paths::route;
use bitmarkd::shell::rpc::splitter::{Fault, Splitter};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 64;

/// The requests, and the fault that ended the stream.
fn split<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Option<Fault>) {
    let mut splitter = Splitter::new(LIMIT);
    let (mut requests, mut fault) = (Vec::new(), None);
    for bytes in reads {
        splitter.push(bytes);
        loop {
            match splitter.next_request() {
                Ok(Some(_)) if fault.is_some() => panic!("a request after a fault"),
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(found) => fault = Some(found),
            }
        }
    }
    (requests, fault)
}

fuzz_target!(|bytes: &[u8]| {
    let whole = split(std::iter::once(bytes));
    assert_eq!(split(bytes.chunks(1)), whole);
    assert_eq!(split(bytes.chunks(7)), whole);
    for request in &whole.0 {
        assert!(request.len() <= LIMIT);
        assert!(request.starts_with(b"{") && matches!(request.last(), Some(b'}' | b']')));
    }
    if let Some((method, uri)) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.split_once(' '))
        && let (Ok(method), Ok(uri)) = (method.parse(), uri.parse())
    {
        let nobody = "192.0.2.1".parse().expect("an address");
        let _ = route(&method, &uri, nobody, &Allow::default());
        let allow = Allow {
            peers: vec![nobody],
            ..Allow::default()
        };
        let _ = route(&method, &uri, nobody, &allow);
    }
});
