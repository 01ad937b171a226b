//! Fourteen kinds of stubborn children, and each way to stop: everything ends within the grace period plus a second, in reverse order of
//! dependencies, and no process of any group is left.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::misbehave::{STUBBORN, component, home};
use crate::processes::left;
use crate::support::dice::{is_long, rounds};
use crate::support::{Launcher, kill, wait_for};

const TRIGGERS: [&str; 6] = ["INT", "TERM", "QUIT", "INT INT", "stop", "reload"];

/// How long they may take to end by themselves, in milliseconds.
const GRACE: u64 = 1000;

/// Times are recorded in whole milliseconds.
const STAMP: u64 = 1;

/// The margin. The short form runs beside other tests.
fn margin() -> Duration {
    Duration::from_secs(if is_long() { 1 } else { 4 })
}

/// `base` is needed by every stubborn component, and `top` needs them all but the one that never becomes ready.
fn config() -> String {
    let common = format!("stop-grace = '{GRACE}ms'\nready-timeout = '1h'\nnotify = true");
    let mut text = component("base", "polite", &format!("{common}\nneeds = []"));
    for kind in STUBBORN {
        text.push_str(&component(kind, kind, &format!("{common}\nneeds = ['base']")));
    }
    let serving: Vec<&str> = STUBBORN.into_iter().filter(|kind| *kind != "never-ready").collect();
    text + &component("top", "polite", &format!("{common}\nneeds = {serving:?}"))
}

fn up() -> Launcher {
    let launcher = home(&config()).start();
    wait_for("all to be up", || {
        let snapshot = launcher.try_snapshot()?;
        let state = |name: &str| snapshot.component(name).map(|it| it.state.to_string());
        let is_up = state("top")? == "ready" && state("never-ready")? == "starting";
        is_up.then_some(())
    });
    let run = launcher.snapshot().run_id.to_string();
    wait_for("one to lose its mark", || left(&run).contains_key("without a mark").then_some(()));
    launcher
}

/// Stops everything, and returns how long that took.
fn stop(launcher: &mut Launcher, trigger: &str) -> Duration {
    let asked = Instant::now();
    match trigger {
        "stop" => {
            let stops = ["top"].into_iter().chain(STUBBORN).chain(["base"]);
            let stops: Vec<_> =
                stops.map(|name| launcher.home.command(&["stop", name]).spawn().unwrap()).collect();
            stops.into_iter().for_each(|mut stop| assert!(stop.wait().unwrap().success()));
        }
        "reload" => {
            std::fs::write(launcher.home.dir.path().join("faults.toml"), "# nothing\n").unwrap();
            let output = launcher.home.run(&["reload"]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        "INT INT" => {
            kill(launcher.pid(), "-INT");
            // The kernel merges two pending signals.
            std::thread::sleep(Duration::from_millis(100));
            launcher.end("-INT");
        }
        signal => assert!(launcher.end(&format!("-{signal}")).success()),
    }
    asked.elapsed()
}

/// Waits until none of these is running, for triggers after which the launcher continues.
fn gone(run: &str) {
    wait_for("nothing to be left", || {
        let left = left(run);
        let of_ours = |name: &&String| {
            STUBBORN.contains(&name.as_str()) || ["top", "base", "without a mark"].contains(&name.as_str())
        };
        (left.keys().filter(of_ours).count() == 0).then_some(())
    });
}

/// When each component last entered a state, in milliseconds since the start, and whether its process was killed.
fn moments(launcher: &Launcher, run: &str) -> BTreeMap<String, (u64, u64)> {
    let text = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut moments: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for event in events.filter(|event| event["run"] == run && event["event"] == "transition") {
        let entry = moments.entry(event["component"].as_str().unwrap().to_owned()).or_default();
        let ms = event["ms"].as_u64().unwrap();
        if event["to"] == "stopping" && event["from"] != "stopping" {
            entry.0 = ms;
        }
        if !event["ended"].is_null() {
            entry.1 = ms;
        }
    }
    moments
}

#[test]
fn every_stubborn_child_is_stopped_in_time_in_order_and_with_all_that_it_started() {
    let rounds = rounds(1, 5);
    let mut longest: BTreeMap<&str, Duration> = BTreeMap::new();
    for trigger in TRIGGERS.into_iter().cycle().take(TRIGGERS.len() * rounds) {
        let mut launcher = up();
        let run = launcher.snapshot().run_id.to_string();
        let asked = Instant::now();
        stop(&mut launcher, trigger);
        gone(&run);
        let took = asked.elapsed();
        let grace = if trigger == "INT INT" { Duration::ZERO } else { Duration::from_millis(GRACE) };
        assert!(took < grace + margin(), "{trigger}: {took:?}");
        // If the launcher continues, the last line may be written a moment after the process has ended.
        let moments = wait_for("every end to be on record", || {
            let moments = moments(&launcher, &run);
            STUBBORN
                .iter()
                .all(|kind| moments.get(*kind).is_some_and(|(_, ended)| *ended > 0))
                .then_some(moments)
        });
        for kind in STUBBORN {
            let (told, ended) = moments[kind];
            // A second INT kills, and then nothing is waited for.
            if trigger == "INT INT" {
                continue;
            }
            assert!(
                ended - told + STAMP >= GRACE,
                "{kind} was killed {} ms after it was told, by {trigger}",
                ended - told
            );
            if !matches!(trigger, "stop" | "reload") {
                assert!(
                    moments["top"].1 <= told || kind == "never-ready",
                    "{kind} was told before top had ended"
                );
                assert!(moments["base"].0 >= ended, "base was told before {kind} had ended");
            }
        }
        let most = longest.entry(trigger).or_default();
        *most = took.max(*most);
    }
    println!(
        "{} stops of {} stubborn children: at most {longest:?}",
        TRIGGERS.len() * rounds,
        STUBBORN.len()
    );
}
