//! A launcher that stands still for longer than its components may be silent.

use std::time::Duration;

use crate::misbehave::{component, home};
use crate::support::{kill, wait_for};

#[test]
fn a_launcher_that_was_stopped_restarts_nobody() {
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
    kill(launcher.pid(), "-STOP");
    std::thread::sleep(Duration::from_secs(4));
    kill(launcher.pid(), "-CONT");
    // Until each has been asked again.
    let asked = |name: &String| {
        let age = launcher.snapshot().component(name)?.liveness.clone()?.age_s;
        (age < 1).then_some(())
    };
    names.iter().for_each(|name| wait_for("it to be asked", || asked(name)));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(processes(), before);
    // And who is silent from now on is still found.
    let pid = before[0].0.unwrap();
    kill(pid, "-STOP");
    wait_for("its successor", || {
        launcher.snapshot().component(&names[0]).filter(|it| it.pid.is_some_and(|new| new != pid)).map(drop)
    });
}
