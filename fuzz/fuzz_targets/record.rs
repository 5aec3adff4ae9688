//! Records as they come from peers: read, shown, verified.

#![no_main]

use bitmarkd::core::record::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for testing in [true, false] {
        let Ok((record, used)) = Record::unpack(bytes, testing) else {
            continue;
        };
        assert!(used <= bytes.len());
        let canonical = record.pack_unchecked();
        let again = Record::unpack(&canonical, testing).expect("canonical bytes are read");
        assert_eq!(again, (record.clone(), canonical.len()));
        let _ = record.pack(record.owner());
        let _ = record.unsigned(record.owner());
        let _ = Record::from_json(record.type_name(), &record.to_json());
    }
});
