//! Any message of the old kind is shown within bounds or not at all, and can be sent on in parts that are read whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::lan::old::{MAX_PARTS, MESSAGE_BYTES, parts};
use protocol::lan::received::Received;
use protocol::limits::BODY_BYTES;

fuzz_target!(|input: (Vec<u8>, bool)| {
    let (bytes, is_whole) = input;
    let received = Received { bytes, is_whole };
    let _ = received.faults();
    if let Some(body) = received.text() {
        assert!(body.as_str().len() <= BODY_BYTES);
        let parts = parts(&body);
        assert!(parts.len() <= MAX_PARTS && parts.iter().all(|part| part.len() <= MESSAGE_BYTES));
    }
});
