//! A session whose message waits for a place in the full queue of the appender. Its socket is real; time is paused, so that the wait does
//! not end.

use protocol::api::FeedPosition;
use protocol::{Body, Draft, Timestamp};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::*;
use crate::config::Config;
use crate::delivery::inbox::Backlog;
use crate::directory::roster::{Claim, JoinError};
use crate::sample::name;
use crate::simulation::{self, Dice, SimulatedApi};
use kit::places::{Place, Places};

/// Turns of the runtime within which everything that can happen has happened.
const TURNS: usize = 10_000;

pub(super) fn chat(from: &str, to: &str, text: &str) -> Draft {
    Draft::chat(name(from), &name(to), Body::parse(text).unwrap())
}

/// A server whose appender never takes anything out of its queue.
pub(super) fn server(tasks: &mut JoinSet<()>, configure: impl FnOnce(&mut Config)) -> Arc<Server> {
    // A task that is always ready keeps the paused time from advancing.
    tasks.spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let api = SimulatedApi::new(Arc::new(Dice::steady(Duration::ZERO)));
    api.state().faults = false;
    let (mut server, workers) = simulation::server(&api, 1 << 20);
    configure(&mut Arc::get_mut(&mut server).unwrap().config);
    tasks.spawn(async move {
        let _workers = workers;
        std::future::pending().await
    });
    server
}

/// Both ends of a connection that has sent a name.
pub(super) async fn connect(server: &Server) -> (Wire, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let mut wire = Wire::new(stream, peer, &server.config, &server.unfinished, |_| false).unwrap();
    wire.framer.identified(Dialect::Text.capabilities().silence.unwrap());
    (wire, client)
}

/// A session of Alice's that is not running yet.
pub(super) fn session(server: &Arc<Server>, dialect: Dialect, wire: Wire) -> Session {
    let member = server.hub.join(&name("alice"), Claim::None, dialect, Backlog::default()).unwrap();
    session_of(server, member, wire)
}

pub(super) fn session_of(server: &Arc<Server>, member: Membership, wire: Wire) -> Session {
    let hello = Hello { presence: false, ..Hello::new(name("alice")) };
    Session::new(Arc::clone(server), member, wire, &hello, LoginTime::at(Timestamp::from_micros(0)))
}

pub(super) fn place() -> Place {
    Places::new(1, 0).take_any().unwrap()
}

/// Such a server with a live session of Alice's.
async fn world(tasks: &mut JoinSet<()>) -> (Arc<Server>, TcpStream) {
    let server = server(tasks, |_| {});
    let (wire, client) = connect(&server).await;
    tasks.spawn(session(&server, Dialect::Text, wire).run(place()));
    (server, client)
}

/// Fills the queue of Alice's messages.
pub(super) fn fill_the_queue(server: &Server) {
    while server.appender.offer(chat("alice", "bob", "filler"), &RetryFence::default()).1.is_none() {}
}

pub(super) async fn say(client: &TcpStream, line: &str) {
    assert_eq!(client.try_write(line.as_bytes()).unwrap(), line.len());
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// The output within [`TURNS`].
pub(super) async fn heard(client: &TcpStream) -> String {
    let (mut heard, mut buffer) = (Vec::new(), [0; 1024]);
    for _ in 0..TURNS {
        if let Ok(count) = client.try_read(&mut buffer) {
            heard.extend_from_slice(&buffer[..count]);
        }
        tokio::task::yield_now().await;
    }
    String::from_utf8(heard).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_for_a_place_in_the_queue_keeps_writing_and_notices_the_shutdown() {
    let mut tasks = JoinSet::new();
    let (server, client) = world(&mut tasks).await;
    fill_the_queue(&server);
    say(&client, "bob: waits\n").await;
    assert_eq!(heard(&client).await, "", "it waits");

    let event = chat("carol", "alice", "meanwhile");
    let event = event.into_event(Uuid::from_u128(1), 1, Timestamp::from_micros(0));
    server.hub.dispatch(event, None, FeedPosition { epoch: Uuid::from_u128(1), index: 1 });
    let line = heard(&client).await;
    assert!(line.ends_with("] meanwhile\n"), "it goes on writing: {line:?}");

    server.shutdown.cancel();
    assert_eq!(heard(&client).await, "", "its message is not answered yet");
    let join = server.hub.join(&name("alice"), Claim::None, Dialect::Text, Backlog::default());
    assert!(matches!(join, Err(JoinError::Taken { leaving: true })), "it hears the shutdown: {join:?}");

    // The message's deadline has passed, and the session's has not.
    tokio::time::advance(Duration::from_millis(950)).await;
    let line = heard(&client).await;
    assert!(line.starts_with("Message not confirmed: "), "and is told what became of its message: {line:?}");
}

#[tokio::test(start_paused = true)]
async fn input_of_a_disconnected_peer_is_handled_for_ten_minutes() {
    let mut tasks = JoinSet::new();
    let server = server(&mut tasks, |config| (config.messages_per_second, config.burst) = (1, 1));
    let (wire, mut client) = connect(&server).await;
    let running = tokio::spawn(session(&server, Dialect::Text, wire).run(place()));
    // Each is answered after a second, from which the server learns that nobody reads.
    client.write_all("no colon\n".repeat(800).as_bytes()).await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    let mut seconds = 0;
    while !running.is_finished() && seconds < 700 {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        seconds += 1;
    }
    assert!((600..620).contains(&seconds), "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_to_be_stored_are_bounded_by_their_bytes() {
    let mut tasks = JoinSet::new();
    let (server, _client) = world(&mut tasks).await;
    let long = "x".repeat(16_000);
    let mut count = 0;
    while server.appender.offer(chat("alice", "bob", &long), &RetryFence::default()).1.is_none() {
        count += 1;
    }
    assert!((1000..1100).contains(&count), "{count} messages of 16 KB wait");
}
