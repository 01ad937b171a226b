//! Attacks on the web adapter: its HTTP, and WebSockets.

use super::attack::{Attack, connect, read_until};
use super::http::hold;
use super::watch::System;

const WEB: &str = "web-adapter";

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A client's frame (RFC 6455, 5.2), masked with zeroes.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// WebSockets on which `frames` are sent as fast as they are taken; nothing is read.
fn pour_frames(system: &System, attack: &Attack, sockets: usize, frames: &[u8]) {
    attack.at_once(sockets, |_| {
        while attack.goes_on() {
            let Some(mut stream) = connect(system.launcher.home.page) else { continue };
            attack.pour(&mut stream, UPGRADE.as_bytes(), 1);
            if read_until(&mut stream, "\r\n\r\n").is_some() {
                attack.pour(&mut stream, frames, usize::MAX);
            }
        }
    });
}

#[test]
fn pings_whose_answers_nobody_reads() {
    // Sixteen browsers may send bursts of fifty, and ten per second.
    System::start().that_takes_at_most(3000, "web_adapter_pings_total ").withstands(WEB, |system, attack| {
        pour_frames(system, attack, 16, &frame(9, &[b'p'; 125]).repeat(500));
    });
}

#[test]
fn frames_whose_answers_nobody_reads() {
    System::start().withstands(WEB, |system, attack| {
        let mut frames = frame(1, br#"{"type":"login","username":"mallory"}"#);
        frames.extend(frame(1, br#"{"type":"nothing"}"#).repeat(2000));
        pour_frames(system, attack, 16, &frames);
    });
}

#[test]
fn pages_that_nobody_reads() {
    System::start().withstands(WEB, |system, attack| {
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
        hold(attack, system.launcher.home.page, &request);
    });
}

#[test]
fn heads_that_never_end_at_the_page() {
    System::start().withstands(WEB, |system, attack| {
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}", "x".repeat(16_000));
        hold(attack, system.launcher.home.page, request.as_bytes());
    });
}

/// The beginning of a text frame of `length` bytes, without an end.
fn unfinished_frame(length: u64, sent: usize) -> Vec<u8> {
    let mut bytes = UPGRADE.as_bytes().to_vec();
    bytes.extend([0x81, 0x80 | 127]);
    bytes.extend(length.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.resize(bytes.len() + sent, b'x');
    bytes
}

/// A page takes 22 KiB, whatever it does. A debug build's tasks are larger. Without the budget it was 400 MiB; 540 MiB where a frame's
/// announced length is reserved in memory that was used before.
#[test]
fn web_socket_frames_that_never_end() {
    System::start().within_mib(if cfg!(debug_assertions) { 96 } else { 64 }).beside(22).withstands(
        WEB,
        |system, attack| {
            hold(attack, system.launcher.home.page, &unfinished_frame(256 * 1024, 250_000));
        },
    );
}
