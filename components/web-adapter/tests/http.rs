//! The HTTP routes: the page, its headers, and which pages may open a WebSocket.

#![allow(clippy::unwrap_used, reason = "this is a test, its helpers included")]

mod support;

use support::{Adapter, FakeChat, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use web_adapter::Config;

/// The complete response to one request.
async fn ask(adapter: &Adapter, head: &str) -> String {
    let mut stream = TcpStream::connect(adapter.address).await.unwrap();
    let address = adapter.address;
    let head = head.replace("HOST", &address.to_string());
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of an attempt to open a WebSocket behind a proxy, for this client; and the connection.
async fn open_for(adapter: &Adapter, client: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(adapter.address).await.unwrap();
    let address = adapter.address;
    let request = format!(
        "PROXY TCP4 {client} 198.51.100.1 56324 8080\r\nGET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = vec![0; "HTTP/1.1 101".len()];
    soon(stream.read_exact(&mut status)).await.unwrap();
    (String::from_utf8(status).unwrap(), stream)
}

#[tokio::test]
async fn behind_a_listed_proxy_the_client_counts_and_not_the_proxy() {
    let chat = FakeChat::start().await;
    let config = Config { proxies: vec![std::net::Ipv4Addr::LOCALHOST.into()], ..Config::default() };
    let adapter = Adapter::with(chat.address, config).await;
    let mut open = Vec::new();
    for _ in 0..256 {
        let (status, stream) = open_for(&adapter, "192.0.2.7").await;
        assert_eq!(status, "HTTP/1.1 101");
        open.push(stream);
    }
    assert_eq!(open_for(&adapter, "192.0.2.7").await.0, "HTTP/1.1 503", "one address has them all");
    assert_eq!(open_for(&adapter, "192.0.2.8").await.0, "HTTP/1.1 101", "another one has its own");
    let page = ask(&adapter, "GET / HTTP/1.1\r\nHost: HOST").await;
    assert!(page.starts_with("HTTP/1.1 200"), "programs on the proxy's machine need no header: {page}");
}

#[tokio::test]
async fn from_anywhere_else_a_proxy_header_is_no_request() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let answer =
        ask(&adapter, "PROXY TCP4 192.0.2.7 198.51.100.1 56324 8080\r\nGET / HTTP/1.1\r\nHost: HOST").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn the_page_comes_with_strict_headers_and_is_not_sent_twice() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let page = ask(&adapter, "GET / HTTP/1.1\r\nHost: HOST").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    for header in [
        "content-type: text/html; charset=utf-8",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-cache",
    ] {
        assert!(page.contains(header), "{header} is not in {page}");
    }
    let etag = page.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let again = ask(&adapter, &format!("GET / HTTP/1.1\r\nHost: HOST\r\nIf-None-Match: {etag}")).await;
    assert!(again.starts_with("HTTP/1.1 304") && again.ends_with("\r\n\r\n"), "{again}");
    let script = ask(&adapter, "GET /scripts/main.js HTTP/1.1\r\nHost: HOST").await;
    assert!(script.contains("content-type: text/javascript"), "{script}");
}

#[tokio::test]
async fn nothing_else_is_there() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    for path in
        ["/etc/passwd", "/../Cargo.toml", "/scripts/", "/scripts/%2e%2e/index.html", "/tests/pure.test.mjs"]
    {
        let answer = ask(&adapter, &format!("GET {path} HTTP/1.1\r\nHost: HOST")).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(answer.contains("nosniff"));
    }
    let answer = ask(&adapter, "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[tokio::test]
async fn health_is_told_whatever_the_chat_server_does() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    drop(chat);
    let _open = adapter.browser().await;
    for path in ["/healthz", "/readyz"] {
        assert!(
            ask(&adapter, &format!("GET {path} HTTP/1.1\r\nHost: HOST")).await.starts_with("HTTP/1.1 200")
        );
    }
    let metrics = ask(&adapter, "GET /metrics HTTP/1.1\r\nHost: HOST").await;
    assert!(metrics.contains("web_adapter_sessions 1\n"), "{metrics}");
}

#[tokio::test]
async fn names_that_were_rebound_to_this_machine_are_not_answered() {
    let chat = FakeChat::start().await;
    let config = Config { allowed_hosts: vec!["chat.example".into()], ..Config::default() };
    let adapter = Adapter::with(chat.address, config).await;
    for (host, status) in [
        ("evil.example", "421"),
        ("evil.example:8080", "421"),
        ("chat.example", "200"),
        ("localhost:1", "200"),
    ] {
        for path in ["/", "/healthz"] {
            let answer = ask(&adapter, &format!("GET {path} HTTP/1.1\r\nHost: {host}")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}{path}: {answer}");
        }
    }
    assert_eq!(adapter.browser_from(&[("host", "evil.example")]).await.err(), Some(421));
}

#[tokio::test]
async fn pages_from_elsewhere_may_not_connect_unless_they_are_listed() {
    let chat = FakeChat::start().await;
    let config = Config { allowed_origins: vec!["https://good.example".into()], ..Config::default() };
    let adapter = Adapter::with(chat.address, config).await;
    let own = format!("http://{}", adapter.address);
    for (origin, refused) in [
        (own.as_str(), None),
        ("https://good.example", None),
        ("https://evil.example", Some(403)),
        ("null", Some(403)),
        ("http://127.0.0.1:1", Some(403)),
    ] {
        assert_eq!(adapter.browser_from(&[("origin", origin)]).await.err(), refused, "{origin}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_which_key_to_set() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    // As behind an nginx with `Host $host`, on another port; a browser sends the origin with a POST as well.
    let origin = "Origin: http://localhost:8443";
    let refused =
        ask(&adapter, &format!("POST /ws HTTP/1.1\r\nHost: localhost\r\n{origin}\r\nContent-Length: 0"))
            .await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    for part in ["http://localhost:8443", "host localhost.", "web-adapter.allowed-origins", "$http_host"] {
        assert!(refused.contains(part), "{part} is not in {refused}");
    }
    let misdirected = ask(&adapter, "GET / HTTP/1.1\r\nHost: chat.example:80").await;
    assert!(misdirected.contains("add \"chat.example\" to web-adapter.allowed-hosts"), "{misdirected}");
}

#[tokio::test]
async fn the_page_can_be_below_a_path() {
    let chat = FakeChat::start().await;
    let config = Config { base_path: "/chat".into(), ..Config::default() };
    let adapter = Adapter::with(chat.address, config).await;
    for (path, expected) in [
        ("/chat/", "200"),
        ("/chat/index.html", "200"),
        ("/chat/scripts/main.js", "200"),
        ("/chat/ws", "400"),
        ("/chat", "308"),
        ("/healthz", "200"),
        ("/", "404"),
        ("/scripts/main.js", "404"),
        ("/chatter/", "404"),
    ] {
        let answer = ask(&adapter, &format!("GET {path} HTTP/1.1\r\nHost: HOST")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{path}: {answer}");
    }
    let elsewhere = ask(&adapter, "GET / HTTP/1.1\r\nHost: HOST").await;
    assert!(elsewhere.contains("the page is at /chat/"), "{elsewhere}");
    let cross = "Sec-Fetch-Site: cross-site";
    let link = format!("{cross}\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document");
    for (path, headers, expected) in
        [("/chat/", link.as_str(), "200"), ("/chat/", cross, "403"), ("/chat/scripts/main.js", &link, "403")]
    {
        let answer = ask(&adapter, &format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n{headers}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{path} {headers}: {answer}");
    }
}

#[tokio::test]
async fn scripts_and_styles_are_sent_compressed_to_browsers_that_take_that() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let size = async |encoding: &str| {
        let answer = ask(
            &adapter,
            &format!("GET /scripts/chat.js HTTP/1.1\r\nHost: HOST\r\nAccept-Encoding: {encoding}"),
        )
        .await;
        let length = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert!(answer.contains("vary: accept-encoding"), "{answer}");
        (length.parse::<usize>().unwrap(), answer.contains("content-encoding: gzip"))
    };
    let (plain, gzip) = (size("identity").await, size("br, gzip;q=0.8").await);
    assert!(!plain.1 && gzip.1 && gzip.0 * 2 < plain.0, "{plain:?} {gzip:?}");
    assert!(!size("gzip;q=0, br").await.1, "it does not want that");
}

#[tokio::test]
async fn a_wrong_configuration_is_named_and_is_not_tried_again() {
    let chat = FakeChat::start().await;
    let config = Config { allowed_origins: vec!["*".into()], ..Config::default() };
    let mut adapter = Adapter::with(chat.address, config).await;
    let failure = soon(&mut adapter.ended).await.unwrap().unwrap_err();
    assert_eq!(failure.exit(), kit::Exit::Config);
    assert!(failure.to_string().contains("web-adapter.allowed-origins: '*' is not an origin"), "{failure}");
}

#[tokio::test]
async fn pages_of_other_sites_get_nothing_but_a_link_to_ours() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let cross = "Sec-Fetch-Site: cross-site\r\n";
    for (path, headers, status) in [
        ("/", "", "200"),
        ("/", cross, "403"),
        ("/metrics", cross, "403"),
        ("/scripts/chat.js", cross, "403"),
        ("/scripts/chat.js", "Sec-Fetch-Site: same-origin\r\n", "200"),
        (
            "/",
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
            "200",
        ),
        (
            "/metrics",
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
            "403",
        ),
    ] {
        let mut stream = TcpStream::connect(adapter.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head[9..], status.as_bytes(), "{path} {headers}");
    }
}

/// A ping frame as a browser would send it (RFC 6455, 5.5.2), masked with zeroes.
fn ping() -> Vec<u8> {
    let mut frame = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
    frame.extend([b'p'; 125]);
    frame
}

#[tokio::test]
async fn pings_without_reading_are_not_read_without_end() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut stream = TcpStream::connect(adapter.address).await.unwrap();
    let upgrade = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let pings = ping().repeat(500);
    let (mut sent, mut rest) = (0, &pings[..]);
    // The kernel's buffers take some megabytes; then the adapter stops reading.
    while let Ok(written) = tokio::time::timeout(std::time::Duration::from_secs(1), stream.write(rest)).await
    {
        let written = written.unwrap();
        sent += written;
        assert!(sent < 64 * 1024 * 1024, "{sent} bytes of pings were read");
        // Continues within an interrupted ping, because the adapter would close the connection on anything else.
        rest = if written == rest.len() { &pings } else { &rest[written..] };
    }
    let mut page = adapter.browser().await;
    page.login(&chat, "alice", &["alice"]).await;
}

/// A text frame of a browser (RFC 6455, 5.2), masked with zeroes, with this many of its bytes.
fn frame(text: &str, length: usize) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend((length as u64).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// All input until the connection is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset ends it as well; earlier input is valid.
    let _ = soon(stream.read_to_end(&mut rest)).await;
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn an_address_that_logs_in_too_often_is_told_when_to_come_again() {
    let chat = FakeChat::start().await;
    let proxies = vec![std::net::Ipv4Addr::LOCALHOST.into()];
    let config = Config { proxies, logins_per_minute: 2, ..Config::default() };
    let adapter = Adapter::with(chat.address, config).await;
    let (hello, login) = (r#"{"type":"hello","name":"alice"}"#, r#"{"type":"login","username":"alice"}"#);
    let mut open = Vec::new();
    for text in [hello, login] {
        let (_, mut stream) = open_for(&adapter, "192.0.2.7").await;
        stream.write_all(&frame(text, text.len())).await.unwrap();
        open.push((stream, chat.accept().await));
    }
    for text in [hello, login] {
        let (_, mut stream) = open_for(&adapter, "192.0.2.7").await;
        stream.write_all(&frame(text, text.len())).await.unwrap();
        let said = rest(&mut stream).await;
        assert!(said.contains("Too many logins from your address; try again in "), "{said}");
    }
    let (_, mut other) = open_for(&adapter, "192.0.2.8").await;
    other.write_all(&frame(hello, hello.len())).await.unwrap();
    chat.accept().await;
}

#[tokio::test]
async fn frames_that_never_end_share_one_bound_and_whole_ones_get_through() {
    let chat = FakeChat::start().await;
    let config = Config { proxies: vec![std::net::Ipv4Addr::LOCALHOST.into()], ..Config::default() };
    let adapter = Adapter::with(chat.address, config).await;
    let part = frame(&"x".repeat(250_000), 256 * 1024);
    let mut held = Vec::new();
    for _ in 0..200 {
        let (status, mut stream) = open_for(&adapter, "192.0.2.7").await;
        assert_eq!(status, "HTTP/1.1 101");
        stream.write_all(&part).await.unwrap();
        held.push(stream);
    }
    let mut page = adapter.browser().await;
    let hello = format!(r#"{{"type":"hello","name":"alice","future":"{}"}}"#, "x".repeat(60_000));
    page.say(&hello).await;
    chat.accept().await;
    let told = told(&mut held).await;
    assert!(told >= 90, "{told} of 200 were closed; together they held 50 MB");
}

/// How many of these connections were closed for holding too much.
async fn told(streams: &mut [TcpStream]) -> usize {
    let mut told = 0;
    for stream in streams {
        let mut said = Vec::new();
        let read = stream.read_to_end(&mut said);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(10), read).await;
        told += usize::from(String::from_utf8_lossy(&said).contains("Too many unfinished messages"));
    }
    told
}

#[tokio::test]
async fn frames_that_the_chat_server_does_not_take_share_the_same_bound() {
    let chat = FakeChat::start_small();
    let config = Config { proxies: vec![std::net::Ipv4Addr::LOCALHOST.into()], ..Config::default() };
    let adapter = Adapter::with(chat.address, config).await;
    let hello = r#"{"type":"hello","name":"alice"}"#;
    let long = format!(r#"{{"type":"send","future":"{}"}}"#, "x".repeat(60_000));
    let long = frame(&long, long.len());
    let (mut held, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let (_, mut stream) = open_for(&adapter, "192.0.2.7").await;
        stream.write_all(&frame(hello, hello.len())).await.unwrap();
        peers.push(chat.accept().await);
        held.push(stream);
    }
    // Each sends until the kernel's buffers to the adapter and to the chat server are full.
    let pouring = held.iter_mut().map(async |stream| {
        while let Ok(Ok(())) =
            tokio::time::timeout(std::time::Duration::from_millis(300), stream.write_all(&long)).await
        {
        }
    });
    futures_util::future::join_all(pouring).await;
    let told = told(&mut held).await;
    assert!(told >= 30, "{told} of 200 were closed; together they held 12 MB");
}

#[tokio::test]
async fn messages_of_existing_pages_that_nobody_answers_share_the_same_bound() {
    let chat = FakeChat::start().await;
    let config = Config { proxies: vec![std::net::Ipv4Addr::LOCALHOST.into()], ..Config::default() };
    let adapter = Adapter::with(chat.address, config).await;
    let say = format!(r#"{{"type":"chat","recipient":"bob","message":"{}"}}"#, "x".repeat(16_000));
    let say = frame(&say, say.len()).repeat(60);
    let (mut held, mut peers) = (Vec::new(), Vec::new());
    for n in 0..16 {
        let (_, mut stream) = open_for(&adapter, "192.0.2.7").await;
        let (name, login) = (format!("page{n}"), format!(r#"{{"type":"login","username":"page{n}"}}"#));
        stream.write_all(&frame(&login, login.len())).await.unwrap();
        let mut peer = chat.accept().await;
        peer.hear().await;
        peer.welcome(&name, &[&name]).await;
        stream.write_all(&say).await.unwrap();
        held.push(stream);
        peers.push(peer);
    }
    let mut page = adapter.browser().await;
    page.login(&chat, "alice", &["alice"]).await;
    let told = told(&mut held).await;
    assert!(told >= 4, "{told} of 16 were closed; together they held 15 MB");
}
