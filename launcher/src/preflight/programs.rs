//! Checks the configured programs and their working directories in the way in which they will be started.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::config::{ComponentConfig, Loaded};
use crate::supervisor::accounts;

/// The commands that cannot be run, each with its key.
#[must_use]
pub fn check(loaded: &Loaded) -> Vec<String> {
    let mut found = Vec::new();
    let on_event = problem(&loaded.settings.launcher.on_event, None, None);
    found.extend(on_event.map(|what| format!("launcher.on-event: {what}")));
    for (name, command) in &loaded.settings.commands {
        found.extend(problem(command, None, None).map(|what| format!("{name}.command: {what}")));
    }
    for (name, config) in &loaded.settings.components {
        let (path, cwd) = (config.env.get("PATH").map(String::as_str), config.cwd.as_deref());
        if let Some(cwd) = cwd.filter(|cwd| !Path::new(cwd).is_dir()) {
            found.push(format!("components.{name}.cwd: there is no directory {cwd}"));
            continue;
        }
        found.extend(identity(config).map(|what| format!("components.{name}.{what}")));
        for (key, command) in commands(config) {
            let what = problem(command, path, cwd.map(Path::new));
            found.extend(what.map(|what| format!("components.{name}.{key}: {what}")));
        }
    }
    found
}

/// Why it cannot run as the configured user or group.
fn identity(config: &ComponentConfig) -> Option<String> {
    let user = config
        .user
        .as_deref()
        .and_then(|user| accounts::user(user).err())
        .map(|what| format!("user: {what}"));
    let group = || {
        config
            .group
            .as_deref()
            .and_then(|group| accounts::group(group).err())
            .map(|what| format!("group: {what}"))
    };
    let key = config.user.as_ref().map(|_| "user").or(config.group.as_ref().map(|_| "group"));
    let root = || {
        let key = key.filter(|_| !rustix::process::geteuid().is_root() && !is_own_user(config))?;
        Some(format!("{key}: only a launcher that is started by root can run a program as somebody else"))
    };
    user.or_else(group).or_else(root)
}

fn is_own_user(config: &ComponentConfig) -> bool {
    let own = rustix::process::getuid().as_raw();
    let user = config.user.as_deref().and_then(|user| accounts::user(user).ok());
    config.group.is_none() && user.is_some_and(|user| user.uid == own)
}

/// All commands of a component, with their keys.
fn commands(config: &ComponentConfig) -> Vec<(&'static str, &[String])> {
    let main = Some(("command", config.command.as_slice())).filter(|(_, command)| !command.is_empty());
    let probes = [("probe", &config.probe), ("liveness", &config.liveness)];
    let stop =
        Some(("stop-command", config.stop_command.as_slice())).filter(|(_, command)| !command.is_empty());
    let probes = probes.into_iter().filter_map(|(key, probe)| Some((key, probe.as_ref()?.exec.as_deref()?)));
    main.into_iter().chain(stop).chain(probes).collect()
}

/// Why the program of a command cannot be run, if it cannot.
fn problem(command: &[String], path: Option<&str>, cwd: Option<&Path>) -> Option<String> {
    let program = command.first()?;
    let here = cwd.unwrap_or(Path::new("."));
    let what = if program.contains('/') {
        runnable(&here.join(program)).err()?
    } else {
        let path = path.map_or_else(|| std::env::var("PATH").unwrap_or_default(), str::to_owned);
        let places: Vec<PathBuf> =
            std::env::split_paths(&path).map(|place| here.join(place).join(program)).collect();
        if places.iter().any(|place| runnable(place).is_ok()) {
            return None;
        }
        let worst = places.iter().find(|place| place.exists()).and_then(|place| runnable(place).err());
        worst.unwrap_or_else(|| "no such program in PATH".to_owned())
    };
    let words: Vec<&str> = program.split_whitespace().collect();
    let advice = match words.as_slice() {
        [_, _, ..] if command.len() == 1 => format!("; no shell is used, write {words:?}"),
        _ => String::new(),
    };
    Some(format!("cannot run '{program}': {what}{advice}"))
}

fn runnable(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => error.to_string(),
    })?;
    if metadata.is_dir() {
        return Err("it is a directory".to_owned());
    }
    access(path, Access::EXEC_OK).map_err(|_| "it is not executable".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &[&str], path: Option<&str>, cwd: Option<&Path>) -> Option<String> {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        problem(&command, path, cwd)
    }

    #[test]
    fn programs_are_found_as_they_will_be_started() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        std::fs::copy("/bin/sh", dir.path().join("bin/own")).unwrap();
        std::fs::write(dir.path().join("text"), "x").unwrap();
        let here = Some(dir.path());
        for (command, path) in [("sh", None), ("/bin/sh", None), ("bin/own", None), ("own", Some("/x:bin"))] {
            assert_eq!(of(&[command, "-c", "true"], path, here), None, "{command}");
        }
        let said = |command: &[&str]| of(command, None, here).unwrap();
        assert_eq!(said(&["/nonexistent/program"]), "cannot run '/nonexistent/program': no such file");
        assert_eq!(said(&["own"]), "cannot run 'own': no such program in PATH");
        assert_eq!(said(&["./text"]), "cannot run './text': it is not executable");
        assert_eq!(said(&["./bin"]), "cannot run './bin': it is a directory");
        let shell = said(&["sh -c true"]);
        assert!(
            shell.ends_with("no such program in PATH; no shell is used, write [\"sh\", \"-c\", \"true\"]"),
            "{shell}"
        );
    }
}
