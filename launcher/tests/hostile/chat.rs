//! Attacks on the chat server's two ports, in its three dialects.

use std::net::SocketAddr;

use super::attack::{Attack, connect, read_until};
use super::http::{hold, hold_each};
use super::watch::System;
use crate::support::Home;
use crate::support::dice::is_long;

const CHAT: &str = "chat-server";
const MIB: usize = 1024 * 1024;

/// Bytes that never become a message: no newline, before the login.
fn endless_name(system: &System, attack: &Attack, at: impl Fn(&Home) -> SocketAddr + Sync) {
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

/// Many sessions on the main port that send the same as fast as it is taken; answers are read.
fn flood(
    system: &System,
    attack: &Attack,
    sessions: usize,
    login: impl Fn(usize) -> String + Sync,
    say: &str,
) {
    flood_at(system.launcher.home.chat, attack, sessions, login, |_| say.to_owned());
}

/// The same on any port with a line dialect.
fn flood_at(
    address: SocketAddr,
    attack: &Attack,
    sessions: usize,
    login: impl Fn(usize) -> String + Sync,
    say: impl Fn(usize) -> String + Sync,
) {
    attack.at_once(sessions, |n| {
        let say = say(n);
        let bytes = say.repeat((64 * 1024 / say.len()).max(1));
        while attack.goes_on() {
            let Some(mut stream) = connect(address) else { continue };
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
        flood(system, attack, 4, hello, " \n");
    });
}

#[test]
fn a_message_that_never_ends_after_a_login() {
    System::start().withstands(CHAT, |system, attack| {
        flood(system, attack, 4, |n| format!("endless-{n}\n"), &"x".repeat(64 * 1024));
    });
}

/// Every line is answered, and without a rate limit nothing else slows the session down.
#[test]
fn questions_as_fast_as_they_are_answered() {
    let home = Home::new().set("chat-server.messages-per-second=0");
    System::with(home).withstands(CHAT, |system, attack| {
        flood(system, attack, 4, |n| format!("asking-{n}\n"), "no colon\n");
    });
}

/// A session beyond its rate limit is read no further than to its next message.
#[test]
fn many_sessions_that_send_faster_than_they_may() {
    System::start().within_mib(20).that_owes_what_came().withstands(CHAT, |system, attack| {
        flood(system, attack, 64, |n| format!("greedy-{n}\n"), "nobody: more than is allowed\n");
    });
}

#[test]
fn many_native_sessions_that_send_faster_than_they_may() {
    System::start().within_mib(20).that_owes_what_came().withstands(CHAT, |system, attack| {
        let say = "{\"type\":\"history\",\"with\":\"nobody\"}\n";
        flood(system, attack, 64, hello, say);
    });
}

/// A login in the native dialect.
fn hello(n: usize) -> String {
    format!("{{\"type\":\"hello\",\"name\":\"native-{n}\",\"presence\":false}}\n")
}

/// A frame that costs the client a few bytes and the server a cursor, a lookup or an answer.
fn flood_frames(say: impl Fn(usize) -> String + Sync) {
    let home = Home::new().set("chat-server.messages-per-second=5").set("chat-server.burst=10");
    // Sixteen sessions may send a burst of 100 of the cheapest frames, and 50 per second; a debug build could handle ten thousand per
    // second.
    let system = System::with(home).that_takes_at_most(8000, "chat_server_requests_total ");
    system.within_mib(20).that_owes_what_came().withstands(CHAT, |system, attack| {
        flood_at(system.launcher.home.chat, attack, 16, hello, &say);
    });
}

#[test]
fn seen_as_fast_as_it_is_taken() {
    flood_frames(|n| {
        let conversation = format!("dm:innocent-listener:native-{n}");
        format!("{{\"type\":\"seen\",\"conversation\":\"{conversation}\",\"seq\":1}}\n")
    });
}

#[test]
fn pings_as_fast_as_they_are_taken() {
    flood_frames(|n| format!("{{\"type\":\"ping\",\"nonce\":{n}}}\n"));
}

#[test]
fn traces_as_fast_as_they_are_taken() {
    flood_frames(|_| {
        "{\"type\":\"trace\",\"message\":\"01890000-0000-7000-8000-000000000000\"}\n".to_owned()
    });
}

#[test]
fn book_lines_as_fast_as_they_are_taken() {
    System::start().within_mib(20).that_owes_what_came().withstands(CHAT, |system, attack| {
        let book = system.launcher.home.book;
        flood_at(
            book,
            attack,
            16,
            |n| format!("reader-{n}\n"),
            |_| "nobody-more than is allowed\n".to_owned(),
        );
    });
}

/// Each login of the book dialect lists all registered users.
#[test]
fn book_logins_without_end() {
    System::start().withstands(CHAT, |system, attack| {
        attack.at_once(8, |n| {
            let mut round = 0;
            while attack.goes_on() {
                round += 1;
                let Some(mut stream) = connect(system.launcher.home.book) else { continue };
                let name = format!("guest-{n}-{}\n", round % 50);
                attack.pour(&mut stream, name.as_bytes(), 1);
                let _ = read_until(&mut stream, "\n");
            }
        });
    });
}

/// Each is shorter than the limit of a frame; together they exceed the memory limit of a process.
#[test]
fn thousands_of_hellos_that_never_end() {
    System::start().beside(10).withstands(CHAT, |system, attack| {
        let hello = format!("{{\"type\":\"hello\",\"name\":\"{}", "x".repeat(60_000));
        hold(attack, system.launcher.home.chat, hello.as_bytes());
    });
}

/// The same after a login. A session takes 10 KiB, and one that never reads 32 KiB more of presence changes. A debug build that handles
/// thousands of logins has no time for others; `framing` in the chat server's own tests has a short form.
#[test]
fn thousands_of_sessions_whose_frame_never_ends() {
    if !is_long() {
        return;
    }
    System::start().beside(42).withstands(CHAT, |system, attack| {
        let send = format!("{{\"type\":\"send\",\"body\":\"{}", "x".repeat(60_000));
        hold_each(attack, system.launcher.home.chat, |n| format!("{}{send}", hello(n)).into_bytes().into());
    });
}
