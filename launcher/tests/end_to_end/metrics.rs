//! The answers to probes and to Prometheus.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::http::get;
use crate::support::line_client::LineClient;
use crate::support::{Home, free_address, free_addresses};

#[test]
fn every_server_says_that_it_is_well_and_what_it_did() {
    let home = Home::new().argument("--no-thermometer");
    let health = free_address();
    let launcher = home.set(&format!("chat-server.http-listen={health}")).up();
    let home = &launcher.home;
    let (mut alice, _) = LineClient::login(home.chat, "alice");
    alice.send("bob: hello\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    let (mut bob, _) = LineClient::login(home.chat, "bob");
    bob.until("hello");
    alice.send("bob: you are here\n");
    bob.until("you are here");
    for (server, sample) in [
        (home.api, "message_api_appended_total 2"),
        (home.api, "message_api_commit_latency_seconds_count 2"),
        (home.api, "message_api_append_latency_seconds_bucket{le=\"10\"} 2"),
        (health, "chat_server_stored_total 2"),
        (health, "chat_server_fan_out_latency_seconds_count 2"),
        (health, "chat_server_end_to_end_latency_seconds_count{dialect=\"text\"} 1"),
        (health, "chat_server_end_to_end_latency_seconds_count{dialect=\"native\"} 0"),
        (home.page, "web_adapter_sessions 0"),
    ] {
        assert_eq!(get(server, "/healthz").status, 200);
        assert_eq!(get(server, "/readyz").status, 200);
        let metrics = get(server, "/metrics").body;
        assert!(metrics.lines().any(|line| line == sample), "{sample} in {metrics}");
    }
}

/// The status of an answer under a host name.
fn status(server: SocketAddr, host: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn no_server_tells_its_numbers_under_somebody_elses_name() {
    let [chat, own] = free_addresses();
    let home = Home::new().argument("--no-thermometer");
    let home =
        home.set(&format!("chat-server.http-listen={chat}")).set(&format!("launcher.metrics-listen={own}"));
    let launcher = home.up();
    for server in [chat, own, launcher.home.api, launcher.home.page] {
        assert_eq!(status(server, "rebound.example"), "421", "{server}");
        assert_eq!(status(server, "localhost"), "200", "{server}");
    }
}
