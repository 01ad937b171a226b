//! Attacks on the chat server's two ports, in its three dialects.

use super::attack::{Attack, connect, read_until};
use super::watch::System;
use crate::support::Home;

const CHAT: &str = "chat-server";
const MIB: usize = 1024 * 1024;

/// Bytes that never become a message: no newline, before anybody said who they are.
fn endless_name(system: &System, attack: &Attack, at: impl Fn(&Home) -> std::net::SocketAddr + Sync) {
    let address = at(&system.launcher.home);
    attack.at_once(4, |_| {
        while attack.goes_on() {
            let Some(mut stream) = connect(address) else { continue };
            attack.pour(&mut stream, &[b'x'; 64 * 1024], 64 * MIB);
        }
    });
}

#[test]
fn text_that_never_ends_before_a_login() {
    System::start().withstands(CHAT, |system, attack| endless_name(system, attack, |home| home.chat));
}

#[test]
fn book_lines_that_never_end_before_a_login() {
    System::start().withstands(CHAT, |system, attack| endless_name(system, attack, |home| home.book));
}

#[test]
fn a_hello_that_never_ends() {
    System::start().withstands(CHAT, |system, attack| {
        attack.at_once(4, |_| {
            while attack.goes_on() {
                let Some(mut stream) = connect(system.launcher.home.chat) else { continue };
                attack.pour(&mut stream, &[b'{'; 64 * 1024], 64 * MIB);
            }
        });
    });
}

/// So many sessions that send the same as fast as it is taken; what they are told is read.
fn flood(
    system: &System,
    attack: &Attack,
    sessions: usize,
    login: impl Fn(usize) -> String + Sync,
    say: &str,
) {
    let bytes = say.repeat((64 * 1024 / say.len()).max(1));
    attack.at_once(sessions, |n| {
        while attack.goes_on() {
            let Some(mut stream) = connect(system.launcher.home.chat) else { continue };
            if read_until(&mut stream, "username: ").is_none() {
                continue;
            }
            attack.pour(&mut stream, login(n).as_bytes(), 1);
            attack.pour_and_read(stream, bytes.as_bytes(), usize::MAX);
        }
    });
}

#[test]
fn empty_lines_as_fast_as_they_are_taken() {
    System::start().withstands(CHAT, |system, attack| {
        flood(system, attack, 4, |n| format!("blank-{n}\n"), "\n");
    });
}

#[test]
fn native_frames_that_mean_nothing_as_fast_as_they_are_taken() {
    System::start().withstands(CHAT, |system, attack| {
        let hello = |n| format!("{{\"type\":\"hello\",\"name\":\"native-{n}\",\"presence\":false}}\n");
        flood(system, attack, 4, hello, " \n");
    });
}

#[test]
fn a_message_that_never_ends_after_a_login() {
    System::start().withstands(CHAT, |system, attack| {
        flood(system, attack, 4, |n| format!("endless-{n}\n"), &"x".repeat(64 * 1024));
    });
}

/// Every line is answered, and without a limit for messages nothing else holds the session back.
#[test]
fn questions_as_fast_as_they_are_answered() {
    let home = Home::new().set("chat-server.messages-per-second=0");
    System::with(home).withstands(CHAT, |system, attack| {
        flood(system, attack, 4, |n| format!("asking-{n}\n"), "no colon\n");
    });
}

/// A session that is over its allowance is read no further than to its next message.
#[test]
fn many_sessions_that_send_faster_than_they_may() {
    System::start().within_mib(20).that_owes_what_came().withstands(CHAT, |system, attack| {
        flood(system, attack, 64, |n| format!("greedy-{n}\n"), "nobody: more than is allowed\n");
    });
}

#[test]
fn many_native_sessions_that_send_faster_than_they_may() {
    System::start().within_mib(20).that_owes_what_came().withstands(CHAT, |system, attack| {
        let hello = |n| format!("{{\"type\":\"hello\",\"name\":\"greedy-{n}\",\"presence\":false}}\n");
        let say = "{\"type\":\"history\",\"with\":\"nobody\"}\n";
        flood(system, attack, 64, hello, say);
    });
}
