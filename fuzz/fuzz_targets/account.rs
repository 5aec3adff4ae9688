//! Accounts, as bytes and as text.

#![no_main]

use bitmarkd::core::keys::Account;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(account) = Account::from_bytes(bytes) {
        assert_eq!(Account::from_bytes(&account.to_bytes()), Ok(account));
        assert_eq!(Account::from_text(&account.to_string()), Ok(account));
        let _ = account.verify(bytes, bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(account) = Account::from_text(text)
    {
        assert_eq!(Account::from_text(&account.to_string()), Ok(account));
    }
});
