//! Components whose processes are another user's. These tests need root, who may become any user.

use std::time::{Duration, Instant};

use crate::misbehave::home;
use crate::support::{Launcher, wait_for};

/// Whether another user can be had, and what a program is started with to be theirs.
fn as_nobody() -> Option<Vec<String>> {
    let become_nobody = ["su", "-s", "/bin/sh", "nobody", "-c"];
    let mut command = std::process::Command::new(become_nobody[0]);
    let works = command.args(&become_nobody[1..]).arg("true").stderr(std::process::Stdio::null()).status();
    if rustix::process::geteuid().is_root() && works.is_ok_and(|status| status.success()) {
        return Some(become_nobody.map(str::to_owned).into());
    }
    println!("skipped: no other user can be had here");
    None
}

/// The processes of other users whose command line has this word.
fn others(word: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_one = |pid: &u32| {
        use std::os::unix::fs::MetadataExt;
        let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_theirs = std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() != 0);
        is_theirs && cmdline.split(|byte| *byte == 0).any(|found| found == word.as_bytes())
    };
    pids.filter(is_one).collect()
}

#[test]
fn processes_of_another_user_end_and_do_not_multiply() {
    let Some(command) = as_nobody() else { return };
    let word = format!("{}.3", 1_000_000 + std::process::id());
    // It does not mind TERM, and neither does the one that left its session.
    let script = format!("trap \"\" TERM; setsid sleep {word} & while :; do sleep {word}; done");
    let home = home("").set("components.other.needs=[]").set("components.other.stop-grace=300ms");
    let home = home.set(&format!("components.other.command={command:?}"));
    let mut launcher: Launcher = home.set(&format!("components.other.args=['{script}']")).start();
    let count = |wanted: usize| {
        wait_for("the other user's processes", || (others(&word).len() == wanted).then_some(()));
    };
    count(2);
    assert!(launcher.home.run(&["restart", "other"]).status.success());
    wait_for("it to be back", || (launcher.component("other")?["state"] == "ready").then_some(()));
    count(2);
    assert!(launcher.home.run(&["stop", "other"]).status.success());
    count(0);
    assert!(launcher.home.run(&["start", "other"]).status.success());
    count(2);
    launcher.end("-KILL");
    let killed = Instant::now();
    count(0);
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
    launcher.up_again();
    count(2);
    assert!(launcher.end("-TERM").success());
    count(0);
}
