//! Attacks on the message API's HTTP.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::attack::{Attack, connect};
use super::watch::System;
use crate::support::dice::is_long;
use crate::support::http::post;

const API: &str = "message-api";
const THREADS: usize = 8;

/// Connections held: more than the server has places.
pub(super) fn held() -> usize {
    if is_long() { 4096 } else { 1536 }
}

/// The pause between two connections of one attacker once all are held: in the short form the server is a debug build on shared processors,
/// and its speed is not what is tested.
fn pause() -> Duration {
    Duration::from_millis(if is_long() { 10 } else { 100 })
}

/// The pause between two connections until this many are held, for the same reason.
fn ramp() -> Duration {
    Duration::from_millis(if is_long() { 0 } else { 5 })
}

/// Holds connections that have sent `request` and do nothing more. New ones displace old ones, so that only the server ends connections.
pub(super) fn hold(attack: &Attack, address: SocketAddr, request: &[u8]) {
    hold_each(attack, address, |_| Cow::Borrowed(request));
}

/// The same with a request for each, which depends on its index.
pub(super) fn hold_each<'r>(
    attack: &Attack,
    address: SocketAddr,
    request: impl Fn(usize) -> Cow<'r, [u8]> + Sync,
) {
    kit::listen::raise_file_limit();
    let count = AtomicUsize::new(0);
    attack.at_once(THREADS, |_| {
        let mut open = VecDeque::new();
        while attack.goes_on() {
            let Some(mut stream) = connect(address) else { continue };
            let request = request(count.fetch_add(1, Ordering::Relaxed));
            // A server that stops reading must not delay the attacker.
            stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
            if stream.write_all(&request).is_ok() {
                attack.note(request.len());
            }
            open.push_back(stream);
            std::thread::sleep(ramp());
            if open.len() > held() / THREADS {
                open.pop_back();
                std::thread::sleep(pause());
            }
        }
    });
}

/// An inbox of a megabyte.
fn fill_inbox(system: &System) {
    let body = format!(r#"{{"sender":"mallory","destination":"victim","message":"{}"}}"#, "x".repeat(16_000));
    for _ in 0..64 {
        assert_eq!(post(system.launcher.home.api, "/messages/", &body).status, 200);
    }
}

#[test]
fn answers_that_nobody_reads() {
    let system = System::start();
    fill_inbox(&system);
    system.withstands(API, |system, attack| {
        let request = b"GET /messages/victim HTTP/1.1\r\nHost: localhost\r\n\r\n";
        hold(attack, system.launcher.home.api, request);
    });
}

#[test]
fn heads_that_never_end() {
    System::start().withstands(API, |system, attack| {
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}", "x".repeat(16_000));
        hold(attack, system.launcher.home.api, request.as_bytes());
    });
}

#[test]
fn bodies_that_never_end() {
    System::start().withstands(API, |system, attack| {
        let body = "x".repeat(100_000);
        let request =
            format!("POST /messages/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n{body}");
        hold(attack, system.launcher.home.api, request.as_bytes());
    });
}

#[test]
fn small_bodies_that_never_end() {
    System::start().withstands(API, |system, attack| {
        let body = "x".repeat(7000);
        let request =
            format!("POST /messages/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000\r\n\r\n{body}");
        hold(attack, system.launcher.home.api, request.as_bytes());
    });
}
