//! Programs that run by the clock.

use std::time::{Duration, Instant};

use launcher::supervisor::status::{ScheduleStatus, State};

use crate::home;
use crate::support::{Launcher, wait_for};

fn schedule(launcher: &Launcher, name: &str) -> (State, ScheduleStatus) {
    let component = launcher.snapshot().component(name).unwrap().clone();
    (component.state, component.schedule.unwrap())
}

fn text(launcher: &Launcher, arguments: &[&str]) -> String {
    let output = launcher.home.run(arguments);
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn a_job_runs_when_the_minute_comes_and_says_when_it_runs_next() {
    let config = "[components.job]\ncommand = ['sh', '-c', 'date +%s >> ran']\ntype = 'oneshot'\nneeds = []\nschedule = '* * * * *'\n";
    let launcher = home(config).start();
    let ran = launcher.home.dir.path().join("ran");
    let (state, status) = schedule(&launcher, "job");
    let next = status.next_run.unwrap();
    assert_eq!((state, status.last_run, ran.exists()), (State::Scheduled, None, false));
    let deadline = Instant::now() + Duration::from_secs(70);
    while !ran.exists() {
        assert!(Instant::now() < deadline, "it does not run");
        std::thread::sleep(Duration::from_millis(20));
    }
    let run =
        wait_for("its end", || schedule(&launcher, "job").1.last_run.filter(|run| run.ended_at.is_some()));
    assert_eq!(run.started_at, next, "it began at the second that was announced");
    assert_eq!(run.result.as_deref(), Some("finished: exited with code 0"));
    let second: u64 = std::fs::read_to_string(&ran).unwrap().lines().next().unwrap().parse().unwrap();
    assert_eq!(second % 60, 0);
}

#[test]
fn the_operator_runs_suspends_and_resumes_it() {
    let config = "[components.job]\ncommand = ['sh', '-c', 'echo out of paper; exit 3']\ntype = 'oneshot'\nneeds = []\nschedule = '0 3 * * mon-fri'\ntime-zone = 'UTC'\n";
    let launcher = home(config).start();
    wait_for("the chat server", || (launcher.component("chat-server")?["state"] == "ready").then_some(()));
    assert!(launcher.snapshot().is_healthy(), "what waits for its time is well");
    assert!(text(&launcher, &["status"]).contains("0 3 * * mon-fri (UTC), next run 20"));
    text(&launcher, &["restart", "all"]);
    assert_eq!(schedule(&launcher, "job").0, State::Scheduled);
    let failed = launcher.home.run(&["restart", "job"]);
    assert!(!failed.status.success());
    let told = wait_for("the run to be told", || {
        Some(text(&launcher, &["why", "job"])).filter(|told| told.contains("last run"))
    });
    assert!(told.contains("exited with code 3") && told.contains("next run 20"), "{told}");
    text(&launcher, &["stop", "job"]);
    assert_eq!(schedule(&launcher, "job").1.next_run, None);
    text(&launcher, &["start", "job"]);
    let (state, status) = schedule(&launcher, "job");
    assert!(state == State::Scheduled && status.next_run.is_some(), "{state} {status:?}");
}

#[test]
fn the_last_run_is_known_after_a_restart_of_the_launcher() {
    let config = "[components.job]\ncommand = ['sh', '-c', 'exit 3']\ntype = 'oneshot'\nneeds = []\nschedule = '0 3 * * *'\n\
                  [components.long]\ncommand = ['sleep', '600']\ntype = 'oneshot'\nneeds = []\nschedule = '0 3 * * *'\n";
    let mut launcher = home(config).start();
    wait_for("the chat server", || (launcher.component("chat-server")?["state"] == "ready").then_some(()));
    text(&launcher, &["restart", "job"]);
    let mut asking = launcher.home.command(&["restart", "long"]).spawn().unwrap();
    let before = wait_for("both runs", || {
        let job = schedule(&launcher, "job").1.last_run.filter(|run| run.ended_at.is_some())?;
        Some((job, schedule(&launcher, "long").1.last_run?))
    });
    let file = launcher.home.data().join("run/schedules.json");
    wait_for("the file", || std::fs::read_to_string(&file).ok().filter(|text| text.contains("\"long\"")));
    asking.kill().unwrap();
    asking.wait().unwrap();
    launcher.end("-KILL");
    launcher.start_again();
    let (state, job) = wait_for("the launcher", || {
        let component = launcher.try_snapshot()?.component("job")?.clone();
        Some((component.state, component.schedule?))
    });
    assert_eq!(
        (state, job.last_run),
        (State::Scheduled, Some(before.0)),
        "and what was missed is not made up for"
    );
    let long = schedule(&launcher, "long").1.last_run.unwrap();
    assert_eq!(long.started_at, before.1.started_at);
    assert_eq!(long.result.as_deref(), Some("was interrupted by the end of the launcher"));
    assert!(text(&launcher, &["why", "job"]).contains("last run"));
}

#[test]
fn mistakes_in_schedules_are_told() {
    let config = "[components.a]\ncommand = ['true']\nschedule = '61 * * * *'\n\
                  [components.b]\ncommand = ['true']\ntype = 'oneshot'\nschedule = '@daily'\ntime-zone = 'Europe/Berln'\n\
                  [components.c]\ncommand = ['true']\nneeds = ['b']\ntime-zone = 'UTC'\n\
                  [components.d]\ncommand = ['true']\ntype = 'oneshot'\nschedule = '0 0 31 feb *'\noverlap = 'twice'\n";
    let output = home(config).run(&["check"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for said in [
        "components.a.schedule: minute '61': it is 0 to 59",
        "components.a.schedule: is for what does something and is done; also write type = \"oneshot\"",
        "components.b.time-zone: unknown time zone 'Europe/Berln'",
        "components.c.needs: b runs by a schedule",
        "components.c.time-zone: is for a schedule, and there is none",
        "components.d.schedule: '0 0 31 feb *' never happens",
        "components.d.overlap: \"twice\" is not one of skip, queue",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}
