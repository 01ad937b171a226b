//! The memory and cost bounds of a session, tested on a real socket with paused time; see [`queue_tests`](super::queue_tests).

use protocol::Timestamp;
use protocol::api::FeedPosition;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::answers::Answer;
use super::queue_tests::{chat, connect, fill_the_queue, heard, place, say, server, session, session_of};
use super::*;
use crate::access::port::Port;
use crate::delivery::feed::{self, Link, Observers};
use crate::delivery::inbox::Backlog;
use crate::directory::roster::Claim;
use crate::sample::name;
use crate::simulation::{self, Dice, SimulatedApi};

/// Whether the session may make a request now.
fn may_ask(session: &mut Session) -> bool {
    session.allowance.take(Instant::now()).is_ok()
}

#[tokio::test(start_paused = true)]
async fn what_a_client_makes_us_send_costs_by_its_bytes() {
    let mut tasks = JoinSet::new();
    let server = server(&mut tasks, |config| (config.messages_per_second, config.burst) = (1, 1));
    let join = |n| {
        let name = name(&format!("somebody-online-{n}"));
        server.hub.join(&name, Claim::None, Dialect::Text, Backlog::default())
    };
    let online: Vec<_> = (0..2000).map(join).collect();

    let (mut wire, _client) = connect(&server).await;
    wire.out.push(&[b'x'; 64 * 1024]);
    let after_greeting = may_ask(&mut session(&server, Dialect::Text, wire));

    let (wire, _client) = connect(&server).await;
    let mut prompted = session(&server, Dialect::Book, wire);
    prompted.opening = Opening::Until(Instant::now());
    prompted.fill();
    assert!(prompted.opening.is_over() && !prompted.wire.out.is_empty());
    let after_list = may_ask(&mut prompted);
    drop(prompted);

    let (wire, _client) = connect(&server).await;
    let mut reader = session(&server, Dialect::Native, wire);
    let (page, receiver) = oneshot::channel();
    reader.answers.pending(receiver);
    assert!(page.send(Answer::Page(vec![b'x'; 64 * 1024].into(), PagePermit::default())).is_ok());
    reader.fill();
    let after_page = may_ask(&mut reader);
    assert_eq!((after_greeting, after_list, after_page), (false, false, false));
    drop(online);
}

#[tokio::test(start_paused = true)]
async fn a_client_behind_a_proxy_that_never_speaks_is_sent_everything() {
    let mut tasks = JoinSet::new();
    let server = server(&mut tasks, |_| {});
    let (mut wire, client) = connect(&server).await;
    wire.is_proxied = true;
    tasks.spawn(session(&server, Dialect::Text, wire).run(place()));
    let mut lines = 0;
    // Two alternating conversations, so that each event is confirmed separately.
    for seq in 1..=2200_u64 {
        for (from, index) in [("bob", 2 * seq - 1), ("carol", 2 * seq)] {
            let draft = chat(from, "alice", "hi");
            let event = draft.into_event(Uuid::from_u128(index.into()), seq, Timestamp::from_micros(0));
            server.hub.dispatch(event, None, FeedPosition { epoch: Uuid::from_u128(1), index });
        }
        if seq % 100 == 0 {
            lines += heard(&client).await.lines().count();
        }
    }
    assert_eq!(lines, 4400);
}

/// The bound of incomplete input, of which each connection's first 4 KiB are not counted.
const BUDGET: usize = 8 * 1024 * 1024;

/// Whether this session's client holds at least this many counted bytes: then another connection of its address that holds the rest of the
/// bound exceeds it.
fn counts(server: &Server, client: &tokio::net::TcpStream) -> bool {
    let mut other = server.unfinished.of(client.local_addr().unwrap().ip());
    other.holds(4096 + BUDGET);
    other.is_refused()
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_place_in_the_queue_counts_as_unfinished_input() {
    let mut tasks = JoinSet::new();
    let server = server(&mut tasks, |_| {});
    let (wire, client) = connect(&server).await;
    tasks.spawn(session(&server, Dialect::Text, wire).run(place()));
    fill_the_queue(&server);
    assert!(!counts(&server, &client));
    say(&client, &format!("bob: {}\n", "x".repeat(12_000))).await;
    assert!(counts(&server, &client), "both together hold too much");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_looked_up_counts_as_unfinished_input_and_is_given_up_with_its_connection() {
    let mut tasks = JoinSet::new();
    let server = server(&mut tasks, |_| {});
    let (wire, client) = connect(&server).await;
    tasks.spawn(session(&server, Dialect::Book, wire).run(place()));
    heard(&client).await;
    // The recipient is found, and then there is no place for the message.
    fill_the_queue(&server);
    say(&client, &format!("alice-{}\n", "x".repeat(12_000))).await;
    assert!(counts(&server, &client) && server.tasks.len() == 1, "it is looked up");
    // The others hold a little less each, and together too much.
    let other = |n: u32| {
        let mut other = server.unfinished.of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into());
        other.holds(4096 + 7_800);
        other
    };
    let others: Vec<_> = (0..1100).map(other).take_while(|other| !other.is_refused()).collect();
    let told = heard(&client).await;
    assert!(told.starts_with(kit::unfinished::REFUSAL), "{told}");
    assert!(server.tasks.is_empty(), "it is still looked up");
    drop(others);
}

/// What others leave of the budget of waiting pages.
const LEFT: usize = 4 << 20;
/// More sessions than have room in it, for their pages are of a megabyte each.
const READERS: usize = 8;
/// Time limit for what happens on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test]
async fn pages_that_nobody_reads_are_bounded_by_their_bytes() {
    let api = SimulatedApi::new(Arc::new(Dice::steady(Duration::ZERO)));
    api.state().faults = false;
    let said = |n: usize| chat("bob", "alice", &format!("{n}{}", "x".repeat(16_000)));
    api.append((0..101).map(said).collect()).await.unwrap();
    let (server, _workers) = simulation::server(&api, 1 << 20);
    let pages = &server.backend.pages;
    let _others = pages.reserve_bytes(pages.left() - LEFT).unwrap();
    let mut tasks = JoinSet::new();
    let mut clients = Vec::new();
    let first = server.hub.join(&name("alice"), Claim::None, Dialect::Native, Backlog::default()).unwrap();
    for _ in 0..READERS {
        let (wire, client) = connect(&server).await;
        // Small, so that pages wait in the session and not in the kernel.
        socket2::SockRef::from(&wire.stream).set_send_buffer_size(4096).unwrap();
        let claim = Claim::Token(first.token.expose());
        let member = server.hub.join(&name("alice"), claim, Dialect::Native, Backlog::default()).unwrap();
        tasks.spawn(session_of(&server, member, wire).run(place()));
        client.try_write(b"{\"type\":\"history\",\"with\":\"bob\"}\n").unwrap();
        clients.push(client);
    }
    let asked = async {
        while server.metrics.requests.get() < READERS as u64 || !server.tasks.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("all pages were read");
    let mut lengths = Vec::new();
    for client in clients {
        let mut lines = BufReader::new(client).lines();
        let page = loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            let line = line.expect("a page").unwrap().unwrap();
            if line.starts_with("{\"type\":\"history\"") {
                break line;
            }
        };
        assert!(page.ends_with("\"more\":true}") && page.contains("\"seq\":101,"), "{page:.300}");
        lengths.push(page.len());
    }
    let all: usize = lengths.iter().sum();
    assert!(all <= LEFT + READERS * 32 * 1024, "{all} bytes wait: {lengths:?}");
    assert!(lengths[0] > 900_000 && lengths.iter().all(|length| *length > 16_000), "{lengths:?}");
    let given_back = async {
        while pages.left() < LEFT {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, given_back).await.expect("what was read is given back");
}

/// Events that are too long for the smallest queue are read from the store, whose clock differs from ours.
#[tokio::test]
async fn a_client_without_replay_receives_what_arrived_since_its_login_by_the_stores_clock() {
    let api = SimulatedApi::new(Arc::new(Dice::steady(Duration::ZERO)));
    api.state().faults = false;
    let (server, _workers) = simulation::server(&api, 1_500);
    let mut tasks = JoinSet::new();
    let following = Arc::clone(&server);
    tasks.spawn(async move {
        let link = watch::channel(Link::Untried).0;
        let Server { metrics, traces, client_book, .. } = &*following;
        feed::follow(&following.backend, &following.hub, Observers { metrics, traces, client_book }, &link)
            .await;
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let port = Port::Main(Dialect::Text);
    tasks.spawn(crate::connection::serve(Arc::clone(&server), port, stream, peer, place()));
    let (answers, mut says) = client.into_split();
    says.write_all(b"{\"type\":\"hello\",\"name\":\"alice\",\"replay\":false}\n").await.unwrap();
    let mut answers = BufReader::new(answers).lines();
    let mut next = async |kind: &str| loop {
        let line = tokio::time::timeout(Duration::from_secs(20), answers.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("no {kind}")).unwrap().unwrap();
        if line.contains(&format!("{{\"type\":\"{kind}\"")) {
            return line;
        }
    };
    next("live").await;
    api.append((0..20).map(|_| chat("bob", "alice", &"x".repeat(2000))).collect()).await.unwrap();
    for seq in 1..=20 {
        let event = next("event").await;
        assert!(event.contains(&format!("\"seq\":{seq},")), "{seq}: {event:.300}");
    }
}
