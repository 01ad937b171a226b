//! Components whose processes belong to another user. These tests need root, which can become any user.

use std::time::{Duration, Instant};

use crate::misbehave::home;
use crate::support::processes::{all, files};
use crate::support::{Launcher, kill, wait_for};
use crate::wrapped::Wrapped;

/// Whether another user can be used, and the command that starts a program as that user.
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
    let is_one = |(pid, line): &(u32, Vec<u8>)| {
        use std::os::unix::fs::MetadataExt;
        let is_theirs = std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() != 0);
        is_theirs && line.split(|byte| *byte == 0).any(|found| found == word.as_bytes())
    };
    files("cmdline").filter(is_one).map(|(pid, _)| pid).collect()
}

#[test]
fn processes_of_another_user_end_and_do_not_multiply() {
    let Some(command) = as_nobody() else { return };
    let word = format!("{}.3", 1_000_000 + std::process::id());
    // It ignores TERM, as does the process that has left its session.
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

/// A launcher of another user cannot end root's processes.
const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Kills a process of the test itself, however the test ends.
struct Killed(u32);

impl Drop for Killed {
    fn drop(&mut self) {
        kill(self.0, "-KILL");
    }
}

#[test]
fn who_cannot_be_ended_is_named_with_its_user_and_command() {
    let directory = tempfile::tempdir().unwrap();
    let becomes_root = directory.path().join("setpriv");
    let shell =
        |command: String| std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success();
    let path = becomes_root.display();
    let home = home("").set("components.root.needs=[]").set("components.root.stop-grace=200ms");
    let home = home.set(&format!(
        "components.root.command=['{path}', '--reuid=0', '--regid=0', '--clear-groups', 'sleep', '600']"
    ));
    let own = home.dir.path().display();
    let setup = format!(
        "cp $(command -v setpriv) {path} && chmod 755 {} && chmod 4755 {path} && chown -R 65534 {own} && test $({} {path} --reuid=0 id -u) = 0",
        directory.path().display(),
        AS_NOBODY.join(" ")
    );
    if !rustix::process::geteuid().is_root() || !shell(setup) {
        println!("skipped: no program that becomes root can be had here");
        return;
    }
    let Some(mut launcher) = Wrapped::start(home, &AS_NOBODY, "root") else { return };
    let is_it = |pid: &u32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environ.split(|byte| *byte == 0);
        let is_ours = |variable: &[u8]| variable.starts_with(b"P2P_RUN=") && variable.ends_with(b"/root");
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        variables.any(is_ours) && comm == "sleep\n"
    };
    let pid = Killed(wait_for("the sleep", || all().find(is_it)));
    let named = format!("pid {} (user root: sleep 600)", pid.0);
    kill(launcher.launcher(), "-TERM");
    let status = wait_for("it to be named", || {
        let output = launcher.home.run(&["status"]);
        Some(String::from_utf8_lossy(&output.stdout).into_owned()).filter(|text| text.contains(&named))
    });
    assert!(status.contains("killed, but still running"), "{status}");
    let said = launcher.failed();
    assert!(said.contains(&format!("still running after SIGKILL: root ({named})")), "{said}");
}
