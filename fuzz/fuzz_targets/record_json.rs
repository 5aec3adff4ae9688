//! Records as clients write them.

#![no_main]

use bitmarkd::core::record::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let kinds = [
        "BaseData",
        "AssetData",
        "BitmarkIssue",
        "BitmarkTransferUnratified",
        "BitmarkTransferCountersigned",
        "BlockFoundation",
        "BlockOwnerTransfer",
    ];
    for kind in kinds {
        if let Ok(record) = Record::from_json(kind, text) {
            let packed = record.pack_unchecked();
            let _ = Record::unpack(&packed, true);
            let _ = record.to_json();
        }
    }
});
