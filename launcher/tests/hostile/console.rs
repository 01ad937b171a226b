//! Attacks on the launcher's console: its HTTP, its token, and its stream of events.

use super::attack::{Attack, connect};
use super::http::hold;
use super::watch::{LAUNCHER, System};
use crate::support::Home;

/// Threads that ask as fast as they are answered.
const THREADS: usize = 8;

fn system() -> System {
    System::with_console(Home::new())
}

/// Holds connections to the console that have sent `request` and do nothing more.
fn hold_at(system: &System, attack: &Attack, request: &str) {
    hold(attack, system.console().address, request.as_bytes());
}

#[test]
fn heads_that_never_end() {
    system().withstands(LAUNCHER, |system, attack| {
        hold_at(system, attack, &format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(16_000)));
    });
}

/// To the only operation that reads a body of somebody without the token.
#[test]
fn bodies_that_never_end() {
    system().withstands(LAUNCHER, |system, attack| {
        let head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        hold_at(system, attack, &format!("{head}Content-Length: 60000\r\n\r\n{}", "x".repeat(50_000)));
    });
}

/// The largest answer to somebody without the token.
#[test]
fn answers_that_nobody_reads() {
    system().withstands(LAUNCHER, |system, attack| {
        let request = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
        hold_at(system, attack, &request);
    });
}

#[test]
fn connections_that_say_nothing_and_leave() {
    system().withstands(LAUNCHER, |system, attack| {
        attack.at_once(THREADS, |_| {
            while attack.goes_on() {
                if connect(system.console().address).is_some() {
                    attack.note(1);
                }
            }
        });
    });
}

/// Requests as fast as they are answered; the answers are read.
fn flood(system: &System, attack: &Attack, request: &str) {
    attack.at_once(THREADS, |_| {
        while attack.goes_on() {
            let Some(stream) = connect(system.console().address) else { continue };
            attack.pour_and_read(stream, request.repeat(50).as_bytes(), usize::MAX);
        }
    });
}

#[test]
fn wrong_tokens_as_fast_as_they_are_refused() {
    system().withstands(LAUNCHER, |system, attack| {
        let head = system.console().head("GET", "/api/v1/status", &"0".repeat(64));
        flood(system, attack, &format!("{head}\r\n"));
    });
}

#[test]
fn wrong_login_links_as_fast_as_they_are_refused() {
    system().withstands(LAUNCHER, |system, attack| {
        let body = format!(r#"{{"code": "{}"}}"#, "9".repeat(100));
        let head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        flood(system, attack, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
    });
}

/// By somebody who has the token, while a program writes more than anybody could show.
#[test]
fn event_streams_that_nobody_reads() {
    let flood = "while :; do yes $(printf %0999d) | head -c 400000; sleep 0.05; done";
    let home = Home::new()
        .set(&format!(r#"components.flood.command=["sh", "-c", "{flood}"]"#))
        .set("components.flood.needs=[]");
    System::with_console(home).withstands(LAUNCHER, |system, attack| {
        let console = system.console();
        hold_at(
            system,
            attack,
            &format!("{}\r\n", console.head("GET", "/api/v1/stream?logs=all", &console.token)),
        );
    });
}
