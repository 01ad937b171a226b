//! Replicas of a program, and names that stand for several components.

use std::collections::{BTreeMap, BTreeSet};

use launcher::supervisor::status::State;

use crate::home;
use crate::support::{Launcher, kill, wait_for};

/// Three of one, and one that needs them all.
fn config(replicas: u32) -> String {
    format!(
        "[launcher]\nwatch = false\ngroups = {{ site = ['web', 'worker'] }}\n\
         [components.web]\ncommand = ['sh', '-c', 'echo I am $0 of $PORT; exec sleep 600', 'web-$REPLICA']\nreplicas = {replicas}\nneeds = []\n\
         env = {{ PORT = '900$REPLICA' }}\naddress = '127.0.0.1:900$REPLICA'\n\
         [components.worker]\ncommand = ['sleep', '600']\nneeds = ['web']\n"
    )
}

/// The processes of the program and of who needs it, by name.
fn pids(launcher: &Launcher) -> BTreeMap<String, u32> {
    let components = launcher.snapshot().components.into_iter();
    let ours = components.filter(|one| one.name.starts_with("web.") || one.name == "worker");
    ours.filter_map(|one| Some((one.name, one.pid?))).collect()
}

fn say(launcher: &Launcher, arguments: &[&str]) -> String {
    let output = launcher.home.run(arguments);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

#[test]
fn each_replica_is_a_component_and_their_name_stands_for_all() {
    let launcher = home(&config(3)).up();
    let before = pids(&launcher);
    assert_eq!(before.keys().collect::<Vec<_>>(), ["web.1", "web.2", "web.3", "worker"]);
    let second = launcher.snapshot().component("web.2").unwrap().clone();
    assert_eq!(second.address.as_deref(), Some("127.0.0.1:9002"));
    let logs = wait_for("all to speak", || {
        let logs = say(&launcher, &["logs", "web"]);
        (1..=3).all(|n| logs.contains(&format!("I am web-{n} of 900{n}"))).then_some(logs)
    });
    assert!(logs.contains("web.3 |"), "{logs}");
    assert!(say(&launcher, &["logs", "--verify", "web"]).contains("web.2: intact"));

    say(&launcher, &["restart", "web"]);
    let after = pids(&launcher);
    assert!(
        (1..=3).all(|n| after[&format!("web.{n}")] != before[&format!("web.{n}")]),
        "{before:?} {after:?}"
    );
    assert_eq!(after["worker"], before["worker"]);

    let told = say(&launcher, &["stop", "site"]);
    assert!(told.contains("web.1 is stopped") && told.contains("worker is stopped"), "{told}");
    assert!(pids(&launcher).is_empty());
    // Who needs them waits for all of them.
    say(&launcher, &["start", "web.1", "web.2"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = supervisor::control::Request::Start { component: "worker".to_owned() };
    runtime.block_on(supervisor::control::request(&launcher.home.data(), &start)).unwrap();
    let worker = launcher.snapshot().component("worker").unwrap().clone();
    assert_eq!((worker.state, worker.waits_for), (State::Waiting, vec!["web.3".to_owned()]));
    say(&launcher, &["start", "site"]);
    assert_eq!(pids(&launcher).len(), 4);
    let told = say(&launcher, &["why", "site"]);
    assert!(told.contains("web.3 is ready") && told.contains("worker is ready"), "{told}");
    let unknown = launcher.home.run(&["restart", "nobody"]);
    let text = String::from_utf8(unknown.stderr).unwrap();
    assert!(text.contains("unknown component 'nobody'") && text.contains("site"), "{text}");
}

#[test]
fn who_needs_a_group_needs_all_its_members_and_its_crashes_are_theirs() {
    let settings =
        format!("{}[components.tests]\ncommand = ['sleep', '600']\nneeds = ['site', 'web']\n", config(2));
    let launcher = home(&settings).up();
    let tests = launcher.snapshot().component("tests").unwrap().clone();
    assert_eq!(tests.needs, ["web.1", "web.2", "worker"]);
    for (name, pid) in pids(&launcher) {
        kill(pid, "-SEGV");
        wait_for("its report", || launcher.home.run(&["crashes", &name]).status.success().then_some(()));
    }
    kill(tests.pid.unwrap(), "-SEGV");
    wait_for("its report", || launcher.home.run(&["crashes", "tests"]).status.success().then_some(()));
    let reports = |name: &str| -> BTreeSet<String> {
        let reports: serde_json::Value =
            serde_json::from_str(&say(&launcher, &["crashes", name, "--json"])).unwrap();
        let names = reports.as_array().unwrap().iter().map(|report| report["component"].as_str());
        names.map(|name| name.unwrap().to_owned()).collect()
    };
    assert_eq!(reports("site"), ["web.1", "web.2", "worker"].map(str::to_owned).into());
    assert_eq!(reports("web"), ["web.1", "web.2"].map(str::to_owned).into());
}

#[test]
fn another_number_starts_and_stops_only_the_difference() {
    let launcher = home(&config(3)).up();
    let before = pids(&launcher);
    let file = launcher.home.dir.path().join("operators.toml");
    std::fs::write(&file, config(4)).unwrap();
    let plan = say(&launcher, &["reload", "--plan"]);
    assert!(plan.contains("start    web.4\n") && !plan.contains("restart"), "{plan}");
    say(&launcher, &["reload"]);
    wait_for("the fourth", || pids(&launcher).contains_key("web.4").then_some(()));
    std::fs::write(&file, config(2)).unwrap();
    say(&launcher, &["reload"]);
    wait_for("two to be gone", || {
        let snapshot = launcher.snapshot();
        (snapshot.component("web.3").is_none() && snapshot.component("web.4").is_none()).then_some(())
    });
    let after = pids(&launcher);
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|(name, pid)| before[name] == *pid), "{before:?} {after:?}");
}

#[test]
fn mistakes_in_replicas_and_groups_are_told() {
    let config = "[launcher]\ngroups = { web = ['worker'], all = ['web'], site = [], other = ['worke'], clock = ['timed'], ring = ['web', 'timed'] }\n\
                  [components.web]\ncommand = ['true']\nreplicas = 0\nneeds = []\n\
                  [components.worker]\ncommand = ['true']\nprobe = { tcp = '127.0.0.1:900$REPLICA' }\nneeds = ['othr', 'clock']\n\
                  [components.timed]\ncommand = ['true']\ntype = 'oneshot'\nschedule = '@daily'\nneeds = ['ring']\n\
                  [chat-server]\n[components.chat-server]\nreplicas = 2\n";
    let output = home(config).run(&["check"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for said in [
        "launcher.groups.web: there is a component of this name",
        "launcher.groups.all: a group's name is",
        "launcher.groups.site: names no component",
        "launcher.groups.other: there is no component 'worke'; did you mean 'worker'?",
        "components.web.replicas: must be 1 to 200",
        "components.worker.probe: tcp is written",
        "components.worker.needs: there is nothing called 'othr'; did you mean 'other'?",
        "components.worker.needs: timed runs by a schedule, so nothing can wait for it",
        "components.timed.needs: needs itself, if by a detour",
        "components.chat-server.replicas: chat-server is a built-in component",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}
