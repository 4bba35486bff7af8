//! Folder names survive the way there and back, and whatever a server sends is shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postroom::fuzzing::{utf7_decode, utf7_encode};

fuzz_target!(|name: &str| {
    let encoded = utf7_encode(name);
    assert!(encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    assert_eq!(utf7_decode(&encoded), name);

    let shown = utf7_decode(name);
    assert!(shown.len() <= 2 * name.len());
});
