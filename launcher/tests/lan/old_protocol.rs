//! A node among legacy peers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::network::Network;
use crate::node::{Node, page, request};
use crate::old_peer::OldPeer;
use crate::support::{http, wait_for};

#[test]
fn an_old_program_and_a_node_find_each_other_and_talk_both_ways() {
    let Some(network) = Network::of(2) else { return };
    let node = Node::start(network.host(1), &["lan-peer.name=anna"]);
    let mut old = OldPeer::start(&network.host(2));
    let begun = Instant::now();
    while old.wait_for("peer") != "10.77.0.1" {}
    wait_for("the node to see it", || node.sees("10.77.0.2").then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let seen = node.get("/peers")["10.77.0.2"].as_f64().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - seen).abs() < 5.0, "{seen} is not in Unix seconds");
    assert!(!node.sees("10.77.0.1"), "a node is not its own peer");

    old.send_to("10.77.0.1", "grüße: 🦀");
    wait_for("the message", || (node.texts() == ["grüße: 🦀"]).then_some(()));
    let answer = node.send_to("10.77.0.2", "hallo 🦀");
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"sent"}"#));
    assert_eq!(old.wait_for("message"), "hallo 🦀");

    let long = "grüße 🦀 ".repeat(600);
    assert_eq!(node.send_to("10.77.0.2", &long).status, 200);
    let mut together = String::new();
    while together.len() < long.trim().len() {
        let part = old.wait_for("message").as_str().unwrap().to_owned();
        assert!(part.len() <= 1000);
        together += part.split_once(") ").unwrap().1;
    }
    assert_eq!(together, long.trim());

    let peers = node.get("/api/v1/overview")["peers"].clone();
    assert_eq!(
        (peers[0]["key"].as_str(), peers[0]["trust"].as_str()),
        (Some("old:10.77.0.2"), Some("clear"))
    );
    drop(old);
    let begun = Instant::now();
    wait_for("the silent one to be gone", || (!node.sees("10.77.0.2")).then_some(()));
    assert!((7..12).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // It is offline and not forgotten: there is a conversation.
    assert_eq!(node.get("/api/v1/overview")["peers"][0]["online"], false);
    assert_eq!(node.send_to("10.77.0.2", "are you there?").status, 502);
    let history = node.get("/api/v1/history?peer=old:10.77.0.2");
    let states: Vec<&Value> = history.as_array().unwrap().iter().map(|entry| &entry["state"]).collect();
    assert_eq!(states, ["received", "sent", "sent", "failed"]);
}

#[test]
fn conversations_and_names_survive_a_restart() {
    let Some(network) = Network::of(2) else { return };
    let mut node = Node::start(network.host(1), &[]);
    let mut old = OldPeer::start(&network.host(2));
    old.send_to("10.77.0.1", "one");
    wait_for("the message", || (node.texts() == ["one"]).then_some(()));
    let renamed = node.post("/api/v1/rename", &json!({"peer": "old:10.77.0.2", "name": "printer\u{1b}[31m"}));
    assert_eq!(renamed.status, 204);
    assert!(node.stop().success());
    node.start_again();
    assert_eq!(node.texts(), ["one"]);
    assert_eq!(node.get("/api/v1/overview")["peers"][0]["name"], "printer[31m");
    node.kill();
    node.start_again();
    assert_eq!(node.texts(), ["one"]);
}

#[test]
fn whatever_comes_over_tcp_is_handled_and_counted() {
    let Some(network) = Network::of(2) else { return };
    let node = Node::start(network.host(1), &[]);
    let host = network.host(2);
    // A rejected connection may be reset before `connect` returns.
    let try_connect = || host.within(|| TcpStream::connect(("10.77.0.1", 6000)).ok());
    let connect = || try_connect().expect("there is room for it");
    let try_say = |bytes: &[u8]| {
        let mut stream = try_connect()?;
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        Some(stream)
    };
    let say = |bytes: &[u8]| try_say(bytes).expect("there is room for it");
    drop(connect());
    node.wait_for_metric("old_empty_total", 1);
    say(b"caf\xe9");
    node.wait_for_metric("old_not_utf8_total", 1);
    let too_long = say(&vec![b'x'; 100_000]);
    node.wait_for_metric("old_cut_total", 1);
    drop(too_long);
    let mut stopped = connect();
    stopped.write_all(b"half of").unwrap();
    // No more data arrives, and no end of file either.
    node.wait_for_metric("old_unfinished_total", 1);
    drop(stopped);
    let mut slow = connect();
    wait_for("one byte a second to be cut off", || {
        std::thread::sleep(Duration::from_millis(900));
        slow.write_all(b"s").is_err().then_some(())
    });
    node.wait_for_metric("old_unfinished_total", 2);
    let texts = node.texts();
    assert_eq!(texts[0], "caf\u{fffd}");
    assert_eq!(texts[1].len(), 16 * 1024);
    assert_eq!(texts[2], "half of");
    let history = node.get("/api/v1/history?peer=old:10.77.0.2");
    assert_eq!(history[0]["remark"], "not all of it was UTF-8");

    let many: Vec<TcpStream> = (0..300).filter_map(|_| try_connect()).collect();
    node.wait_for_metric("old_refused_total", 200);
    drop(many);
    wait_for("a place for an honest message", || {
        drop(try_say(b"still there?"));
        node.texts().contains(&"still there?".to_owned()).then_some(())
    });
}

/// The status of a request with these headers.
fn status_of(node: &Node, method: &str, path: &str, headers: &str, body: &str) -> u16 {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut head = [0; 12];
    node.host.within(|| {
        let mut stream = TcpStream::connect(page()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        // The stream of events has no end.
        stream.read_exact(&mut head).unwrap();
    });
    String::from_utf8_lossy(&head).split(' ').nth(1).unwrap().parse().unwrap()
}

/// The same from a page whose name was rebound to this address (DNS rebinding): to the browser it is the same site.
fn under_another_name(node: &Node, method: &str, path: &str, body: &str) -> u16 {
    let headers =
        "Host: evil.example:8001\r\nOrigin: http://evil.example:8001\r\nSec-Fetch-Site: same-origin\r\n";
    status_of(node, method, path, headers, body)
}

/// All readable endpoints.
const READ: [&str; 12] = [
    "/",
    "/main.js",
    "/peers",
    "/messages",
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/v1/overview",
    "/api/v1/history?peer=old:10.77.0.2",
    "/api/v1/doctor",
    "/api/v1/qr.svg",
    "/api/v1/events",
];

#[test]
fn a_page_from_elsewhere_reads_nothing_and_programs_read_as_ever() {
    let Some(network) = Network::of(1) else { return };
    let node = Node::start(network.host(1), &[]);
    let host = "Host: 127.0.0.1:8001\r\n";
    for path in READ {
        let status = |more: &str| status_of(&node, "GET", path, &format!("{host}{more}"), "");
        assert_eq!(status(""), 200, "{path}");
        // The requests of an image, a script, an event stream or a fetch of a foreign page.
        assert_eq!(status("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"), 403, "{path}");
        assert_eq!(status("Origin: http://evil.example\r\n"), 403, "{path}");
        assert_eq!(under_another_name(&node, "GET", path, ""), 421, "{path}");
        // Programs before HTTP/1.1 send no host name.
        assert_eq!(status_of(&node, "GET", path, "", ""), 200, "{path}");
    }
    for (into, expected) in [("document", 200), ("iframe", 403)] {
        let link = format!(
            "{host}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: {into}\r\n"
        );
        assert_eq!(status_of(&node, "GET", "/", &link, ""), expected, "a link to the page, into a {into}");
    }
}

#[test]
fn a_page_from_elsewhere_cannot_make_a_node_connect_anywhere() {
    let Some(network) = Network::of(2) else { return };
    let node = Node::start(network.host(1), &[]);
    let old = OldPeer::start(&network.host(2));
    wait_for("the node to see it", || node.sees("10.77.0.2").then_some(()));
    let json = ("Content-Type", "application/json");
    let body = r#"{"ip":"10.77.0.2","msg":"hi"}"#;
    let status = |headers: &[(&str, &str)], body: &str| request(&node, "/send", headers, body).status;
    assert_eq!(status(&[("Content-Type", "text/plain")], body), 422);
    assert_eq!(status(&[], body), 422);
    assert_eq!(status(&[json, ("Origin", "http://evil.example")], body), 403);
    assert_eq!(status(&[json, ("Sec-Fetch-Site", "cross-site")], body), 403);
    for nobody in ["10.77.0.3", "127.0.0.1", "10.77.0.1", "255.255.255.255", "8.8.8.8", "::1"] {
        assert_eq!(node.send_to(nobody, "hi").status, 404, "{nobody}");
    }
    for bad in ["printer", "10.77.0.2:22", "2130706433", ""] {
        assert_eq!(node.send_to(bad, "hi").status, 422, "{bad}");
    }
    for bad in ["[]", "{", "{}", r#"{"ip":"10.77.0.2","msg":5}"#, r#"{"ip":"10.77.0.2","msg":" "}"#] {
        assert_eq!(status(&[json], bad), 422, "{bad}");
    }
    assert_eq!(status(&[json], body), 200);
    assert_eq!(old.wait_for("message"), "hi");
    let form = "ip=10.77.0.2&msg=evil";
    let plain = r#"{"ip":"10.77.0.2","msg":"evil"}"#;
    for (kind, body) in [
        ("application/x-www-form-urlencoded", form),
        ("application/x-www-form-urlencoded", plain),
        ("text/plain", plain),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"ip\"\r\n\r\n10.77.0.2\r\n--x--",
        ),
    ] {
        // The requests of a foreign site's form without a preflight, from old browsers without an origin.
        for origin in [&[][..], &[("Origin", "http://evil.example")], &[("Origin", "null")]] {
            let headers: Vec<(&str, &str)> = [("Content-Type", kind)].iter().chain(origin).copied().collect();
            let expected = if origin.is_empty() { 422 } else { 403 };
            assert_eq!(status(&headers, body), expected, "{kind} {origin:?}");
        }
    }
    // A rebound name: the browser considers the page the same site, and says so.
    for path in ["/send", "/api/v1/send", "/api/v1/trust", "/api/v1/rename"] {
        assert_eq!(under_another_name(&node, "POST", path, plain), 421, "{path}");
    }
    assert_eq!(status(&[json], r#"{"ip":"10.77.0.2","msg":"the end"}"#), 200);
    assert_eq!(old.wait_for("message"), "the end", "nothing else came through");
    let from_outside = network.host(2).within(|| TcpStream::connect(("10.77.0.1", 8001)));
    assert!(from_outside.is_err());
    let page_html = node.host.within(|| http::get(page(), "/"));
    assert!(page_html.status == 200 && page_html.head.contains("default-src 'none'"));
}
