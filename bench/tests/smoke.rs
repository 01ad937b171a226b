//! Runs the benchmark on the launcher of this build, and expects no faults.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Built with the workspace's tests, beside the benchmark.
fn launcher() -> PathBuf {
    let launcher = Path::new(env!("CARGO_BIN_EXE_bench")).with_file_name("launcher");
    assert!(launcher.is_file(), "build it first: cargo build -p launcher");
    launcher
}

fn bench(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    if !arguments.contains(&"--launcher") {
        command.arg("--launcher").arg(launcher());
    }
    command.arg("--dir").arg(std::env::temp_dir());
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

#[test]
fn a_relay_and_a_store_are_measured_and_nothing_is_wrong() {
    let small = ["--senders", "5", "--seconds", "0.2", "--windows", "4", "--rate", "500"];
    let ours = ["--systems", "text,native,web-socket", "relay", "store", "fan-out"];
    let (fine, table) = bench(&[&small[..], &ours].concat());
    assert!(fine, "{table}");
    let rows = |scenario: &str| table.lines().filter(|line| line.starts_with(scenario)).count();
    assert_eq!((rows("relay, 4 in flight"), rows("relay, 500/s"), rows("one sender")), (3, 3, 3), "{table}");
    assert_eq!((rows("store"), rows("  fetched")), (3, 3), "{table}");
    assert_eq!(table.matches(" 0/0/0 ").count(), 15, "{table}");
}

#[test]
fn the_processor_time_of_a_message_is_measured_by_component() {
    let small = ["--senders", "5", "--seconds", "0.2", "--windows", "1,4", "--rounds", "2"];
    let (fine, table) = bench(&[&small[..], &["--systems", "text,native", "cost"]].concat());
    assert!(fine, "{table}");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("cost, ")).collect();
    assert_eq!(rows.len(), 4, "{table}");
    for row in rows {
        assert!(row.contains(" 0/0/0 ") && row.contains(" µs each: "), "{row}");
        for component in ["message-api", "chat-server", "web-adapter", "launcher"] {
            let cost = row.split_once(&format!("{component} ")).unwrap().1;
            let cost: f64 = cost.split([',', ' ']).next().unwrap().parse().unwrap();
            assert!((0.0..1e6).contains(&cost), "{component}: {row}");
        }
    }
}

#[test]
fn a_launcher_that_is_not_there_is_named() {
    let (fine, said) = bench(&["--launcher", "/nowhere/launcher"]);
    assert!(!fine && said.contains("/nowhere/launcher"), "{said}");
}
