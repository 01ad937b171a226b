//! Any message of the old kind is shown within bounds or not at all, and can be sent on in parts that are read whole.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::lan::legacy::{MAX_PARTS, MESSAGE_BYTES, parts};
use protocol::lan::received::Received;
use protocol::limits::BODY_BYTES;

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    check(bytes.to_vec(), first % 2 == 0);
    // A fuzzer tries short inputs, and what is long is cut.
    check(bytes.repeat(usize::from(*first)), true);
});

fn check(bytes: Vec<u8>, is_complete: bool) {
    let received = Received { bytes, is_complete };
    if !received.faults().is_empty() {
        reached!("faults");
    }
    if let Some(body) = received.text() {
        assert!(body.as_str().len() <= BODY_BYTES);
        let parts = parts(&body);
        assert!(parts.len() <= MAX_PARTS && parts.iter().all(|part| part.len() <= MESSAGE_BYTES));
        if parts.len() > 1 {
            reached!("parts");
        }
    }
}
