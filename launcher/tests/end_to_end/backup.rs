//! `launcher backup` and `launcher restore` on a running system.

use std::os::unix::fs::PermissionsExt;

use crate::support::Home;
use crate::support::line_client::LineClient;

#[test]
fn what_was_said_can_be_taken_away_and_brought_back() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let home = &launcher.home;
    let (mut alice, _) = LineClient::login(home.chat, "alice");
    alice.send("bob: before\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    let file = home.dir.path().join("all.backup");
    let path = file.to_str().unwrap();
    let taken = home.run(&["backup", path]);
    let said = String::from_utf8_lossy(&taken.stdout).into_owned();
    assert!(taken.status.success() && said.contains("1 messages in 1 conversations, 1 users"), "{taken:?}");
    let again = home.run(&["backup", path]);
    assert_eq!(again.status.code(), Some(64), "a backup is not overwritten: {again:?}");

    alice.send("bob: after\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    if home.is_on_mongodb() {
        let refused = home.run(&["restore", "--yes", path]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("there are messages"), "{refused:?}");
        return;
    }
    let asked = home.run(&["restore", path]);
    assert_eq!(asked.status.code(), Some(64), "without a terminal nothing is replaced: {asked:?}");
    assert!(String::from_utf8_lossy(&asked.stderr).contains("repeat it with --yes"), "{asked:?}");
    let restored = home.run(&["restore", "--yes", path]);
    assert!(restored.status.success(), "{restored:?}");
    let said = String::from_utf8_lossy(&restored.stdout).into_owned();
    let kept = said.trim().rsplit_once("is kept in ").unwrap().1;
    let mode = std::fs::metadata(kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{kept}");
    let (mut bob, _) = LineClient::login(home.chat, "bob");
    let line = bob.line();
    assert!(line.starts_with("[Stored]") && line.ends_with("] before \n"), "{line}");
    alice.send("bob: and on\n");
    assert!(bob.line().ends_with("] and on\n"), "what came after the backup is gone, and it goes on");

    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let refused = home.run(&["restore", "--yes", path]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("it is damaged: line"), "{refused:?}");
}
