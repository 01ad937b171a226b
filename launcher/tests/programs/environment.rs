//! `env-file` and `autostart`.

use crate::house::{file, home, run, until_logged, until_state};
use crate::support::wait_for;

const CONFIG: &str = "[components.web]
command = ['sh', '-c', 'echo A=$A B=$B C=$C T=$API_TOKEN.; exec sleep 600']
env-file = ['.env.web', 'more/.env']
env = { C = 'own' }
needs = []
";

#[test]
fn a_component_gets_what_its_files_say_and_their_change_restarts_it_alone() {
    let home = home(&format!("{CONFIG}[components.other]\ncommand = ['sleep', '600']\nneeds = []\n"));
    let beside = file(&home).parent().unwrap().to_owned();
    std::fs::create_dir(beside.join("more")).unwrap();
    std::fs::write(beside.join(".env.web"), "# comment\nA=one\nexport B='two words'\nC=lost\n").unwrap();
    std::fs::write(beside.join("more/.env"), "A=later\nAPI_TOKEN=hunter22\n").unwrap();
    let launcher = home.up();
    let log = until_logged(&launcher, "web", "A=later B=two words C=own");
    assert!(!log.contains("hunter22"), "a secret is masked: {log}");
    let pid = launcher.component_pid("other");

    std::fs::write(beside.join("more/.env"), "A=newer\nAPI_TOKEN=hunter22\n").unwrap();
    until_logged(&launcher, "web", "A=newer B=two words C=own");
    assert_eq!(launcher.component_pid("other"), pid);
    let plan = run(&launcher, &["reload", "--plan"]);
    assert!(plan.starts_with("keep") && !plan.contains("because"), "nothing is left to do: {plan}");

    // One that is gone is a mistake, and nothing changes.
    std::fs::remove_file(beside.join(".env.web")).unwrap();
    let said = wait_for("the missing file to be told", || {
        let snapshot = launcher.snapshot();
        snapshot.dependencies.iter().find(|it| it.name == "config")?.reason.clone()
    });
    assert!(said.contains("components.web.env-file") && said.contains(".env.web does not exist"), "{said}");
    until_state(&launcher, "web", "ready");

    // One that is no longer named is missed by nobody.
    let config = std::fs::read_to_string(file(&launcher.home)).unwrap();
    std::fs::write(file(&launcher.home), config.replace("'.env.web', ", "")).unwrap();
    until_logged(&launcher, "web", "A=newer B= C=own");
}

#[test]
fn a_missing_file_is_named_with_its_key_and_place() {
    let home = home(CONFIG);
    let output = home.run(&["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("programs.toml:3:"), "{said}");
    assert!(
        said.contains("components.web.env-file: ") && said.contains("/.env.web does not exist"),
        "{said}"
    );
    assert!(said.contains("/more/.env does not exist"), "all of them are told: {said}");
}

#[test]
fn what_is_not_to_start_by_itself_waits_for_the_operator_and_is_well() {
    let config = "[components.tool]\ncommand = ['sleep', '600']\nneeds = []\nautostart = false\n\
                  [components.user]\ncommand = ['sleep', '600']\nneeds = ['tool']\nautostart = false\n";
    let launcher = home(config).start();
    wait_for("the others", || launcher.try_snapshot().filter(supervisor::Snapshot::is_healthy));
    assert_eq!(launcher.component("tool").unwrap()["state"], "stopped");
    let why = run(&launcher, &["why", "tool"]);
    assert!(why.contains("autostart = false") && why.contains("launcher start tool"), "{why}");
    run(&launcher, &["start", "user", "tool"]);
    until_state(&launcher, "user", "ready");
    run(&launcher, &["stop", "user"]);
    assert!(launcher.snapshot().is_healthy(), "that is how it is meant");
}
