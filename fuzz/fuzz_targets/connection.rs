//! Addresses: packed lists and texts.

#![no_main]

use bitmarkd::core::wire::connection::{
    Connection, FirstOfEach, HostPort, is_whole_list, list, pack_list, whole_part,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let all: Vec<Connection> = list(bytes).collect();
    let whole = whole_part(bytes);
    assert!(whole.len() <= bytes.len());
    assert!(is_whole_list(whole));
    let again = pack_list(&all);
    assert!(list(&again).eq(all.iter().copied()));
    let first = FirstOfEach::of(bytes);
    let _ = (first.to_dial(true), first.to_dial(false));
    for one in all {
        let _ = (one.endpoint(), one.is_usable(), one.is_ipv6());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = HostPort::parse(text);
        if let Ok(one) = Connection::from_text(text) {
            assert_eq!(
                Connection::unpack(&one.pack()),
                Some((one, one.pack().len()))
            );
        }
    }
});
