//! More components than the soft limit of open files has room for.

use crate::misbehave::home;
use crate::support::wait_for;

#[test]
fn the_soft_limit_of_open_files_keeps_nobody_from_running() {
    let program = |n: usize| format!("[components.p{n}]\ncommand = ['sleep', '600']\nneeds = []\n");
    let limit = "[components.limit]\ncommand = ['sh', '-c', 'ulimit -Sn; exec sleep 600']\nneeds = []\n";
    let home = home(&((0..40).map(program).collect::<String>() + limit));
    // As many as the launcher has open with three of them.
    let inner = home.command(&["up"]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -Sn 60; exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(home.dir.path()).stdin(std::process::Stdio::null());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let states = || -> Option<Vec<String>> {
        let status: serde_json::Value =
            serde_json::from_slice(&home.run(&["status", "--json"]).stdout).ok()?;
        let components = status["components"].as_array()?.iter();
        Some(components.map(|it| it["state"].as_str().unwrap().to_owned()).collect())
    };
    wait_for("all to be ready", || {
        let states = states()?;
        let is_up = states.iter().filter(|state| *state == "ready").count() >= 43;
        is_up.then_some(())
    });
    let log = home.logs().join("limit.log");
    let said =
        wait_for("its limit", || std::fs::read_to_string(&log).ok().filter(|text| text.contains('\n')));
    assert_eq!(said.trim(), "60", "the operator's programs keep theirs");
    assert!(home.run(&["down"]).status.success());
    assert!(child.wait().unwrap().success());
}
