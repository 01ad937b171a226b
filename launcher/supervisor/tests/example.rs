//! The example, which uses the supervisor without the launcher, runs.

use std::path::Path;
use std::process::Command;

#[test]
fn two_programs_run_and_stop() {
    // Cargo builds it with the tests of a package, into a directory beside theirs.
    let test = std::env::current_exe().unwrap();
    let example = test.parent().and_then(Path::parent).unwrap().join("examples/two_sleeps");
    assert!(example.is_file(), "build it: cargo build -p supervisor --example two_sleeps");
    let output = Command::new(example).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(output.status.success(), "{text}");
    assert!(lines[0].starts_with("first: Ready, process Some("), "{text}");
    assert!(lines[1].starts_with("second: Ready, process Some("), "{text}");
    assert!(lines[2].starts_with("stopped: ") && lines.len() == 3, "{text}");
}
