//! `kill -9` of the launcher at a random moment: nothing of it is left within three seconds, its ports are free, and the next start
//! comes up by itself.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::misbehave::{component, home};
use crate::processes::{guards, marked};
use crate::support::dice::{Dice, rounds};
use crate::support::{Launcher, wait_for};

/// What the launcher is at when it is killed.
const MOMENTS: [&str; 5] = ["starting", "steady", "rotating", "reloading", "stopping"];

/// How long anything of it may live on.
const LIMIT: Duration = Duration::from_secs(3);

/// One round in three has grandchildren that mind nothing.
fn config(is_stubborn: bool, version: u64) -> String {
    let more = "needs = []\nstop-grace = '300ms'\nnotify = true";
    let mut text = "logs.file-mib = 1\n".to_owned();
    text.push_str(&component("chatter", "chatters", more));
    text.push_str(&component("polite", "polite", more));
    if is_stubborn {
        text.push_str(&component("group", "leaves-a-child", more));
        text.push_str(&component("session", "leaves-its-session", more));
    }
    text.replace("VERSION = '0'", &format!("VERSION = '{version}'"))
}

fn kill_at(launcher: &mut Launcher, moment: &str, is_stubborn: bool, dice: &mut Dice) {
    match moment {
        "starting" => dice.pause(200),
        "steady" => {
            launcher.wait_until_healthy();
            dice.pause(100);
        }
        // The chatter fills a file in half a second.
        "rotating" => {
            launcher.wait_until_healthy();
            dice.pause(1000);
        }
        "reloading" => {
            launcher.wait_until_healthy();
            let file = launcher.home.dir.path().join("faults.toml");
            std::fs::write(file, config(is_stubborn, dice.roll(1 << 30))).unwrap();
            let mut reload = launcher.home.command(&["reload"]).spawn().unwrap();
            dice.pause(50);
            let _ = reload.kill();
            reload.wait().unwrap();
        }
        "stopping" => {
            launcher.wait_until_healthy();
            crate::support::kill(launcher.pid(), "-TERM");
            dice.pause(200);
        }
        other => panic!("{other} is no moment"),
    }
    launcher.end("-KILL");
}

fn run_of(launcher: &Launcher) -> String {
    std::fs::read_to_string(launcher.home.data().join("run/children.lock")).unwrap_or_default()
}

fn nothing_is_left(launcher: &Launcher) -> Duration {
    let killed = Instant::now();
    let run = run_of(launcher);
    wait_for("nothing to be left", || {
        let is_over = launcher.survivors().is_empty() && (run.is_empty() || marked(&run).is_empty());
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
    let mut launchers = [false, true].map(|is_stubborn| (is_stubborn, home(&config(is_stubborn, 0)).idle()));
    for round in 0..rounds {
        let (is_stubborn, launcher) = &mut launchers[usize::from(round % 3 == 2)];
        launcher.start_again();
        kill_at(launcher, MOMENTS[round % MOMENTS.len()], *is_stubborn, &mut dice);
        let time = nothing_is_left(launcher);
        assert!(time < LIMIT, "round {round}, seed {seed}: {time:?}");
        took.push(time);
    }
    for (_, launcher) in &mut launchers {
        launcher.start_again();
        launcher.wait_until_healthy();
    }
    took.sort();
    println!(
        "{rounds} rounds: gone after {:?} in the middle, {:?} at most",
        took[rounds / 2],
        took[rounds - 1]
    );
}
