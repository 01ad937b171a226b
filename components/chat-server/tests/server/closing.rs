//! What a client sent before it closed is handled, whatever happens to the answers: scripts use `printf … | nc -q0`.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::peer::Peer;
use crate::world::World;

/// Sends everything and closes at once without reading, which becomes a reset if the server has answered by then.
async fn send_and_close(address: std::net::SocketAddr, text: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
}

fn lines(count: usize, to: &str) -> String {
    (0..count).map(|n| format!("{to}{n}\n")).collect()
}

async fn hears(bob: &mut Peer, count: usize) {
    for n in 0..count {
        assert_eq!(bob.said().await, n.to_string());
    }
}

#[tokio::test]
async fn five_hundred_lines_and_the_end_are_five_hundred_messages() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    for round in 0..5 {
        send_and_close(world.chat, &format!("alice{round}\n{}", lines(500, "bob: "))).await;
        hears(&mut bob, 500).await;
    }
}

#[tokio::test]
async fn the_book_dialect_does_everything_too() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    send_and_close(world.book, &format!("alice\n{}", lines(5, "bob-"))).await;
    hears(&mut bob, 5).await;
}

#[tokio::test]
async fn a_session_over_its_allowance_is_finished_at_its_pace_and_its_name_is_free() {
    let world = World::with(|config| (config.messages_per_second, config.burst) = (20, 10)).await;
    let mut bob = world.login("bob").await;
    send_and_close(world.chat, &format!("alice\n{}", lines(60, "bob: "))).await;
    hears(&mut bob, 20).await;
    // The rest is still being handled.
    let mut again = world.login("alice").await;
    for n in 20..60 {
        assert_eq!(bob.said().await, n.to_string());
    }
    again.heard_nothing().await;
}
