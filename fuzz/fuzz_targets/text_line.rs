//! Any line has a meaning, and what is answered or passed on stays one line.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::text::{Line, parse_line};

fuzz_target!(|line: &str| {
    match parse_line(line) {
        Line::Invalid(answer) => {
            assert!(answer.ends_with('\n') && answer.matches('\n').count() == 1);
            reached!("invalid");
        }
        Line::Message { to, body } => {
            assert_eq!(parse_line(&format!("{to}: {body}")), Line::Message { to, body });
            reached!("message");
        }
        Line::Check => reached!("check"),
        Line::Exit => reached!("exit"),
        Line::Blank => reached!("blank"),
    }
});
