//! Any line has a meaning, and only registered names are written to.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::UserName;
use protocol::book::{Line, parse_line};

fuzz_target!(|line: &str| {
    let registered = |name: &UserName| name.key().len() % 2 == 1;
    match parse_line(line, registered) {
        Line::Message { to, .. } => {
            assert!(registered(&to));
            reached!("message");
        }
        Line::NotFound => reached!("not-found"),
        Line::FormatError => reached!("format-error"),
        Line::Blank => reached!("blank"),
    }
});
