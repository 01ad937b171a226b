//! Any line is a frame or gets an answer, and a frame that was read is written and read again as the same.
#![no_main]

use fuzz::reached;
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
            match frame {
                ClientFrame::Hello(_) => reached!("hello"),
                ClientFrame::Send(_) => reached!("send"),
                ClientFrame::Seen(_) => reached!("seen"),
                ClientFrame::History(_) => reached!("history"),
                ClientFrame::Trace(_) => reached!("trace"),
                ClientFrame::Ping { .. } => reached!("ping"),
            }
        }
        Err(error) => {
            assert!(!error.message.is_empty());
            reached!("refused");
        }
    }
    if let Ok(frame) = serde_json::from_str::<ServerFrame>(line) {
        let written = serde_json::to_string(&frame).expect("frames serialise");
        assert_eq!(serde_json::from_str::<ServerFrame>(&written).expect("what was written is read"), frame);
        match frame {
            ServerFrame::Event(_) => reached!("event"),
            ServerFrame::Welcome(_) => reached!("welcome"),
            ServerFrame::Ack(_) => reached!("ack"),
            _ => reached!("another-of-the-server"),
        }
    }
});
