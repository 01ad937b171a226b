//! `--data` alone finds a running launcher, whatever the configuration here says.

use std::process::{Command, Output, Stdio};

use crate::house::{file, home};
use crate::support::Launcher;

/// A subcommand with `--data` and nothing else, in a directory whose configuration is another one and broken.
fn run(launcher: &Launcher, before: &[&str], after: &[&str]) -> (bool, String) {
    let elsewhere = launcher.home.dir.path().join("elsewhere");
    std::fs::create_dir_all(elsewhere.join("config")).unwrap();
    std::fs::write(elsewhere.join("config/launcher.toml"), "[chat-server]\nlisten = 'nonsense'\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
    command.env_clear().env("HOME", &elsewhere).current_dir(&elsewhere).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.args(before).args(after).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn every_command_that_talks_to_a_running_launcher_finds_it_by_its_data_directory() {
    let home = home("").argument("--lan").set(&format!("lan-peer.listen=127.0.0.1:{}", free_port()));
    let udp = free_port();
    let launcher = home
        .set("lan-peer.name=own")
        .set("lan-peer.mdns=false")
        .set(&format!("lan-peer.udp-port={udp}"))
        .set(&format!("lan-peer.tcp-port={}", free_port()))
        .set(&format!("lan-peer.secure-port={}", free_port()))
        .set("lan-peer.interfaces=['lo']")
        .up();
    assert!(file(&launcher.home).exists());
    let data = launcher.home.data();
    let data = ["--data", data.to_str().unwrap()];
    let commands: [&[&str]; 9] = [
        &["status"],
        &["why", "chat-server"],
        &["logs", "chat-server"],
        &["users"],
        &["probe"],
        &["metrics"],
        &["lan", "peers"],
        &["lan", "verify"],
        &["restart", "chat-server"],
    ];
    for command in commands {
        for order in [[command, &data[..]], [&data[..], command]] {
            let (is_fine, said) = run(&launcher, order[0], order[1]);
            assert!(is_fine, "{order:?}: {said}");
        }
    }
    // It asks the right one, which does not know such a message.
    let (_, said) = run(&launcher, &["trace", "no-such-message"], &data);
    assert!(said.contains("no such message is remembered"), "{said}");
    let (is_fine, said) = run(&launcher, &["chat", "--name", "alice", "--plain"], &data);
    assert!(is_fine && !said.contains("nonsense"), "{said}");
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
