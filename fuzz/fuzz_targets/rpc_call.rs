//! Requests of clients in JSON, each answered by a whole node with a small chain.
//!
//! 1. Whatever the bytes, the reply is one line of JSON, `result` or `error` in it and not both.
//! 2. Its id is the one of the request.
//! 3. A call has one answer, at once.

#![no_main]

use bitmarkd::core::rpc::{self, Id};
use bitmarkd::shell::rpc::REQUEST_BYTES;
use bitmarkd::shell::rpc::splitter::Splitter;
use bitmarkd_fuzz::{Bench, CALLS, METHODS, messages, mutate};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The id, where the request has just one.
fn id_of(request: &[u8]) -> Option<Value> {
    let Value::Object(members) = serde_json::from_slice(request).ok()? else {
        return None;
    };
    let mut ids = members
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("id"));
    match (ids.next(), ids.next()) {
        (None, _) => Some(Value::Null),
        (Some((_, id)), None) => Some(id.clone()),
        _ => None,
    }
}

fn check(request: &[u8], id: &Id, reply: &str) {
    assert_eq!(reply.matches('\n').count(), 1);
    assert!(reply.ends_with("}\n"));
    assert!(reply.starts_with(&format!("{{\"id\":{id},\"result\":")));
    // Ids may be nested deeper than values that are kept.
    serde_json::from_str::<IgnoredAny>(reply).expect("JSON");
    let Ok(read) = serde_json::from_str::<Value>(reply) else {
        return;
    };
    let is_error = read["error"].is_string();
    assert!(is_error || read["error"].is_null());
    assert!(!is_error || read["result"].is_null());
    if let Some(id) = id_of(request) {
        assert_eq!(read["id"], id);
    }
}

fn answer(bench: &mut Bench, request: &[u8]) {
    match rpc::read(request) {
        Err(unreadable) => check(b"{}", &Id::null(), &unreadable.reply()),
        Ok(envelope) => {
            let outcome = envelope.call.and_then(|call| bench.call(call));
            let reply = rpc::reply(&envelope.id, &outcome);
            check(request, &envelope.id, &reply);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut bench = Bench::filled();
    for (kind, frames) in messages(bytes).into_iter().take(16) {
        let mut frames = frames.into_iter();
        let mut frame = || frames.next().unwrap_or_default();
        let number = usize::from(kind / 4);
        let stream = match kind % 4 {
            0 => frame(),
            1 => {
                let method = METHODS[number % METHODS.len()];
                let (id, argument) = (frame(), frame());
                let head = format!(",\"method\":\"{method}\",\"params\":[");
                [b"{\"id\":", &*id, head.as_bytes(), &argument, b"]}"].concat()
            }
            _ => {
                let mut valid = CALLS[number % CALLS.len()].clone().into_bytes();
                mutate(&mut valid, &frame());
                valid
            }
        };
        answer(&mut bench, &stream);
        let mut splitter = Splitter::new(REQUEST_BYTES);
        splitter.push(&stream);
        while let Ok(Some(request)) = splitter.next_request() {
            answer(&mut bench, &request);
        }
    }
});
