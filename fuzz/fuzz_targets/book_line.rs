//! Any line has a meaning, and only registered names are written to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::UserName;
use protocol::book::{Line, parse_line};

fuzz_target!(|line: &str| {
    let registered = |name: &UserName| name.key().len() % 2 == 1;
    if let Line::Message { to, .. } = parse_line(line, registered) {
        assert!(registered(&to));
    }
});
