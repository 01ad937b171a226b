//! `limits`, and what is said of a process that the kernel killed for lack of memory.

use std::path::PathBuf;

use crate::house::{home, run, until_logged};
use crate::support::wait_for;

#[test]
fn limits_are_in_force_and_it_is_said_by_what() {
    // `tail` keeps all of the last line, and this one has no end.
    let config = "[components.web]
command = ['sh', '-c', 'echo files=$(ulimit -n) data=$(ulimit -d); tail /dev/zero; echo code $?; exec sleep 600']
needs = []
limits = { nofile = 100, memory = '64MiB', cpu = 0.5 }
[components.chat-server]
limits = { nofile = 300 }
";
    let launcher = home(config).up();
    let log = until_logged(&launcher, "web", "code ");
    assert!(log.contains("files=100 ") && !log.contains("code 0"), "{log}");
    let why = run(&launcher, &["why", "web"]);
    assert!(why.contains("limit      open files 100 for each process"), "{why}");
    if why.contains("memory 64 MiB by control group") {
        assert!(log.contains("data=unlimited"), "{log}");
    } else {
        println!("no memory controller here");
        assert!(log.contains("data=65536") && log.contains("memory exhausted"), "{log}");
        assert!(why.contains("memory 64 MiB for each process (no control group: "), "{why}");
        assert!(why.contains("cpu 0.5 not in force (no control group: "), "{why}");
        let status = run(&launcher, &["status"]);
        assert!(status.contains("memory 64 MiB for each process"), "{status}");
        let doctor = launcher.home.run(&["doctor"]);
        let doctor = String::from_utf8(doctor.stdout).unwrap();
        assert!(doctor.contains("limits.memory is set for each process by itself"), "{doctor}");
    }
    let chat = launcher.component_pid("chat-server").unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{chat}/limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
    assert_eq!(files.split_whitespace().nth(3), Some("300"), "{files}");
}

/// A place in the memory hierarchy where little can be used, if one can be made: by version 1 of control groups, as version 2 would be the
/// launcher's own way.
struct Narrow(PathBuf);

impl Narrow {
    fn make() -> Option<Self> {
        let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let own =
            groups.lines().find_map(|line| line.split_once(":memory:/")).map(|(_, path)| path.to_owned())?;
        let group =
            PathBuf::from("/sys/fs/cgroup/memory").join(own).join(format!("p2p-test-{}", std::process::id()));
        std::fs::create_dir(&group).ok()?;
        let narrow = Self(group);
        std::fs::write(narrow.0.join("memory.limit_in_bytes"), "33554432").ok()?;
        Some(narrow)
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_kill_for_lack_of_memory_is_named() {
    let Some(narrow) = Narrow::make() else {
        println!("skipped: no control group with a memory limit can be made here");
        return;
    };
    let config = format!(
        "[components.web]\ncommand = ['sh', '-c', 'echo $$ > {}/cgroup.procs && exec tail /dev/zero']\nneeds = []\nrestart = 'never'\n",
        narrow.0.display()
    );
    let launcher = home(&config).start();
    let error = wait_for("its end", || {
        launcher.component("web")?["last_error"]
            .as_str()
            .map(str::to_owned)
            .filter(|error| error.contains("KILL"))
    });
    assert!(error.contains("was killed by SIGKILL: most likely out of memory"), "{error}");
    assert!(run(&launcher, &["why", "web"]).contains("out of memory"));
    let report = wait_for("the crash report", || {
        let output = launcher.home.run(&["crashes", "web", "--json"]);
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    });
    assert!(report.contains("out_of_memory"), "{report}");
    let events = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap();
    assert!(events.contains("\"out_of_memory\":{\"likely\":"), "{events}");
}
