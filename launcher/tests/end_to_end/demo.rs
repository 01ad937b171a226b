//! `launcher demo`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::support::Home;
use crate::support::line_client::LineClient;

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn the_demo_has_people_who_write_and_answer_and_leaves_nothing() {
    let home = Home::new();
    let temporary = home.dir.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    // Without the addresses and directories of the tests' launchers, as a newcomer starts it.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_launcher"));
    command.arg("demo").current_dir(home.dir.path()).env("TMPDIR", &temporary).env("HOME", home.dir.path());
    // Nobody's real messages are touched.
    command.env("MONGO_URL", "mongodb://127.0.0.1:1").env_remove("OPENAI_API_KEY");
    let mut demo = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let hint = lines.find(|line| line.contains("launcher chat --server ")).unwrap();
    let (_, rest) = hint.split_once("--server ").unwrap();
    let (address, name) = rest.split_once(" --name ").unwrap();
    let address = address.parse().unwrap();
    lines.find(|line| line.starts_with("stop")).unwrap();

    let (mut you, _) = LineClient::login(address, name);
    you.until("Everything said while you were offline waits for you");
    you.until("You are seeing this live");
    you.send("bob: hello\n");
    you.until("[bob][");
    you.send("exit\n");

    assert!(std::process::Command::new("kill").arg(demo.id().to_string()).status().unwrap().success());
    lines.for_each(drop);
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    assert!(is_empty(&temporary), "everything is deleted");
    for name in ["data", "logs", ".local"] {
        assert!(!home.dir.path().join(name).exists(), "{name}");
    }
}
