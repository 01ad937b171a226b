use std::sync::Arc;
use std::time::Duration;

use kit::places::Places;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::access::port::Port;
use crate::connection;
use crate::delivery::inbox::Backlog;
use crate::dialect::Dialect;
use crate::directory::roster::Claim;
use crate::sample::name;
use crate::simulation::{self, Dice, SimulatedApi};

/// Whose names take 130 KB.
const ONLINE: usize = 4000;
/// What others leave of the budget.
const LEFT: usize = 3 << 20;
/// More than may be told all of those names at once.
const READERS: usize = 60;

/// Lets somebody in who reads nothing, and whose system hardly takes anything.
async fn log_in(
    server: &Arc<Server>,
    tasks: &mut JoinSet<()>,
    (port, hello): (Port, String),
) -> BufReader<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    socket2::SockRef::from(&stream).set_send_buffer_size(4096).unwrap();
    let place = Places::new(1, 0).take_any().unwrap();
    tasks.spawn(connection::serve(Arc::clone(server), port, stream, peer, place));
    client.write_all(hello.as_bytes()).await.unwrap();
    BufReader::new(client)
}

#[tokio::test]
async fn greetings_that_nobody_reads_are_bounded_by_their_bytes() {
    let api = SimulatedApi::new(Arc::new(Dice::steady(Duration::ZERO)));
    api.state().faults = false;
    let (server, _workers) = simulation::server(&api, 1 << 20);
    let names: Vec<_> = (0..ONLINE).map(|n| name(&format!("somebody-with-a-long-name-{n:05}"))).collect();
    api.state().users.clone_from(&names);
    let join = |name| server.hub.join(name, Claim::None, Dialect::Text, Backlog::default()).unwrap();
    let _online: Vec<_> = names.iter().map(join).collect();
    let pages = &server.backend.pages;
    let _others = pages.reserve_greeting(pages.left_for_greetings() - LEFT).unwrap();

    let (mut tasks, mut clients) = (JoinSet::new(), Vec::new());
    for n in 0..READERS {
        let login = match n % 3 {
            0 => (Port::Main(Dialect::Text), format!("reader-{n}\n")),
            1 => (Port::Dedicated(Dialect::Book), format!("reader-{n}\n")),
            _ => (Port::Main(Dialect::Text), format!("{{\"type\":\"hello\",\"name\":\"reader-{n}\"}}\n")),
        };
        clients.push(log_in(&server, &mut tasks, login).await);
        // One after the other, for the first ones are to find the budget full.
        let greeted = async {
            while server.tasks.len() <= n {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(90), greeted).await.expect("another one is in");
    }

    let mut lengths = Vec::new();
    for (n, client) in clients.iter_mut().enumerate() {
        let mut greeting = String::new();
        while !greeting.contains("somebody-with-a-long-name-00000") {
            greeting.clear();
            let line = tokio::time::timeout(Duration::from_secs(90), client.read_line(&mut greeting)).await;
            assert!(line.expect("a greeting").unwrap() > 0, "{n} is let go");
        }
        let is_native = n % 3 == 2;
        assert!(greeting.len() > 130_000 || is_native || greeting.ends_with(" more\n"), "{n}");
        assert!(!is_native || greeting.contains(&format!("\"reader-{n}\"],\"conversations\"")), "{n}");
        lengths.push(greeting.len());
    }
    let all: usize = lengths.iter().sum();
    assert!(all <= LEFT + READERS * (SHORT + 256), "{all} bytes waited");
    assert!(lengths[..3].iter().all(|length| *length > 130_000), "{lengths:?}");
    assert!(lengths.iter().all(|length| *length > SHORT / 4), "{lengths:?}");
    let given_back = async {
        while pages.left_for_greetings() < LEFT {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), given_back).await.expect("what was read is given back");
}
