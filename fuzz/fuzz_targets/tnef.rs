//! Any bytes are read as a `winmail.dat`: within limits, and what is found in them is found again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postroom::mail::{self, Defect, Facts};
use postroom::message::{Extent, Listed, Message, Uid};

/// The signature and the key, which no fuzzer need find.
const START: &[u8] = b"\x78\x9f\x3e\x22\x01\x00";

fuzz_target!(|attributes: &[u8]| {
    let source = [&b"Content-Type: application/ms-tnef\r\n\r\n"[..], START, attributes].concat();
    let listed = Listed { uid: Uid(1), size: source.len() as u64, internal_date: None };
    let message = Message { listed, source, extent: Extent::Whole };

    let mail = mail::read(&message, &Facts::default());

    assert!(!mail.defects.contains(&Defect::ParserFailed), "a panic was caught");
    for attachment in &mail.attachments {
        let bytes = mail::attached(&message.source, attachment.part).expect("an attachment is found again");
        assert_eq!(bytes.len() as u64, attachment.size);
        assert!(bytes.len() <= message.source.len() * 12 * 8);
    }
});
