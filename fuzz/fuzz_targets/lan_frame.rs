//! Any bytes are frames, the beginning of one, or an error; what was read is written and read again as the same.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::lan::frame::{Frame, FrameError};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // With the length that it has: a fuzzer that changes a frame does not change its length to match.
    let length = u32::try_from(bytes.len()).expect("an input is small");
    check(&[&length.to_be_bytes(), bytes].concat());
});

fn check(bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        match Frame::take(rest) {
            Ok(Some((frame, length))) => {
                assert!(length <= rest.len());
                rest = &rest[length..];
                check_frame(frame);
            }
            Ok(None) => return reached!("beginning"),
            Err(FrameError::TooLong(_)) => return reached!("too-long"),
            Err(FrameError::Json(_)) => return reached!("no-frame"),
        }
    }
}

fn check_frame(frame: Frame) {
    match &frame {
        Frame::Unknown => return reached!("unknown"),
        Frame::Hello { .. } => reached!("hello"),
        Frame::Ack { .. } => reached!("ack"),
        Frame::Message { .. } => reached!("message"),
        Frame::Ping | Frame::Pong => reached!("ping"),
    }
    let written = frame.to_bytes();
    assert_eq!(Frame::take(&written).expect("what was written is read"), Some((frame, written.len())));
}
