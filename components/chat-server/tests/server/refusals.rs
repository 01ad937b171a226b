//! Who is not let in is told so in one line.

use std::time::Duration;

use crate::peer::Peer;
use crate::world::World;

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
    refused(&world, b"\n", "Invalid username: a name cannot be empty. Disconnecting...\n").await;
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
    // One that an earlier version registered goes on.
    world.api.register(crate::world::name(mixed), None).await.unwrap();
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
