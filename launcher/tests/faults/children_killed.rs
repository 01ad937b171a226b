//! Repeated `kill -9` of children: each is restarted within its backoff plus a margin, there are never two processes of one component, the
//! counters are exact, and the launcher has as many descriptors and threads as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::misbehave::{component, home};
use crate::processes::{count, marked};
use crate::support::dice::{Dice, is_long, rounds};
use crate::support::{Launcher, kill, wait_for};

const CHILDREN: u64 = 5;

/// The longest backoff, with its jitter.
const BACKOFF: Duration = Duration::from_millis(60);

/// The margin until the child is ready again. The short form runs beside other tests.
fn margin() -> Duration {
    if is_long() { Duration::from_millis(200) } else { Duration::from_secs(2) }
}

fn config() -> String {
    let more = "needs = []\nnotify = true\nbackoff = '50ms'\nbackoff-max = '50ms'\nintensity = 1000000";
    (0..CHILDREN).map(|number| component(&format!("c{number}"), "polite", more)).collect()
}

/// Continuously searches for two processes of one component.
fn watch_for_twins(run: String, done: Arc<AtomicBool>) -> JoinHandle<usize> {
    std::thread::spawn(move || {
        let mut looks = 0;
        while !done.load(Ordering::Relaxed) {
            for (name, pids) in marked(&run) {
                assert!(pids.len() <= 1, "there are two of {name}: {pids:?}");
            }
            looks += 1;
            std::thread::sleep(Duration::from_millis(10));
        }
        looks
    })
}

fn restarts(launcher: &Launcher, name: &str) -> u64 {
    launcher.snapshot().component(name).unwrap().restarts.into()
}

#[test]
fn killed_children_come_back_alone_and_in_time_and_leave_nothing_in_the_launcher() {
    let (mut dice, seed) = Dice::cast();
    let kills = rounds(20, 1000);
    println!("P2P_SEED={seed}");
    let launcher = home(&config()).up();
    let before = wait_for("the pipes of the start to be closed", || {
        let before = (count(launcher.pid(), "fd"), count(launcher.pid(), "task"));
        std::thread::sleep(Duration::from_millis(100));
        (before == (count(launcher.pid(), "fd"), count(launcher.pid(), "task"))).then_some(before)
    });
    let done = Arc::new(AtomicBool::new(false));
    let twins = watch_for_twins(launcher.snapshot().run_id.to_string(), Arc::clone(&done));
    let mut took: Vec<Duration> = Vec::new();
    let mut killed = [0; CHILDREN as usize];
    for number in 0..kills {
        let child = dice.roll(CHILDREN);
        let name = format!("c{child}");
        let old = launcher.snapshot().component(&name).unwrap().pid.unwrap();
        let at = Instant::now();
        kill(old, "-KILL");
        wait_for("its successor", || {
            let snapshot = launcher.snapshot();
            let status = snapshot.component(&name).unwrap();
            (status.pid.is_some_and(|pid| pid != old) && status.state.to_string() == "ready").then_some(())
        });
        let time = at.elapsed();
        assert!(time < BACKOFF + margin(), "kill {number} of {name}, seed {seed}: {time:?}");
        took.push(time);
        killed[child as usize] += 1;
    }
    done.store(true, Ordering::Relaxed);
    let looks = twins.join().unwrap();
    for (child, killed) in killed.into_iter().enumerate() {
        assert_eq!(restarts(&launcher, &format!("c{child}")), killed, "c{child}, seed {seed}");
    }
    let now = || (count(launcher.pid(), "fd"), count(launcher.pid(), "task"));
    wait_for("as many descriptors and threads as before", || (now() == before).then_some(()));
    took.sort();
    println!(
        "{kills} kills, {looks} looks for twins: back after {:?} (median), {:?} (worst); {before:?} descriptors and threads",
        took[took.len() / 2],
        took[took.len() - 1]
    );
}
