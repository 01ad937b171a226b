//! A storm of restarts costs the launcher little, and other components nothing.

use std::time::Duration;

use crate::misbehave::{component, home};
use crate::processes::time_on_processors;
use crate::support::dice::is_long;
use crate::support::wait_for;

/// Three components that crash forever: at once, after a moment, and right after their earlier crashes were forgotten.
fn config() -> String {
    let crashing = |name: &str, life: &str, more: &str| {
        format!(
            "[components.{name}]\ncommand = ['sh', '-c', 'sleep {life}; exit 1']\nneeds = []\nrequired = false\n{more}\n"
        )
    };
    let endless = "intensity = 1000000";
    crashing("at-once", "0", endless)
        + &crashing("soon", "1.2", endless)
        + &crashing("past-stable", "2.1", &format!("{endless}\nreset-after = '2s'"))
        + &crashing("given-up", "0", "backoff = '10ms'")
        + &component("calm", "polite", "needs = []\nnotify = true")
}

/// The maximum number of restarts within a time, if the first restart comes at once and each further run is followed by a backoff that
/// doubles from 0.2 s to 30 s, with favourable jitter.
fn most_restarts(time: f64, life: f64, is_reset: bool) -> u32 {
    let (mut passed, mut wait, mut restarts) = (0.0, 0.0, 0);
    loop {
        passed += life + 0.8 * wait;
        if passed > time {
            return restarts;
        }
        restarts += 1;
        wait = if is_reset { 0.0 } else { (wait * 2.0_f64).clamp(0.2, 30.0) };
    }
}

#[test]
fn a_storm_of_restarts_is_as_seldom_as_its_formula_and_disturbs_nobody() {
    let time = Duration::from_secs(if is_long() { 60 } else { 6 });
    let launcher = home(&config()).start();
    wait_for("the calm one", || launcher.try_snapshot()?.component("calm")?.uptime_s);
    let calm = launcher.snapshot().component("calm").unwrap().pid;
    let before = time_on_processors(launcher.pid());
    std::thread::sleep(time);
    let used = Duration::from_nanos(time_on_processors(launcher.pid()) - before);
    let snapshot = launcher.snapshot();
    let status = |name: &str| snapshot.component(name).unwrap();
    let seconds = time.as_secs_f64() + 3.0;
    for (name, life, is_reset) in [("at-once", 0.0, false), ("soon", 1.2, false), ("past-stable", 2.1, true)]
    {
        let (restarts, most) = (status(name).restarts, most_restarts(seconds, life, is_reset));
        assert!(restarts >= 1 && restarts <= most, "{name}: {restarts} restarts, at most {most}");
    }
    let given_up = status("given-up");
    assert_eq!((given_up.state.to_string().as_str(), given_up.restarts), ("failed", 5));
    assert_eq!((status("calm").pid, status("calm").restarts), (calm, 0));
    // An unoptimised program takes several times as much.
    let limit = if cfg!(debug_assertions) { time / 5 } else { time / 50 };
    assert!(used < limit, "{used:?} of {time:?}");
    let counts = ["at-once", "soon", "past-stable"].map(|name| status(name).restarts);
    println!(
        "in {time:?}: restarts {counts:?}, {:.2} % of a processor",
        used.as_secs_f64() / time.as_secs_f64() * 100.0
    );
}
