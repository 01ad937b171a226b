//! Any line is a frame or gets an answer, and a frame that was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::native::{ClientFrame, ServerFrame, parse_client_frame};

fuzz_target!(|line: &str| {
    match parse_client_frame(line) {
        Ok(frame) => {
            let written = serde_json::to_string(&frame).expect("frames serialise");
            assert_eq!(
                serde_json::from_str::<ClientFrame>(&written).expect("what was written is read"),
                frame
            );
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
    if let Ok(frame) = serde_json::from_str::<ServerFrame>(line) {
        let written = serde_json::to_string(&frame).expect("frames serialise");
        assert_eq!(serde_json::from_str::<ServerFrame>(&written).expect("what was written is read"), frame);
    }
});
