//! A launcher that is suspended for longer than the watchdog intervals of its components.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::misbehave::{component, home};
use crate::support::{kill, wait_for};

/// A control group (cgroup v2) for one process, which can be frozen in it.
struct Freezer(PathBuf);

impl Freezer {
    /// `None` where no group can be created.
    fn make() -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let mount = mounts.lines().find_map(|line| {
            let mut words = line.split(' ');
            let (directory, kind) = (words.nth(1)?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(directory))
        })?;
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
        let group = mount.join(own).join(format!("p2p-frozen-{}", std::process::id()));
        std::fs::create_dir(&group).ok()?;
        group.join("cgroup.freeze").exists().then_some(Self(group))
    }

    fn write(&self, file: &str, value: &str) {
        std::fs::write(self.0.join(file), value).unwrap();
    }

    fn freeze(&self, pid: u32) {
        self.write("cgroup.procs", &pid.to_string());
        self.write("cgroup.freeze", "1");
        let events = self.0.join("cgroup.events");
        wait_for("it to be frozen", || {
            std::fs::read_to_string(&events).unwrap().contains("frozen 1").then_some(())
        });
    }

    /// Removes the process from the group, so that the group is empty.
    fn thaw(&self, pid: u32) {
        self.write("cgroup.freeze", "0");
        std::fs::write(self.0.parent().unwrap_or(Path::new("/")).join("cgroup.procs"), pid.to_string())
            .unwrap();
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.freeze"), "0");
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_launcher_that_was_stopped_restarts_nobody() {
    restarts_nobody(|pid| kill(pid, "-STOP"), |pid| kill(pid, "-CONT"));
}

#[test]
fn a_launcher_in_a_frozen_control_group_restarts_nobody() {
    let Some(freezer) = Freezer::make() else {
        println!("skipped: no control group can be made here");
        return;
    };
    restarts_nobody(|pid| freezer.freeze(pid), |pid| freezer.thaw(pid));
}

fn restarts_nobody(stop: impl Fn(u32), go_on: impl Fn(u32)) {
    let more = "needs = []\nnotify = true\nwatchdog = '1s'\nliveness = { exec = ['true'], interval = '200ms', timeout = '500ms', failures = 1 }";
    let names: Vec<String> = (0..8).map(|n| format!("polite-{n}")).collect();
    let config: String = names.iter().map(|name| component(name, "polite", more)).collect();
    let launcher = home(&config).up();
    let processes = || {
        let snapshot = launcher.snapshot();
        let of = |name: &String| snapshot.component(name).unwrap().clone();
        names.iter().map(of).map(|it| (it.pid, it.restarts, it.state)).collect::<Vec<_>>()
    };
    let before = processes();
    stop(launcher.pid());
    std::thread::sleep(Duration::from_secs(4));
    go_on(launcher.pid());
    // Until each has been probed again.
    let asked = |name: &String| {
        let age = launcher.snapshot().component(name)?.liveness.clone()?.age_s;
        (age < 1).then_some(())
    };
    names.iter().for_each(|name| wait_for("it to be asked", || asked(name)));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(processes(), before);
    // A component that misses its watchdog from now on is still detected.
    let pid = before[0].0.unwrap();
    kill(pid, "-STOP");
    wait_for("its successor", || {
        launcher.snapshot().component(&names[0]).filter(|it| it.pid.is_some_and(|new| new != pid)).map(drop)
    });
}
