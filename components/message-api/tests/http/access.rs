//! Access control.

use std::net::{SocketAddr, UdpSocket};

use crate::server::{Server, TOKEN, ask_raw};

const NATIVE: [(&str, &str); 12] = [
    ("POST", "/v1/append"),
    ("GET", "/v1/feed"),
    ("GET", "/v1/users/bob/unseen"),
    ("GET", "/v1/users/bob/conversations"),
    ("POST", "/v1/cursors"),
    ("GET", "/v1/conversations/dm:alice:bob/events"),
    ("GET", "/v1/users"),
    ("POST", "/v1/users"),
    ("POST", "/v1/users/standing"),
    ("GET", "/v1/state/openai"),
    ("PUT", "/v1/state/openai/key"),
    ("DELETE", "/v1/users"),
];

#[tokio::test]
async fn our_own_endpoints_want_the_token() {
    let server = Server::start().await;
    for (method, path) in NATIVE {
        for headers in [
            String::new(),
            "Authorization: Bearer wrong\r\n".into(),
            "Authorization: Bearer \r\n".into(),
            format!("Authorization: Basic {TOKEN}\r\n"),
            format!("Authorization: {TOKEN}\r\n"),
        ] {
            let answer = server.ask_with(method, path, &headers, "{}").await;
            let expected = if method == "DELETE" { 405 } else { 401 };
            assert_eq!(answer.status, expected, "{method} {path} {headers}");
            assert!(answer.json()["detail"].is_string());
        }
    }
}

#[tokio::test]
async fn another_machine_needs_the_token_for_everything_that_holds_messages() {
    let Some(own) = own_address() else {
        eprintln!("this machine has no address but loopback: not tested");
        return;
    };
    let server = Server::start_everywhere().await;
    let address = SocketAddr::new(own.ip(), server.address.port());
    let ask = async |path: &str, headers: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n");
        ask_raw(address, request.as_bytes()).await.status
    };
    assert_eq!(ask("/messages/bob", "").await, 401);
    assert_eq!(ask("/messages/bob", &format!("Authorization: Bearer {TOKEN}\r\n")).await, 200);
    assert_eq!(ask("/health", "").await, 200);
}

/// The address this machine would use to reach others; nothing is sent.
fn own_address() -> Option<SocketAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().filter(|address| !address.ip().is_loopback() && !address.ip().is_unspecified())
}

#[tokio::test]
async fn pages_of_other_origins_and_rebound_names_are_refused() {
    let server = Server::start().await;
    let host = server.address;
    for (headers, status) in [
        ("Host: evil.example\r\n".to_owned(), 421),
        (format!("Host: {host}\r\nOrigin: http://evil.example\r\n"), 403),
        (format!("Host: {host}\r\nOrigin: null\r\n"), 403),
        (format!("Host: {host}\r\nOrigin: http://{host}.evil.example\r\n"), 403),
        (format!("Host: {host}\r\nOrigin: http://{host}\r\n"), 200),
        ("Host: localhost\r\n".to_owned(), 200),
    ] {
        for path in ["/messages/bob", "/health", "/docs"] {
            assert_eq!(server.ask_with("GET", path, &headers, "").await.status, status, "{path} {headers}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_in_json() {
    let server = Server::start().await;
    let nothing = server.ask("GET", "/nothing", "").await;
    assert_eq!(nothing.status, 404);
    assert!(nothing.json()["detail"].as_str().unwrap().contains("/nothing"));
    let method = server.ask("DELETE", "/messages/bob", "").await;
    assert_eq!(method.status, 405);
    assert!(method.json()["detail"].as_str().unwrap().contains("DELETE"));
}

#[tokio::test]
async fn probes_and_metrics_answer() {
    let server = Server::start().await;
    assert_eq!(server.ask("GET", "/healthz", "").await.status, 200);
    assert_eq!(server.ask("GET", "/readyz", "").await.status, 200);
    server.ask("POST", "/messages/", r#"{"sender":"a","destination":"b","message":"c"}"#).await;
    server.ask("POST", "/messages/", "{}").await;
    let metrics = server.ask("GET", "/metrics", "").await.body;
    for line in [
        "message_api_appended_total 1",
        "message_api_refused_total 1",
        "message_api_commit_seconds_count 1",
        "message_api_feed_readers 0",
    ] {
        assert!(metrics.lines().any(|got| got == line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_page_in_a_local_browser_cannot_read_or_send() {
    let server = Server::start().await;
    let message = r#"{"sender":"alice","destination":"bob","message":"hi"}"#;
    server.ask("POST", "/messages/", message).await;
    for headers in ["Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n", "Origin: null\r\n"] {
        for (method, path) in [
            ("GET", "/messages/bob"),
            ("HEAD", "/messages/bob"),
            ("GET", "/messages/bob?ack=manual"),
            ("POST", "/messages/bob/seen"),
            ("POST", "/messages/"),
            ("OPTIONS", "/messages/"),
            ("GET", "/health"),
            ("GET", "/metrics"),
            ("GET", "/readyz"),
            ("GET", "/openapi.json"),
        ] {
            let answer = server.ask_with(method, path, headers, message).await;
            assert_eq!(answer.status, 403, "{method} {path} {headers}");
        }
    }
    let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    assert_eq!(server.ask_with("GET", "/messages/bob", link, "").await.status, 403, "not even as a link");
    assert_eq!(server.ask_with("GET", "/docs", link, "").await.status, 200);
    assert!(server.ask("GET", "/messages/bob", "").await.body.contains("hi"), "it is all there");
}

#[tokio::test]
async fn a_service_is_only_spoken_for_with_the_token() {
    let server = Server::start().await;
    let message = r#"{"sender":"Weather1","destination":"bob","message":"hot"}"#;
    let refused = server.ask("POST", "/messages/", message).await;
    assert_eq!((refused.status, refused.json()["field"].as_str()), (403, Some("sender")));
    for (method, path) in [("GET", "/messages/weather1"), ("POST", "/messages/WEATHER1/seen")] {
        let refused = server.ask(method, path, r#"{"messages":[]}"#).await;
        assert_eq!((refused.status, refused.json()["field"].as_str()), (403, Some("user")), "{method}");
    }
    assert_eq!(server.ask("GET", "/messages/bob", "").await.body, r#"{"messages":[]}"#);
    assert_eq!(server.ask_v1("POST", "/messages/", message).await.status, 200);
    let to = r#"{"sender":"bob","destination":"weather1","message":"subscribe"}"#;
    assert_eq!(server.ask("POST", "/messages/", to).await.status, 200, "everybody may write to it");
    assert!(server.ask_v1("GET", "/messages/weather1", "").await.body.contains("subscribe"));
}
