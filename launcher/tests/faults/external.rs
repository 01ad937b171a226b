//! Programs that know nothing of lifelines.

use std::time::{Duration, Instant};

use crate::misbehave::home;
use crate::processes::marked;
use crate::support::{Home, wait_for};

/// Ignores TERM and its standard input, as do its child and a process that has left its session.
const STUBBORN: &str = "trap \"\" TERM; (while :; do sleep 1; done) & setsid sh -c \"while :; do sleep 1; done\" & while :; do sleep 1; done";

#[test]
fn an_external_component_ends_with_its_launcher_though_it_minds_nothing() {
    let home = Home::new()
        .set("components.stubborn.command=['sh', '-c']")
        .set(&format!("components.stubborn.args=['{STUBBORN}']"))
        .set("components.stubborn.needs=[]")
        .set("components.stubborn.stop-grace=300ms")
        .set("components.polite.command=['sleep', '600']");
    let mut launcher = home.argument("--no-web").argument("--no-thermometer").up();
    let polite = launcher.component_pid("polite").unwrap();
    let comm = std::fs::read_to_string(format!("/proc/{polite}/comm")).unwrap();
    assert_eq!(comm, "sleep\n", "the shim has become the program");
    let run = launcher.status().unwrap()["run_id"].as_str().unwrap().to_owned();
    // Two built-in components, `sleep`, and three shells with a `sleep` each.
    let count = || marked(&run).values().map(Vec::len).sum::<usize>();
    wait_for("all to run", || (count() >= 9).then_some(()));
    launcher.end("-KILL");
    let killed = Instant::now();
    wait_for("the polite one to end", || {
        (!std::path::Path::new(&format!("/proc/{polite}/exe")).exists()).then_some(())
    });
    assert!(
        killed.elapsed() < Duration::from_secs(1),
        "the parent-death signal ends it: {:?}",
        killed.elapsed()
    );
    wait_for("nothing to be left", || (count() == 0).then_some(()));
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
    launcher.up_again();
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let home =
        Home::new().set("components.echo.command=/nonexistent/program").set("components.echo.restart=never");
    let home = home.set("components.echo.needs=[]").argument("--no-web").argument("--no-thermometer");
    let launcher = home.start();
    let error = wait_for("its error", || {
        let error = launcher.component("echo")?["last_error"].as_str()?.to_owned();
        error.contains("cannot run").then_some(error)
    });
    assert!(error.contains("/nonexistent/program") && error.contains("No such file"), "{error}");
    assert_eq!(launcher.component("echo").unwrap()["state"], "failed");
}

#[test]
fn who_needs_a_program_that_cannot_be_run_is_not_started_and_check_says_so_before() {
    let config = "[components.echo]\ncommand = '/nonexistent/program'\nneeds = []\nbackoff = '1ms'\n[components.after]\ncommand = ['sleep', '600']\nneeds = ['echo']\n         [components.shell]\ncommand = 'sh -c true'\nneeds = []\nrestart = 'never'\n[components.lost]\ncommand = ['true']\ncwd = '/nonexistent/directory'\nneeds = []\nrestart = 'never'\n";
    let home = home(config);
    let check = home.run(&["check"]);
    let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    assert_eq!(check.status.code(), Some(78), "{said}");
    for text in [
        "components.echo.command: cannot run '/nonexistent/program': no such file",
        "components.shell.command: cannot run 'sh -c true'",
        "components.lost.cwd: there is no directory /nonexistent/directory",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let mut launcher = home.start();
    wait_for("it to be given up", || (launcher.component("echo")?["state"] == "failed").then_some(()));
    wait_for("the lost one", || {
        launcher.component("lost")?["last_error"].as_str()?.contains("/nonexistent/directory").then_some(())
    });
    assert_eq!(launcher.component("after").unwrap()["state"], "waiting");
    launcher.end("-TERM");
    let events = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap();
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let ready: Vec<_> =
        events.filter(|event| event["component"] == "echo" && event["to"] == "ready").collect();
    assert!(ready.is_empty(), "{ready:?}");
}

#[test]
fn a_crash_is_on_record_with_all_that_was_known_of_it() {
    let home = Home::new()
        .set("components.bot.command=['sh', '-c', 'echo starting; echo the key is hunter22; echo cannot go on >&2; exit 7']")
        .set("components.bot.backoff=1ms")
        .set("components.bot.intensity=2")
        .set("components.bot.required=false")
        .variable("OPENAI_API_KEY", "hunter22");
    let home = home.set("openai-bot.enabled=false").argument("--no-web").argument("--no-thermometer");
    let mut launcher = home.start();
    wait_for("it to be given up", || (launcher.component("bot")?["state"] == "failed").then_some(()));
    let crashes = || serde_json::from_slice(&launcher.home.run(&["crashes", "--json"]).stdout).unwrap();
    let reports: Vec<serde_json::Value> = wait_for("three reports", || {
        let reports: Vec<serde_json::Value> = crashes();
        (reports.len() == 3).then_some(reports)
    });
    let last = &reports[2];
    assert_eq!(
        (&last["exit"]["code"], &last["next"], &last["same_in_a_row"]),
        (&7.into(), &"failed".into(), &3.into())
    );
    assert_eq!(last["last_lines"], serde_json::json!(["starting", "the key is ***", "cannot go on"]));
    assert_eq!(last["others"]["chat-server"], "ready");
    let shown = launcher.home.run(&["crashes", "bot"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("the same 3 times in a row") && shown.contains("  cannot go on"), "{shown}");
    let why = String::from_utf8(launcher.home.run(&["why", "bot"]).stdout).unwrap();
    assert!(why.contains(&format!("launcher crashes {}", last["id"].as_str().unwrap())), "{why}");
    assert!(launcher.end("-TERM").success());
    let events = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap();
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let given_up =
        events.iter().find(|event| event["component"] == "bot" && event["to"] == "failed").unwrap();
    assert!(given_up["reason"].as_str().unwrap().starts_with("gave up after 2 restarts"), "{given_up}");
    assert_eq!(events.last().unwrap()["event"], "launcher-ended");
    assert_eq!(launcher.home.run(&["crashes", "nobody"]).status.code(), Some(1));
}

#[test]
fn a_reload_changes_what_the_launcher_does_for_itself() {
    let address = crate::support::free_address();
    let launcher = home("[launcher]\nwatch = false\n").up();
    let file = launcher.home.dir.path().join("faults.toml");
    let answers = || std::net::TcpStream::connect(address).is_ok();
    let reload = |arguments: &[&str]| {
        let output = launcher.home.run(&[&["reload"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    std::fs::write(&file, format!("[launcher]\nmetrics-listen = '{address}'\n")).unwrap();
    let plan = reload(&["--plan"]);
    assert!(plan.starts_with("keep") && plan.contains("launcher.metrics-listen"), "{plan}");
    assert!(!answers(), "a plan changes nothing");
    reload(&[]);
    assert_eq!(crate::support::http::get(address, "/healthz").status, 200);
    // It is watched from now on.
    std::fs::write(&file, "[launcher]\nwatch = false\n").unwrap();
    wait_for("the numbers to be served no more", || (!answers()).then_some(()));
    reload(&[]);
}

#[test]
fn a_reload_says_what_it_does_and_why_and_one_that_changes_nothing_does_nothing() {
    let bridge = |more: &str| {
        format!("launcher.watch = false\n[components.bridge]\ncommand = ['sleep', '600']\n{more}\n")
    };
    let launcher = home(&bridge("")).up();
    let file = launcher.home.dir.path().join("faults.toml");
    let reload = |arguments: &[&str]| {
        let output = launcher.home.run(&[&["reload"], arguments].concat());
        let text =
            String::from_utf8(if output.status.success() { output.stdout } else { output.stderr }).unwrap();
        (output.status.success(), text)
    };
    let processes = || {
        let snapshot = launcher.snapshot();
        snapshot
            .components
            .iter()
            .map(|component| (component.name.clone(), component.pid))
            .collect::<Vec<_>>()
    };
    let transitions = || {
        let events = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap();
        events.matches("\"event\":\"transition\"").count()
    };
    let (before, events) = (processes(), transitions());
    for _ in 0..10 {
        let (is_fine, text) = reload(&[]);
        assert!(is_fine && text.starts_with("keep") && text.lines().count() == 1, "{text}");
    }
    std::fs::write(&file, bridge("restart = 'never'\n[thermometer]\ninterval = '5s'\nnmae = 'x'")).unwrap();
    let (is_fine, text) = reload(&[]);
    assert!(!is_fine && text.contains("did you mean 'name'"), "{text}");
    std::fs::write(&file, bridge("restart = 'never'")).unwrap();
    let (is_fine, text) = reload(&["--plan"]);
    assert!(is_fine && text.contains("change   bridge\n"), "{text}");
    assert!(text.contains("because  components.bridge.restart\n"), "{text}");
    assert!(reload(&[]).0);
    assert_eq!((processes(), transitions()), (before.clone(), events));
    std::fs::write(&file, bridge("env = { A = 'b' }")).unwrap();
    let (is_fine, text) = reload(&[]);
    assert!(
        is_fine && text.contains("restart  bridge\n") && text.contains("components.bridge.env.A"),
        "{text}"
    );
    wait_for("the bridge alone to be restarted", || {
        let now = processes();
        let differ: Vec<&str> =
            before.iter().zip(&now).filter(|(old, new)| old != new).map(|(old, _)| old.0.as_str()).collect();
        let is_back = now.iter().any(|(name, pid)| name == "bridge" && pid.is_some());
        (differ == ["bridge"] && is_back).then_some(())
    });
}
