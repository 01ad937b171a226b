//! Signals to a launcher with a terminal, without one, and under `nohup`.

use crate::misbehave::home;
use crate::support::processes::all;
use crate::support::{Home, kill, wait_for};
use crate::wrapped::Wrapped;

const CONFIG: &str = "launcher.watch = false\n[components.one]\ncommand = ['sleep', '600']\nneeds = []\n";

fn start(wrapper: &[&str]) -> Option<Wrapped> {
    Wrapped::start(home(CONFIG), wrapper, "one")
}

fn add_another(home: &Home) {
    let another =
        CONFIG.replace("[components.one]", "[components.other]").replace("launcher.watch = false\n", "");
    std::fs::write(home.dir.path().join("faults.toml"), CONFIG.to_owned() + &another).unwrap();
}

#[test]
fn without_a_terminal_hup_reads_the_configuration_and_others_do_nothing() {
    let Some(mut launcher) = start(&["setsid"]) else { return };
    let pid = launcher.launcher();
    for signal in ["-USR1", "-USR2", "-ALRM", "-XFSZ", "-VTALRM", "-PROF", "-IO"] {
        kill(pid, signal);
    }
    add_another(&launcher.home);
    kill(pid, "-HUP");
    wait_for("the other one", || (launcher.state("other")? == "ready").then_some(()));
    // An invalid configuration changes nothing.
    std::fs::write(launcher.home.dir.path().join("faults.toml"), "nothing = 1\n").unwrap();
    kill(pid, "-HUP");
    let log = launcher.home.logs().join("launcher.log");
    wait_for("it to be told", || {
        std::fs::read_to_string(&log).unwrap_or_default().contains("was not applied").then_some(())
    });
    assert_eq!(launcher.state("other").as_deref(), Some("ready"));
    kill(pid, "-TERM");
    launcher.ended();
}

#[test]
fn under_nohup_hup_stays_ignored() {
    let Some(launcher) = start(&["setsid", "nohup"]) else { return };
    let status = std::fs::read_to_string(format!("/proc/{}/status", launcher.launcher())).unwrap();
    let has_hup = |name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
    };
    assert!(has_hup("SigIgn:") && !has_hup("SigCgt:"), "{status}");
    // The components are irrelevant here.
    kill(launcher.launcher(), "-HUP");
    assert_eq!(launcher.state("one").as_deref(), Some("ready"));
    launcher.down();
}

#[test]
fn the_end_of_its_terminal_stops_everything_in_order() {
    // A terminal of its own, which ends with `script`.
    let wrapper = ["sh", "-c", "exec script -qec \"$0 $*\" /dev/null"];
    let Some(launcher) = start(&wrapper) else { return };
    let pid = launcher.launcher();
    kill(launcher.wrapper(), "-KILL");
    wait_for("the launcher to end", || (!all().any(|other| other == pid)).then_some(()));
    let events = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap();
    assert!(events.lines().last().unwrap().contains("launcher-ended"), "{events}");
}
