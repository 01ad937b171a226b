//! Commands that are given only the data directory, and ask the launcher running on it for the rest.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Home;
use crate::support::line_client::LineClient;

/// The output of such a command.
fn ask(home: &Home, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
    command.current_dir(home.dir.path()).env_remove("P2P_CONFIG");
    command.env("XDG_CONFIG_HOME", home.dir.path()).env("XDG_STATE_HOME", home.dir.path());
    let output = command.arg("--data").arg(home.data()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_data_directory_is_enough_to_find_what_runs_on_it() {
    let launcher = Home::new().argument("--no-thermometer").up();
    let home = &launcher.home;
    let (_alice, _) = LineClient::login(home.chat, "alice");

    let why = ask(home, &["why", "chat-server"]);
    assert!(why.contains(&home.chat.to_string()) && why.contains("logged in name=alice"), "{why}");
    assert!(ask(home, &["logs", "chat-server"]).contains("logged in name=alice"));
    assert!(ask(home, &["users"]).starts_with("NAME"));
    let file = home.dir.path().join("kept");
    assert!(ask(home, &["backup", file.to_str().unwrap()]).contains("0 messages"));
}

/// Files below a directory that other users can read.
fn open_to_others(directory: &Path) -> Vec<PathBuf> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        // Deleted in the meantime.
        let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            open.extend(open_to_others(&path));
        }
        if !meta.is_symlink() && meta.permissions().mode() & 0o077 != 0 {
            open.push(path);
        }
    }
    open
}

#[test]
fn what_is_written_is_its_owners_alone() {
    let launcher = Home::new().argument("--no-thermometer").argument("--no-openai").up();
    let home = &launcher.home;
    let (mut alice, _) = LineClient::login(home.chat, "alice");
    alice.send("bob: hi\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    let backups = home.dir.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    assert!(ask(home, &["backup", backups.join("kept").to_str().unwrap()]).contains("1 message"));
    for directory in [home.data(), home.logs(), backups] {
        assert_eq!(open_to_others(&directory), [""; 0].map(PathBuf::from));
    }
}
