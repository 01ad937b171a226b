//! A panic in the client: the terminal is restored, and the error is readable.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;
#[path = "support/tmux.rs"]
mod tmux;

use tmux::Tmux;
use transport::testing::FakeServers;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_panic_the_terminal_is_as_it_was_and_the_message_is_readable() {
    let servers = FakeServers::start().await;
    for signal in ["-USR1", "-USR2"] {
        // A backtrace would scroll the earlier output off the screen.
        let command =
            format!("echo before; RUST_BACKTRACE=0 {} {} alice", support::client().display(), servers.chat);
        let Some(terminal) = Tmux::sized(&format!("sh -c '{command}'"), 80, 24) else { return };
        servers.online("alice").await;
        terminal.until("the screen", |rows| rows.iter().any(|row| row.contains("connected to")));
        let flags = terminal.flags();
        assert!(flags.starts_with("1 ") && flags.ends_with(" 0"), "alternate screen, no wrapping: {flags}");
        let pid = support::pid_of(&format!("{} alice", servers.chat));
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let rows = terminal.until("the end", |rows| rows.iter().any(|row| row == " echo"));
        let shown = |part: &str| rows.iter().any(|row| row.contains(part));
        assert!(shown("before") && shown("panicked at") && shown("this is a bug"), "{signal}: {rows:#?}");
        assert!(!shown("[ended 0]"), "{signal}: {rows:#?}");
        assert!(shown(" icanon") && shown(" echo"), "{signal}: {rows:#?}");
        assert_eq!(
            terminal.flags(),
            "0 1 0 0 1",
            "alternate screen, cursor, mouse, keys, wrapping: {signal}"
        );
    }
}
