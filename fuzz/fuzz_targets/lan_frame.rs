//! Any bytes are frames, the beginning of one, or an error; what was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::lan::frame::Frame;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(Some((frame, length))) = Frame::take(rest) {
        assert!(length <= rest.len());
        rest = &rest[length..];
        if frame != Frame::Unknown {
            let written = frame.to_bytes();
            assert_eq!(Frame::take(&written).expect("what was written is read"), Some((frame, written.len())));
        }
    }
});
