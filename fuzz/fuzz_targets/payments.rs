//! Payment maps and addresses.

#![no_main]

use bitmarkd::core::currency::{Currency, Payments, address, amount};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for testing in [true, false] {
        if let Ok(map) = Payments::unpack(bytes, testing)
            && let Ok(packed) = map.pack(testing)
        {
            assert_eq!(Payments::unpack(&packed, testing), Ok(map));
        }
    }
    for currency in Currency::PAYABLE {
        let _ = address::check(currency, bytes, true);
    }
    let _ = address::litecoin_from_bitcoin(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = amount::from_decimal(text);
        if let Ok(value) = serde_json::from_str(text) {
            let _ = Payments::from_json(&value);
        }
    }
});
