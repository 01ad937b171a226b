//! What a message allocates on its way from one socket to another, in the chat server and the message API together.
//!
//! nextest runs each test in a process of its own, so what is counted is what this test causes. The clients allocate nothing meanwhile.

use stats_alloc::Region;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ALLOCATOR;
use crate::world::World;

/// Senders, each with a receiver.
const PAIRS: usize = 8;
/// Messages that a sender writes at once.
const BURST: usize = 32;
/// Bursts before and while it is counted.
const ROUNDS: [usize; 2] = [8, 24];
/// Allocations of one message: what it is made of in both servers, and its share of the batch it is in. With some room, as the size of batches
/// is a matter of timing.
const MOST: usize = 26;

/// Every receiver reads a burst, into memory that is there.
async fn burst(senders: &mut [TcpStream], receivers: &mut [TcpStream], said: &[Vec<u8>], heard: &mut [u8]) {
    for (sender, said) in senders.iter_mut().zip(said) {
        sender.write_all(said).await.unwrap();
    }
    for receiver in receivers {
        let mut lines = 0;
        while lines < BURST {
            let count = receiver.read(heard).await.unwrap();
            assert!(count > 0, "the server closed the connection");
            lines += heard[..count].iter().filter(|byte| **byte == b'\n').count();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_allocates_little_on_its_way() {
    let world = World::start().await;
    let (mut senders, mut receivers, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..PAIRS {
        // The receiver has no greeting of anybody who comes later.
        senders.push(world.login(&format!("s{n}")).await.stream);
        receivers.push(world.login(&format!("r{n}")).await.stream);
        said.push(format!("r{n}: {}\n", "x".repeat(64)).repeat(BURST).into_bytes());
    }
    let mut heard = vec![0; 64 * 1024];
    for _ in 0..ROUNDS[0] {
        burst(&mut senders, &mut receivers, &said, &mut heard).await;
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..ROUNDS[1] {
        burst(&mut senders, &mut receivers, &said, &mut heard).await;
    }
    let change = region.change();
    let messages = PAIRS * BURST * ROUNDS[1];
    let each = (change.allocations + change.reallocations) / messages;
    eprintln!(
        "{messages} messages: {} allocations, {} reallocations, {} bytes each",
        change.allocations / messages,
        change.reallocations / messages,
        change.bytes_allocated / messages
    );
    assert!(each <= MOST, "{each} allocations for each message: {change:?}");
}
