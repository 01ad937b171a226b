//! Processes that leave everything they can: group, session, environment, files, parents.

use std::time::{Duration, Instant};

use crate::misbehave::home;
use crate::support::processes::all;
use crate::support::{Home, kill, wait_for};
use crate::wrapped::Wrapped;

/// The processes whose command line has this word.
fn with_word(word: &str) -> Vec<u32> {
    let has = |pid: &u32| {
        let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        cmdline.split(|byte| *byte == 0).any(|found| found == word.as_bytes())
    };
    all().filter(has).collect()
}

/// A time to sleep that nobody else sleeps.
fn word(number: u32) -> String {
    format!("{}.{number}", 1_000_000 + std::process::id())
}

/// Starts a process that only its parents identify, and they only for a moment.
fn escaping(word: &str) -> Home {
    let escape = format!(
        "env -i setsid /bin/sh -c \"(exec /bin/sleep {word}) </dev/null >/dev/null 2>&1 &\"; while :; do sleep 1; done"
    );
    let home = home("").set("components.bad.needs=[]");
    home.set("components.bad.command=['sh', '-c']").set(&format!("components.bad.args=['{escape}']"))
}

/// Prevents control groups in whatever it starts.
const WITHOUT_GROUPS: [&str; 5] =
    ["unshare", "--mount", "sh", "-c", "umount -a -t cgroup2; exec \"$0\" \"$@\""];

fn gone(word: &str) {
    wait_for("the escaped one to be gone", || with_word(word).is_empty().then_some(()));
}

fn escaped(word: &str) {
    wait_for("it to escape", || (!with_word(word).is_empty()).then_some(()));
}

#[test]
fn who_escaped_from_everything_ends_with_its_component() {
    let word = word(1);
    let Some(launcher) = Wrapped::start(escaping(&word), &["env"], "bad") else { return };
    escaped(&word);
    let doctor = String::from_utf8(launcher.home.run(&["doctor"]).stdout).unwrap();
    if doctor.contains("no control group") {
        println!("skipped: there are no control groups here");
        return;
    }
    assert!(launcher.home.run(&["stop", "bad"]).status.success());
    gone(&word);
    assert!(launcher.home.run(&["start", "bad"]).status.success());
    escaped(&word);
    // And they end with the launcher, however that ends.
    kill(launcher.launcher(), "-KILL");
    let killed = Instant::now();
    gone(&word);
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
}

#[test]
fn without_control_groups_it_ends_with_the_launcher() {
    let word = word(2);
    let Some(launcher) = Wrapped::start(escaping(&word), &WITHOUT_GROUPS, "bad") else { return };
    escaped(&word);
    let doctor = launcher.home.run(&["doctor"]);
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.contains("no control group"), "{doctor}");
    launcher.down();
    assert!(with_word(&word).is_empty());
}

#[test]
fn without_control_groups_it_ends_with_a_launcher_that_was_killed() {
    let word = word(4);
    let Some(launcher) = Wrapped::start(escaping(&word), &WITHOUT_GROUPS, "bad") else { return };
    escaped(&word);
    // The guard searches for processes without a mark every two seconds.
    std::thread::sleep(Duration::from_millis(2500));
    kill(launcher.launcher(), "-KILL");
    let killed = Instant::now();
    gone(&word);
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
}

/// The zombies among the children of a process.
fn zombies(parent: u32) -> usize {
    let is_one = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        rest.starts_with(&format!("Z {parent} "))
    };
    all().filter(is_one).count()
}

/// Leaves a hundred orphans that end, and reports that.
const LEAVES_ORPHANS: &str =
    "i=0; while [ $i -lt 100 ]; do (true &); i=$((i+1)); done; echo left; while :; do sleep 1; done";

#[test]
fn orphans_are_reaped_also_as_process_1() {
    for wrapper in [&["env"][..], &["unshare", "--fork", "--pid", "--mount-proc"]] {
        let home = home("").set("components.bad.needs=[]").set("components.bad.command=['sh', '-c']");
        let home = home.set(&format!("components.bad.args=['{LEAVES_ORPHANS}']"));
        let Some(launcher) = Wrapped::start(home, wrapper, "bad") else { continue };
        let log = launcher.home.logs().join("bad.log");
        wait_for("all to be left", || {
            std::fs::read_to_string(&log).unwrap_or_default().contains("left").then_some(())
        });
        let pid = launcher.launcher();
        wait_for("all to be reaped", || (zombies(pid) == 0).then_some(()));
        // No exit status is taken from those that wait for it.
        assert_eq!(launcher.state("bad").as_deref(), Some("ready"));
        launcher.down();
    }
}
