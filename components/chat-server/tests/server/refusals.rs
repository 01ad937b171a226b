//! A rejected client is told why in one line.

use std::time::Duration;

use protocol::api::RegisterUser;

use crate::catching_up::{FLOOD, body, flood_behind};
use crate::peer::Peer;
use crate::world::{World, name};

async fn refused(world: &World, login: &[u8], answer: &str) {
    let mut peer = world.connect().await;
    peer.send_bytes(login).await;
    peer.expect(answer).await;
    peer.closed().await;
}

#[tokio::test]
async fn names() {
    let world = World::start().await;
    let _alice = world.login("alice").await;
    refused(&world, b"Alice\n", "Username already taken. Disconnecting...\n").await;
    refused(&world, b"alice", "Username already taken. Disconnecting...\n").await;
    let reserved = "Username 'openai' is reserved for a service. Disconnecting...\n";
    refused(&world, b"OpenAI\n", &reserved.replace("openai", "OpenAI")).await;
    let asked_again = "Enter your username: ".repeat(16);
    let empty = "Invalid username: a name cannot be empty. Disconnecting...\n";
    refused(&world, &[b'\n'; 16], &format!("{asked_again}{empty}")).await;
    let utf16: Vec<u8> = "\u{feff}alice\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let not_utf8 = "This server takes UTF-8, and that looks like UTF-16. Disconnecting...\n";
    refused(&world, &utf16, not_utf8).await;
    refused(&world, &utf16[2..], not_utf8).await;
    let space = "a name cannot hold a space; use letters, digits, '_', '-' and '.'";
    refused(&world, b"two words\n", &format!("Invalid username: {space}. Disconnecting...\n")).await;
    let long = "Invalid username: a name has at most 32 characters. Disconnecting...\n";
    refused(&world, "x".repeat(33).as_bytes(), long).await;
    refused(&world, &vec![b'x'; 1 << 20], long).await;
    let mut alice = world.connect().await;
    alice.send_bytes(b"bo\xffb\n").await;
    assert!(alice.line().await.starts_with("Invalid username: a name cannot hold U+FFFD"));
    alice.closed().await;
}

#[tokio::test]
async fn names_that_look_like_those_of_people_who_are_offline() {
    let mut world = World::start().await;
    // Two names that look alike were registered before names were compared.
    for who in ["bob1", "bobl"] {
        world.api.call(&RegisterUser { name: name(who), address: None }).await.unwrap();
    }
    let like = "'BobI' looks like 'bob1', who is registered; choose another name";
    refused(&world, b"BobI\n", &format!("Invalid username: {like}. Disconnecting...\n")).await;
    let (mut peer, answer) = world.hello(r#"{"type":"hello","name":"BobI"}"#).await;
    assert_eq!((&answer["code"], &answer["message"]), (&"bad_name".into(), &like.into()));
    peer.closed().await;
    let mut bobl = world.login("bobl").await;
    bobl.send("exit\n").await;
    bobl.closed().await;
    let mut bob1 = world.connect().await;
    while {
        bob1.send("Bob1\n").await;
        !bob1.line().await.starts_with("Connected!")
    } {
        // The other session is just ending.
        bob1 = world.connect().await;
    }
    world.stop_api().await;
    // An unavailable store does not prevent logins.
    let _carol = world.login("CaroI").await;
}

#[tokio::test]
async fn names_that_are_made_to_be_taken_for_another() {
    let world = World::start().await;
    let _bob = world.login("bob1").await;
    let invalid = |why: &str| format!("Invalid username: {why}. Disconnecting...\n");
    let like = "'BobI' looks like 'bob1', who is online; choose another name";
    refused(&world, b"BobI\n", &invalid(like)).await;
    let service =
        "'thermometerl' looks like 'thermometer1', which is reserved for a service; choose another name";
    refused(&world, b"thermometerl\n", &invalid(service)).await;
    let (mut peer, answer) = world.hello(r#"{"type":"hello","name":"BobI"}"#).await;
    assert_eq!((&answer["code"], &answer["message"]), (&"bad_name".into(), &like.into()));
    peer.closed().await;
    let hidden = "a name cannot hold U+1160; use letters, digits, '_', '-' and '.'";
    refused(&world, "thermometer1\u{3164}\n".as_bytes(), &invalid(hidden)).await;
    let dots = "a name cannot be made of dots alone; add a letter or a digit";
    refused(&world, b"..\n", &invalid(dots)).await;
    let mixed = "\u{430}lice";
    let mut peer = world.connect().await;
    peer.send(&format!("{mixed}\n")).await;
    let answer = peer.line().await;
    assert!(answer.starts_with("Invalid username: a name cannot mix scripts"), "{answer}");
    // A name registered by an earlier version is accepted.
    world.api.call(&RegisterUser { name: name(mixed), address: None }).await.unwrap();
    world.login(mixed).await;
}

#[tokio::test]
async fn names_with_combining_marks_come_in_and_dots_are_no_receivers() {
    let world = World::start().await;
    let mut one = world.login("สมศักดิ์").await;
    let mut other = world.login("हिन्दी").await;
    world.login("İstanbul").await;
    one.send("हिन्दी: นี่\n").await;
    assert_eq!(other.live().await, ("สมศักดิ์".to_owned(), "นี่".to_owned()));
    one.send("..: hi\n").await;
    one.expect("Invalid recipient: a name cannot be made of dots alone; add a letter or a digit.\n").await;
    let (mut native, _) =
        world.hello(r#"{"type":"hello","name":"al","presence":false,"replay":false}"#).await;
    native.send("{\"type\":\"send\",\"client_id\":\"c\",\"to\":\".\",\"body\":\"x\"}\n").await;
    assert_eq!(native.frame().await["type"], "live");
    let answer = native.frame().await;
    assert_eq!((&answer["code"], &answer["client_id"]), (&"bad_frame".into(), &"c".into()));
}

#[tokio::test]
async fn what_speaks_http_or_tls() {
    let world = World::start().await;
    let http = "This is a chat server, not a web server. Disconnecting...\n";
    refused(&world, b"GET / HTTP/1.1\r\nHost: localhost:5000\r\nAccept: */*\r\n\r\n", http).await;
    let mut post = b"POST /messages/ HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n".to_vec();
    post.extend_from_slice(&[b'x'; 300_000]);
    refused(&world, &post, http).await;
    let hello = [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc][..], &[0x03; 500]].concat();
    refused(&world, &hello, "This port does not speak TLS. Disconnecting...\n").await;
}

#[tokio::test]
async fn who_says_nothing() {
    let world = World::with(|config| config.login_timeout = Duration::from_secs(1)).await;
    refused(&world, b"", "No username was given in time. Disconnecting...\n").await;
}

#[tokio::test]
async fn one_connection_too_many() {
    let world = World::with(|config| config.max_connections = 2).await;
    let first = world.login("first").await;
    let _second = world.login("second").await;
    let mut third = Peer::connect(world.chat).await;
    third.expect("The server is full, please try again later. Disconnecting...\n").await;
    third.closed().await;
    drop(first);
    loop {
        let mut again = Peer::connect(world.chat).await;
        if again.line_or_prompt().await.starts_with("Enter") {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_admits_services_alone() {
    let world = World::with(|config| config.max_connections = 1).await;
    // A connection that checked whether the server listens may still have the place.
    let _first = loop {
        let mut first = Peer::connect(world.chat).await;
        if first.line_or_prompt().await.starts_with("Enter") {
            break first;
        }
    };
    let full = "The server is full, please try again later. Disconnecting...\n";
    let token = world.token.expose().to_owned();
    for hello in [
        r#"{"type":"hello","name":"second"}"#.to_owned(),
        r#"{"type":"hello","name":"openai","token":"wrong"}"#.to_owned(),
        format!(r#"{{"type":"hello","name":"second","token":"{token}"}}"#),
        "second".to_owned(),
        "GET / HTTP/1.1".to_owned(),
    ] {
        let mut other = Peer::connect(world.chat).await;
        other.send(&format!("{hello}\n")).await;
        other.expect(full).await;
        other.closed().await;
    }
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(Peer::connect(world.chat).await);
    }
    let mut service = Peer::connect(world.chat).await;
    service.send(&format!("{{\"type\":\"hello\",\"name\":\"openai\",\"token\":\"{token}\"}}\n")).await;
    assert_eq!(service.frame().await["type"], "welcome");
    for mut other in silent {
        other.expect(full).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_an_idle_client_stays_taken_however_often_others_ask_for_it() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    // Idle for so long that its TCP must be probed.
    tokio::time::sleep(Duration::from_millis(1300)).await;
    for _ in 0..3 {
        refused(&world, b"bob\n", "Username already taken. Disconnecting...\n").await;
        let hello = b"{\"type\":\"hello\",\"name\":\"bob\",\"token\":\"wrong\"}\n";
        let mut other = world.connect().await;
        other.send_bytes(hello).await;
        assert_eq!(other.frame().await["code"], "taken");
    }
    world.post("ann", "bob", "still there").await;
    assert_eq!(bob.live().await.1, "still there");
}

/// Until a client that wants the name gets it. Unacknowledged output would take much longer to time out.
async fn take_the_name_of_bob(world: &World) -> Peer {
    let coming_back = async {
        loop {
            let mut bob = world.connect().await;
            bob.send("bob\n").await;
            if bob.line().await.starts_with("Connected!") {
                break bob;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), coming_back).await.expect("the name is free")
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_vanished_client_becomes_free_and_unconfirmed_messages_are_shown_again() {
    let world = World::with(|config| config.write_timeout = Duration::from_secs(600)).await;
    let gone = world.login("bob").await;
    gone.vanish();
    world.post("ann", "bob", "did you get this?").await;
    let mut bob = take_the_name_of_bob(&world).await;
    assert_eq!(bob.stored().await.1, "did you get this?");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanished_with_all_buffers_to_it_full_loses_its_name_too() {
    let world = World::with(|config| config.write_timeout = Duration::from_secs(600)).await;
    // Not woken by anything else: a session without explicit receipts periodically checks its peer.
    let (gone, _) = world.hello(r#"{"type":"hello","name":"bob","presence":false}"#).await;
    gone.vanish();
    flood_behind(&world, "bob").await;
    let mut bob = take_the_name_of_bob(&world).await;
    assert!(bob.stored().await.1.starts_with("0 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_for_a_while_keeps_its_name() {
    let world = World::with(|config| config.write_timeout = Duration::from_secs(600)).await;
    let mut bob = Peer::connect_small(world.chat).await;
    bob.expect("Enter your username: ").await;
    bob.send("bob\n").await;
    bob.expect("Connected! Users online: bob\n").await;
    flood_behind(&world, "bob").await;
    // The kernel probes the window after 0.2 s, and then after twice the time each: 12.6 s after the buffers were full, and not again for
    // 12.8 s.
    tokio::time::sleep(Duration::from_secs(16)).await;
    refused(&world, b"bob\n", "Username already taken. Disconnecting...\n").await;
    for n in 0..FLOOD {
        assert_eq!(bob.said().await, body(n));
    }
}
