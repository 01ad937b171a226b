//! Tests from observations to files.

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::*;
use crate::supervisor::events::{
    Ended, LastLines, Moment, Observation, ProbeKind, Probed, ProcessExit, State, Transition, Usage,
};
use crate::supervisor::logs::names::EVENTS;
use crate::supervisor::logs::verify::{Verdict, verify};
use crate::supervisor::{LogPolicy, Oom};

fn at(second: i64) -> Moment {
    let wall = OffsetDateTime::from_unix_timestamp(1_795_000_000 + second).unwrap();
    Moment { wall, since_start: Duration::from_millis(1500) }
}

fn transition(component: &str, epoch: u64, from: State, to: State) -> Transition {
    let (component, reason, config_digest) = (component.to_owned(), "ready".to_owned(), "d1".to_owned());
    Transition {
        at: at(epoch as i64),
        component,
        epoch,
        from,
        to,
        reason,
        pid: Some(7),
        ended: None,
        config_digest,
    }
}

/// A process that ended: by itself, or because it was stopped.
fn end(component: &str, epoch: u64, by_itself: bool) -> Observation {
    let to = if by_itself { State::Backoff } else { State::Stopped };
    let usage = Usage { user: Duration::from_millis(20), system: Duration::ZERO, max_rss: 3 << 20 };
    let (exit, lived) = (ProcessExit::Code(3), Duration::from_secs(2));
    let ended = Some(Ended { exit, usage: Some(usage), lived, by_itself, oom: Oom::None });
    let reason = "exited with code 3".to_owned();
    Observation::Transition(Transition { ended, reason, ..transition(component, epoch, State::Ready, to) })
}

fn lines(component: &str, epoch: u64, same_in_a_row: u32) -> Observation {
    let lines = vec!["one".to_owned(), "last words".to_owned()];
    Observation::LastLines(LastLines {
        at: at(0),
        component: component.to_owned(),
        epoch,
        lines,
        same_in_a_row,
    })
}

fn probed(result: Result<(), &str>) -> Observation {
    let (component, result) = ("web".to_owned(), result.map_err(str::to_owned));
    let (kind, took) = (ProbeKind::Liveness, Duration::from_millis(4));
    Observation::Probed(Probed { at: at(0), component, epoch: 1, kind, took, result })
}

/// Records these observations, and returns the lines of the file.
fn recorded(logs: &Path, observations: Vec<Observation>) -> Vec<Value> {
    let (recorder, observer) =
        Recorder::start(logs, Uuid::nil(), Limits::new(LogPolicy::default()), audience()).unwrap();
    observations.into_iter().for_each(|observation| observer.tell(observation));
    drop(observer);
    // Without the launcher's time limit: a loaded disk takes longer for a hundred reports.
    recorder.done.recv().unwrap();
    let text = std::fs::read_to_string(logs.join(EVENTS)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_transition_is_a_line_with_its_reason_and_how_the_process_ended() {
    let dir = tempfile::tempdir().unwrap();
    let ready = Observation::Transition(transition("web", 1, State::Starting, State::Ready));
    let lines = recorded(dir.path(), vec![ready, end("web", 1, true)]);
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["launcher-started", "transition", "transition", "launcher-ended"]);
    let (ready, end) = (&lines[1], &lines[2]);
    assert_eq!(
        (&ready["from"], &ready["to"], &ready["ended"]),
        (&"starting".into(), &"ready".into(), &Value::Null)
    );
    assert_eq!((ready["at"].as_str().unwrap(), &ready["ms"]), ("2026-11-18T11:06:41.000Z", &1500.into()));
    assert_eq!(end["reason"], "exited with code 3");
    assert_eq!(end["ended"]["exit"], serde_json::json!({"code": 3}));
    assert_eq!((&end["ended"]["lived_ms"], &end["ended"]["max_rss_kib"]), (&2000.into(), &3072.into()));
}

#[test]
fn only_turns_of_a_probe_are_events_but_a_report_has_every_answer() {
    let dir = tempfile::tempdir().unwrap();
    let answers = [Ok(()), Ok(()), Err("refuses"), Err("refuses"), Ok(())].map(probed);
    let all = answers.into_iter().chain([end("web", 1, true), lines("web", 1, 1)]).collect();
    let lines = recorded(dir.path(), all);
    let errors: Vec<&Value> = lines.iter().filter(|l| l["event"] == "probe").map(|l| &l["error"]).collect();
    assert_eq!(errors, [&Value::Null, &"refuses".into(), &Value::Null]);
    let report = crash::newest_of(dir.path(), "web").unwrap().unwrap();
    assert_eq!(report.probes.len(), 5);
    assert_eq!(report.probes[2].error.as_deref(), Some("refuses"));
}

#[test]
fn a_crash_has_a_report_and_an_end_that_was_asked_for_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let api = Observation::Transition(transition("api", 1, State::Starting, State::Ready));
    recorded(
        dir.path(),
        vec![api, end("web", 1, true), lines("web", 1, 3), end("api", 1, false), lines("api", 1, 0)],
    );
    let reports = crash::all(dir.path()).unwrap();
    assert_eq!(reports.len(), 1);
    let report = &reports[0];
    assert_eq!((report.component.as_str(), report.id.as_str()), ("web", "web-20261118T110641Z-1"));
    assert_eq!((report.exit, report.next, report.same_in_a_row), (ProcessExit::Code(3), State::Backoff, 3));
    assert_eq!(report.last_lines, ["one", "last words"]);
    assert_eq!(report.others, [("api".to_owned(), State::Ready)].into());
    assert_eq!((report.lived_ms, report.usage.unwrap().user_ms, report.config.as_str()), (2000, 20, "d1"));
}

#[test]
fn a_report_whose_last_lines_never_come_is_written_without_them() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path(), vec![end("web", 1, true), lines("web", 9, 1), end("web", 2, true)]);
    let reports = crash::all(dir.path()).unwrap();
    let epochs: Vec<u64> = reports.iter().map(|report| report.epoch).collect();
    assert_eq!(epochs, [1, 2]);
    assert!(reports.iter().all(|report| report.last_lines.is_empty()));
}

#[test]
fn the_newest_reports_are_kept_and_found_by_the_beginning_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let crashes = (1..=150).flat_map(|epoch| [end("web", epoch, true), lines("web", epoch, 1)]);
    recorded(dir.path(), crashes.chain([end("web-a", 200, true)]).collect());
    let reports = crash::all(dir.path()).unwrap();
    assert_eq!(reports.len(), 100);
    assert_eq!(reports[98].epoch, 150);
    assert_eq!(crash::newest_of(dir.path(), "web").unwrap().unwrap().epoch, 150);
    assert_eq!(crash::find(dir.path(), "web").unwrap().unwrap().epoch, 150);
    assert_eq!(crash::find(dir.path(), "web-2").unwrap().unwrap().epoch, 150);
    assert_eq!(crash::find(dir.path(), "web-a").unwrap().unwrap().component, "web-a");
    let first = &reports[0].id;
    assert_eq!(crash::find(dir.path(), first).unwrap().unwrap().id, *first);
    assert_eq!(crash::find(dir.path(), "api").unwrap(), None);
    std::fs::write(dir.path().join("crash/nonsense.json"), "{").unwrap();
    assert!(crash::all(dir.path()).unwrap().len() >= 99);
}

#[test]
fn events_are_proven_as_logs_are_and_what_is_lost_of_them_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(EVENTS);
    let proven = || verify(dir.path(), EVENTS).unwrap();
    let all = recorded(dir.path(), vec![end("web", 1, true), end("web", 2, true)]).len() as u64;
    let Verdict { files, lines, flaws, lost, unproven, .. } = proven();
    assert_eq!((files, lines), (1, all));
    assert!(flaws.is_empty() && lost.is_empty() && unproven.is_empty());

    let text = std::fs::read(&path).unwrap();
    let mut changed = text.clone();
    changed[100] ^= 1;
    std::fs::write(&path, changed).unwrap();
    assert!(proven().flaws[0].1.ends_with("are not what was written"), "{:?}", proven().flaws);
    std::fs::write(&path, &text[..text.len() - 10]).unwrap();
    assert!(proven().flaws[0].1.contains("10 bytes are missing"), "{:?}", proven().flaws);
    std::fs::remove_file(&path).unwrap();
    assert!(proven().flaws[0].1.contains("is missing"), "{:?}", proven().flaws);

    // The next launcher counts it.
    let lines = recorded(dir.path(), Vec::new());
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["lost", "launcher-started", "launcher-ended"]);
    assert_eq!((&lines[0]["lines"], &lines[0]["bytes"]), (&all.into(), &text.len().into()));
    let Verdict { flaws, lost, unproven, .. } = proven();
    assert!(flaws.is_empty() && unproven.is_empty());
    assert_eq!((lost[0].lines, lost[0].bytes), (all, text.len() as u64));
}

#[test]
fn events_that_are_deleted_while_the_launcher_runs_are_counted_and_the_file_is_kept_within_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::new(LogPolicy { max_bytes: 2000, ..LogPolicy::default() });
    let mut journal = EventLog::new(dir.path(), Uuid::nil(), limits, audience());
    journal.began();
    std::fs::remove_file(dir.path().join(EVENTS)).unwrap();
    (1..=20).for_each(|epoch| journal.write(&end("web", epoch, true)));
    let verdict = verify(dir.path(), EVENTS).unwrap();
    assert_eq!((&verdict.flaws, &verdict.unproven), (&Vec::new(), &Vec::new()));
    // And one that says what was lost.
    assert_eq!((verdict.lines, verdict.lost[0].lines), (21, 1));
    assert!(verdict.files > 2, "{verdict:?}");
}
