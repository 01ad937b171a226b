//! A home whose launcher runs what a configuration file says, and of our own components only those that cannot be left out.

use std::path::PathBuf;

use crate::support::{Home, Launcher, wait_for};

/// The launcher's configuration file.
pub(crate) fn file(home: &Home) -> PathBuf {
    home.dir.path().join("programs.toml")
}

/// A home with this configuration file.
pub(crate) fn home(config: &str) -> Home {
    let home = Home::new().argument("--no-web").argument("--no-thermometer");
    std::fs::write(file(&home), config).unwrap();
    let file = file(&home);
    home.variable("P2P_CONFIG", file.to_str().unwrap())
}

/// What a component has logged.
pub(crate) fn log(launcher: &Launcher, component: &str) -> String {
    std::fs::read_to_string(launcher.home.logs().join(format!("{component}.log"))).unwrap_or_default()
}

/// Waits until a component has logged this text, and returns all of its log.
pub(crate) fn until_logged(launcher: &Launcher, component: &str, text: &str) -> String {
    wait_for(text, || Some(log(launcher, component)).filter(|log| log.contains(text)))
}

/// Waits until a component is in a state.
pub(crate) fn until_state(launcher: &Launcher, component: &str, state: &str) {
    wait_for(state, || (launcher.component(component)?["state"] == state).then_some(()));
}

/// A subcommand that must succeed; what it printed.
pub(crate) fn run(launcher: &Launcher, arguments: &[&str]) -> String {
    let output = launcher.home.run(arguments);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}
