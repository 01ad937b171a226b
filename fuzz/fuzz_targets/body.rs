//! A body that was read cannot steer a terminal, holds to its bounds, and reads as itself.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::Body;
use protocol::limits::BODY_BYTES;

fuzz_target!(|text: &str| {
    let Ok(body) = Body::parse(text) else { return };
    assert!((1..=BODY_BYTES).contains(&body.as_str().len()));
    assert!(!body.as_str().chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')));
    assert_eq!(Body::parse(body.as_str()).expect("a body is a body"), body);
    reached!("body");
    if body.as_str() != text {
        reached!("cleaned");
    }
});
