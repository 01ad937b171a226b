//! `kill -9` of the launcher at a random moment: no process is left within three seconds, its ports are free, and the next start succeeds
//! by itself.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use launcher::supervisor::control::{Request, request};
use serde_json::Value;

use crate::misbehave::{component, home};
use crate::processes::{guards, left};
use crate::support::dice::{Dice, rounds};
use crate::support::{Launcher, wait_for};

/// What the launcher is doing when it is killed.
const MOMENTS: [&str; 5] = ["starting", "steady", "rotating", "reloading", "stopping"];

/// Time limit for the remaining processes.
const LIMIT: Duration = Duration::from_secs(3);

/// Grandchildren that ignore signals.
const STUBBORN: [&str; 5] =
    ["leaves-a-child", "leaves-its-session", "wrapped", "forks-twice", "another-user"];

/// The stubborn kinds that the launcher can find on this machine. Without control groups, its guard finds a process without any mark only
/// in its search every two seconds.
fn stubborn() -> Vec<&'static str> {
    let launcher = home("").up();
    let doctor = launcher.home.run(&["doctor"]);
    let has_groups = !String::from_utf8_lossy(&doctor.stdout).contains("no control group");
    println!("control groups: {has_groups}");
    STUBBORN.into_iter().chain(has_groups.then_some("leaves-everything")).collect()
}

/// One round in three is stubborn. Some process always writes; while files are being rotated it floods its log.
fn config(stubborn: &[&str], moment: &str, version: u64) -> String {
    let more = "needs = []\nstop-grace = '300ms'\nnotify = true";
    let mut text = "logs.file-mib = 1\n".to_owned();
    let talker = if moment == "rotating" { "torrent" } else { "chatters" };
    text.push_str(&component("talker", talker, more));
    text.push_str(&component("polite", "polite", more));
    for kind in stubborn {
        text.push_str(&component(kind, kind, more));
    }
    text.replace("VERSION = '0'", &format!("VERSION = '{version}'"))
}

/// The approximate time of a start, stop or restart of everything, in milliseconds.
const TURN: u64 = if cfg!(debug_assertions) { 150 } else { 40 };

fn write_config(launcher: &Launcher, text: &str) {
    std::fs::write(launcher.home.dir.path().join("faults.toml"), text).unwrap();
}

fn kill_at(launcher: &mut Launcher, moment: &str, stubborn: &[&str], dice: &mut Dice) {
    write_config(launcher, &config(stubborn, moment, 0));
    launcher.start_again();
    match moment {
        "starting" => dice.pause(TURN),
        "steady" | "rotating" => {
            launcher.wait_until_healthy();
            dice.pause(300);
        }
        "reloading" => {
            launcher.wait_until_healthy();
            write_config(launcher, &config(stubborn, moment, 1 + dice.roll(1 << 30)));
            let data = launcher.home.data();
            let reload = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                // No answer arrives if the launcher is killed first.
                drop(runtime.block_on(request(&data, &Request::Reload { plan_only: false, yes: false })));
            });
            dice.pause(TURN);
            launcher.end("-KILL");
            return reload.join().unwrap();
        }
        "stopping" => {
            launcher.wait_until_healthy();
            crate::support::kill(launcher.pid(), "-TERM");
            dice.pause(TURN);
        }
        other => panic!("{other} is no moment"),
    }
    launcher.end("-KILL");
}

/// Whether the launcher was doing it when it was killed, according to the files that it left.
fn was_at(launcher: &Launcher, moment: &str, run: &str) -> bool {
    let text = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events: Vec<Value> = events.filter(|event| event["run"] == run).collect();
    let mut states: BTreeMap<&str, &str> = BTreeMap::new();
    for event in events.iter().filter(|event| event["event"] == "transition") {
        states.insert(event["component"].as_str().unwrap(), event["to"].as_str().unwrap());
    }
    states.retain(|_, state| *state != "skipped");
    let is = |wanted: &str| states.values().any(|state| *state == wanted);
    let all_ready = !states.is_empty() && states.values().all(|state| *state == "ready");
    match moment {
        "starting" => !all_ready,
        "steady" => all_ready,
        "rotating" => {
            let files = std::fs::read_dir(launcher.home.logs()).unwrap().flatten();
            let mut names = files.map(|file| file.file_name().into_string().unwrap());
            names.any(|name| {
                name.starts_with("talker.2") && (name.ends_with(".log") || name.ends_with(".tmp"))
            })
        }
        "reloading" => {
            let asked = events.iter().any(|event| event["reason"] == "configuration changed");
            asked && !all_ready
        }
        "stopping" => {
            let is_over = events.iter().any(|event| event["event"] == "launcher-ended");
            !is_over && (is("stopping") || is("stopped"))
        }
        other => panic!("{other} is no moment"),
    }
}

fn run_of(launcher: &Launcher) -> String {
    let text = std::fs::read_to_string(launcher.home.data().join("run/children.lock")).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn nothing_is_left(launcher: &Launcher) -> Duration {
    let killed = Instant::now();
    let run = run_of(launcher);
    wait_for("nothing to be left", || {
        let is_over = launcher.survivors().is_empty() && (run.is_empty() || left(&run).is_empty());
        let is_over = is_over && (run.is_empty() || guards(&run).is_empty());
        is_over.then_some(())
    });
    let took = killed.elapsed();
    for address in [launcher.home.api, launcher.home.chat, launcher.home.book] {
        TcpListener::bind(address).unwrap_or_else(|error| panic!("{address} is not free: {error}"));
    }
    took
}

#[test]
fn nothing_outlives_a_killed_launcher_and_the_next_start_just_works() {
    let (mut dice, seed) = Dice::cast();
    let rounds = rounds(10, 300);
    println!("P2P_SEED={seed}");
    let mut took: Vec<Duration> = Vec::new();
    let mut hits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut launchers = [false, true].map(|_| home("").idle());
    let kinds = stubborn();
    for round in 0..rounds {
        let (moment, is_stubborn) = (MOMENTS[round % MOMENTS.len()], round % 3 == 2);
        let launcher = &mut launchers[usize::from(is_stubborn)];
        kill_at(launcher, moment, if is_stubborn { &kinds } else { &[] }, &mut dice);
        let time = nothing_is_left(launcher);
        assert!(time < LIMIT, "round {round}, {moment}, seed {seed}: {time:?}");
        took.push(time);
        *hits.entry(moment).or_default() += usize::from(was_at(launcher, moment, &run_of(launcher)));
    }
    for launcher in &mut launchers {
        launcher.start_again();
        launcher.wait_until_healthy();
    }
    took.sort();
    println!(
        "{rounds} rounds, {} of each moment, when it was {hits:?}: gone after {:?} (median), {:?} (worst)",
        rounds / MOMENTS.len(),
        took[rounds / 2],
        took[rounds - 1]
    );
    assert!(
        rounds < 100 || MOMENTS.iter().all(|moment| hits[moment] * 4 * MOMENTS.len() > rounds),
        "{hits:?}"
    );
}
