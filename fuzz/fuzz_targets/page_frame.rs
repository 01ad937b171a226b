//! A page's frame that was read is written and read again as the same.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::web::{AdapterFrame, PageFrame};

fuzz_target!(|text: &str| {
    if let Ok(frame) = serde_json::from_str::<PageFrame>(text) {
        let written = serde_json::to_string(&frame).expect("frames serialise");
        assert_eq!(serde_json::from_str::<PageFrame>(&written).expect("what was written is read"), frame);
        match frame {
            PageFrame::Login { .. } => reached!("login"),
            PageFrame::Chat { .. } => reached!("chat"),
            PageFrame::Command { .. } => reached!("command"),
        }
    }
    if let Ok(frame) = serde_json::from_str::<AdapterFrame>(text) {
        let written = serde_json::to_string(&frame).expect("frames serialise");
        assert_eq!(serde_json::from_str::<AdapterFrame>(&written).expect("what was written is read"), frame);
        reached!("adapter-frame");
    }
});
