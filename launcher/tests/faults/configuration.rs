//! A configuration that is read while it is being written, and one that would move the chat elsewhere.

use std::time::{Duration, Instant};

use crate::misbehave::home;
use crate::support::{Launcher, wait_for};

/// The store is not the default one, so applying an emptied file would move the chat.
const CONFIG: &str =
    "[store]\nurl = 'sqlite:other.db'\n[components.bridge]\ncommand = ['sleep', '600']\nneeds = []\n";

fn up() -> Launcher {
    home(CONFIG).up()
}

fn write(launcher: &Launcher, text: &str) {
    std::fs::write(launcher.home.dir.path().join("faults.toml"), text).unwrap();
}

fn processes(launcher: &Launcher) -> Vec<(String, Option<u32>)> {
    let snapshot = launcher.snapshot();
    snapshot.components.iter().map(|component| (component.name.clone(), component.pid)).collect()
}

/// Why the configuration on disk was not applied.
fn remark(launcher: &Launcher) -> Option<String> {
    let snapshot = launcher.snapshot();
    snapshot.dependencies.iter().find(|it| it.name == "config").and_then(|it| it.reason.clone())
}

fn reload(launcher: &Launcher, arguments: &[&str]) -> (bool, String) {
    let output = launcher.home.run(&[&["reload"], arguments].concat());
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn an_emptied_configuration_moves_nothing() {
    let launcher = up();
    let before = processes(&launcher);
    write(&launcher, "");
    let until = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < until {
        assert_eq!(processes(&launcher), before);
    }
    // Not only briefly, but permanently: it is reported, and still nothing is moved.
    let said = wait_for("the empty file to be told", || remark(&launcher));
    assert!(said.contains("faults.toml is empty or missing"), "{said}");
    let (is_fine, text) = reload(&launcher, &[]);
    assert!(!is_fine && text.contains("is empty or missing"), "{text}");
    std::fs::remove_file(launcher.home.dir.path().join("faults.toml")).unwrap();
    assert!(!reload(&launcher, &[]).0, "a file that is gone");
    assert_eq!(processes(&launcher), before);
    write(&launcher, CONFIG);
    wait_for("all to be well again", || remark(&launcher).is_none().then_some(()));
    assert_eq!(processes(&launcher), before);
}

#[test]
fn another_store_is_applied_only_when_confirmed() {
    let launcher = up();
    let before = processes(&launcher);
    write(&launcher, &CONFIG.replace("other.db", "third.db"));
    let said = wait_for("the change to be told", || remark(&launcher));
    assert!(said.contains("store.url") && said.contains("reload --yes"), "{said}");
    assert_eq!(processes(&launcher), before);
    let (is_fine, text) = reload(&launcher, &["--plan"]);
    assert!(is_fine && text.contains("confirm  store.url"), "{text}");
    let (is_fine, text) = reload(&launcher, &[]);
    assert!(!is_fine && text.contains("reload --yes"), "{text}");
    assert_eq!(processes(&launcher), before);
    let (is_fine, text) = reload(&launcher, &["--yes"]);
    assert!(is_fine && text.contains("restart  message-api"), "{text}");
    wait_for("the new store", || launcher.home.data().join("third.db").exists().then_some(()));
    wait_for("all to be well again", || remark(&launcher).is_none().then_some(()));
}
