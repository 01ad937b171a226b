//! However the bytes arrive, the messages are the same.

use std::time::Duration;

use crate::peer::Peer;
use crate::world::World;

#[tokio::test]
async fn byte_at_a_time_with_newlines() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    let mut alice = world.connect().await;
    for byte in "alice\r\nbob: grüße 😀\r\n".as_bytes() {
        alice.send_bytes(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(bob.live().await, ("alice".to_owned(), "grüße 😀".to_owned()));
    alice.expect("Connected! Users online: bob, alice\n").await;
    alice.heard_nothing().await;
}

#[tokio::test]
async fn one_write_one_message_without_newlines() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    let mut alice = world.connect().await;
    alice.send("alice").await;
    alice.expect("Connected! Users online: bob, alice\n").await;
    for n in 0..3 {
        alice.send(&format!("bob: {n}")).await;
        assert_eq!(bob.live().await.1, n.to_string());
    }
    alice.send("exit").await;
    alice.closed().await;
}

#[tokio::test]
async fn a_character_cut_in_two_is_one_character() {
    // `quiet` is long here, so that the pause below is certainly longer, and certainly shorter than the wait for the rest.
    let world = World::with(|config| config.quiet = Duration::from_millis(50)).await;
    let (mut alice, mut bob) = (world.login("alice").await, world.login("bob").await);
    let bytes = "bob: 😀".as_bytes();
    alice.send_bytes(&bytes[..bytes.len() - 2]).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    alice.send_bytes(&bytes[bytes.len() - 2..]).await;
    assert_eq!(bob.live().await.1, "😀");
    alice.send_bytes(&bytes[..bytes.len() - 2]).await;
    assert_eq!(bob.live().await.1, "\u{fffd}", "what never becomes whole is replaced");
    alice.send_bytes(b"bob: \xfe\xfd!\n").await;
    assert_eq!(bob.live().await.1, "\u{fffd}\u{fffd}!");
}

#[tokio::test]
async fn forty_lines_in_one_segment() {
    let world = World::start().await;
    let (mut alice, mut bob) = (world.login("alice").await, world.login("bob").await);
    let lines: String = (0..40).map(|n| format!("bob: line {n}\n")).collect();
    alice.send(&lines).await;
    for n in 0..40 {
        assert_eq!(bob.live().await.1, format!("line {n}"));
    }
    alice.heard_nothing().await;
}

#[tokio::test]
async fn many_lines_beyond_every_window_are_all_stored_in_order() {
    let world = World::start().await;
    let mut alice = world.login("alice").await;
    let lines: String = (0..1000).map(|n| format!("nobody: {n}\n")).collect();
    alice.send(&lines).await;
    for _ in 0..1000 {
        alice.expect("User 'nobody' is offline. Message saved.\n").await;
    }
    let mut nobody = world.login("nobody").await;
    for n in 0..1000 {
        assert_eq!(nobody.stored().await.1, n.to_string());
    }
}

#[tokio::test]
async fn a_line_of_ten_megabytes_is_refused_and_the_next_one_is_taken() {
    let world = World::start().await;
    let (mut alice, mut bob) = (world.login("alice").await, world.login("bob").await);
    let chunk = vec![b'x'; 1 << 20];
    alice.send("bob: ").await;
    for _ in 0..10 {
        alice.send_bytes(&chunk).await;
    }
    alice.send("\nbob: still here\n").await;
    alice.expect("Line too long: at most 65536 bytes. It was not sent.\n").await;
    assert_eq!(bob.live().await.1, "still here");
}

#[tokio::test]
async fn a_fast_sender_is_slowed_down_and_loses_nothing() {
    let world = World::with(|config| (config.messages_per_second, config.burst) = (50, 10)).await;
    let (mut alice, mut bob) = (world.login("alice").await, world.login("bob").await);
    let began = std::time::Instant::now();
    alice.send(&(0..40).map(|n| format!("bob: {n}\n")).collect::<String>()).await;
    for n in 0..40 {
        assert_eq!(bob.live().await.1, n.to_string());
    }
    assert!(began.elapsed() >= Duration::from_millis(550), "{:?}", began.elapsed());
}

/// What Java's `DataOutputStream`, several small writes or a lossy link do to a line.
#[tokio::test]
async fn a_line_in_pieces_is_one_message() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    let mut alice = world.connect().await;
    for piece in ["a", "lice\n"] {
        alice.send(piece).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    alice.expect("Connected! Users online: bob, alice\n").await;
    for piece in ["b", "ob: one\n", "bob", ": ", "two", "\n", "bob: three, which is ", "cut in its body\n"] {
        alice.send(piece).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    for whole in ["one", "two", "three, which is cut in its body"] {
        assert_eq!(bob.live().await.1, whole);
    }
    alice.heard_nothing().await;
}

#[tokio::test]
async fn silence_ends_nothing_where_a_newline_did() {
    let world = World::start().await;
    let (mut alice, mut bob) = (world.login("alice").await, world.login("bob").await);
    alice.send("bob: one\nbob: tw").await;
    assert_eq!(bob.live().await.1, "one");
    // Longer than any other wait for silence.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    alice.send("o\n").await;
    assert_eq!(bob.live().await.1, "two");
}

#[tokio::test]
async fn a_client_that_never_sends_a_newline_is_answered() {
    let world = World::start().await;
    let mut alice = world.connect().await;
    let mut slowest = Duration::ZERO;
    let said = ["alice", "bob: first", "bob: second", "no colon", "bob: third"];
    for said in said {
        let asked = std::time::Instant::now();
        alice.send(said).await;
        alice.line().await;
        slowest = asked.elapsed().max(slowest);
    }
    println!("slowest answer: {slowest:?}");
    alice.send("exit").await;
    alice.closed().await;
    let unseen: Vec<_> = world.unseen("bob").await.into_iter().map(|event| event.body.to_string()).collect();
    assert_eq!(unseen, ["first", "second", "third"]);
}

/// A person who thinks, or a program that starts slowly, is not on a slow link.
#[tokio::test]
async fn a_slow_name_does_not_slow_down_the_first_answer() {
    let world = World::start().await;
    let mut alice = world.connect().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let asked = std::time::Instant::now();
    alice.send("alice").await;
    alice.expect("Connected! Users online: alice\n").await;
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
}

/// What a client sends before it has received a prompt is no answer to it, and its silence ends nothing.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn until_a_prompt_has_arrived_silence_ends_nothing() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    let mut alice = Peer::connect_behind_a_filter(world.chat).await;
    // Longer than the wait for a name from this machine.
    let pause = async || tokio::time::sleep(Duration::from_millis(600)).await;
    alice.send("ali").await;
    pause().await;
    alice.send("ce").await;
    pause().await;
    alice.lift_filter();
    alice.send("\n").await;
    alice.expect("Enter your username: Connected! Users online: bob, alice\n").await;

    let mut carol = world.connect().await;
    carol.filter();
    carol.send("carol\n").await;
    pause().await;
    carol.send("bob: hel").await;
    pause().await;
    carol.send("lo\n").await;
    assert_eq!(bob.live().await.1, "hello");
    carol.lift_filter();
    carol.expect("Connected! Users online: bob, alice, carol\n").await;
}

#[tokio::test]
async fn typed_keys_are_waited_for() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    let mut alice = world.connect().await;
    for key in "alice\r\nbob: hi there\r\n".as_bytes() {
        alice.send_bytes(&[*key]).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(bob.live().await, ("alice".to_owned(), "hi there".to_owned()));
    alice.expect("Connected! Users online: bob, alice\n").await;
    alice.heard_nothing().await;
}

/// PuTTY, `telnet`, a terminal in raw mode, a file with a byte order mark.
#[tokio::test]
async fn what_clients_add_is_never_part_of_a_message() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    let mut alice = world.connect().await;
    // An empty line, a byte order mark, telnet options, an erased mistake, two kinds of line ends.
    alice.send_bytes(b"\r\n\xef\xbb\xbf\xff\xfb\x1f\xff\xfd\x03alicx\x7fe\r\0").await;
    let refusals = [&b"Enter your username: "[..], b"\xff\xfe\x1f\xff\xfc\x03"];
    let mut got = alice.bytes(refusals.concat().len()).await;
    got.sort_unstable();
    let mut expected = refusals.concat();
    expected.sort_unstable();
    assert_eq!(got, expected, "in either order");
    alice.expect("Connected! Users online: bob, alice\n").await;
    for byte in b"bob: on\x08\x08two\rbob: three\r\n" {
        alice.send_bytes(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(bob.live().await.1, "two");
    assert_eq!(bob.live().await.1, "three");
    alice.send_bytes(b"b\0o\0b\0:\0h\0\n").await;
    alice.expect("This server takes UTF-8, and that looks like UTF-16. It was not sent.\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn incomplete_frames_share_one_bound_and_complete_ones_get_through() {
    let world = World::start().await;
    let part = format!("{{\"type\":\"send\",\"body\":\"{}", "x".repeat(60_000));
    let mut held = Vec::new();
    for n in 0..500 {
        let mut peer = Peer::connect(world.chat).await;
        peer.expect("Enter your username: ").await;
        if n % 2 == 0 {
            peer.send(&format!("{{\"type\":\"hello\",\"name\":\"held-{n}\",\"presence\":false}}\n")).await;
            peer.frame_of("welcome").await;
        }
        peer.send(&part).await;
        held.push(peer);
    }
    let mut bob = Peer::connect(world.chat).await;
    bob.expect("Enter your username: ").await;
    bob.send("bob\n").await;
    assert!(bob.line().await.starts_with("Connected!"));
    bob.send(&format!("held-1: {}\n", "y".repeat(16_000))).await;
    assert!(bob.line().await.ends_with("Message saved.\n"));
    let mut told = 0;
    for peer in &mut held {
        let mut said = [0; 4096];
        let _ = tokio::time::timeout(Duration::from_millis(10), peer.stream.readable()).await;
        let said = peer.stream.try_read(&mut said).map_or(&said[..0], |count| &said[..count]);
        told += usize::from(String::from_utf8_lossy(said).contains("Too many unfinished messages"));
    }
    assert!(told >= 40, "{told} of 500 were closed; together they held 30 MB");
}
