//! A native client against servers that read, write or greet as they like: it receives, and accepts requests, in every state.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use protocol::native::{Ack, ClientFrame, Durability, Send, ServerFrame, Welcome};
use protocol::{Body, ClientId, ConversationId, MessageType, Metadata, Timestamp, UserName};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use transport::{Incoming, NativeClient, NativeOptions};

/// Long enough for a loaded machine; a real hang lasts longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn bob() -> ConversationId {
    ConversationId::dm(&name("alice"), &name("bob"))
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: nothing in {PATIENCE:?}"))
}

/// A server whose connections have the smallest possible buffers.
fn listen() -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn start(server: SocketAddr) -> (NativeClient, mpsc::Receiver<Incoming>) {
    NativeClient::start(NativeOptions::user(server, name("alice")), CancellationToken::new())
}

fn message(n: usize, length: usize) -> Send {
    Send {
        client_id: ClientId::parse(&format!("m{n}")).unwrap(),
        to: name("bob"),
        body: Body::parse(&"x".repeat(length)).unwrap(),
        kind: MessageType::Chat,
        metadata: Metadata::default(),
        timestamp: None,
        trace: false,
    }
}

fn ack(n: usize) -> ServerFrame {
    ServerFrame::Ack(Ack {
        client_id: ClientId::parse(&format!("m{n}")).unwrap(),
        conversation: bob(),
        seq: 1000 + n as u64,
        id: uuid::Uuid::now_v7(),
        at: Timestamp::now(),
        duplicate: false,
        durability: Durability::Fsync,
        online: true,
    })
}

fn event(seq: u64) -> ServerFrame {
    let event = format!(
        r#"{{"type":"event","event":{{"id":"01890a5d-ac96-774b-bcce-b302099a8057","conversation":"dm:alice:bob",
        "seq":{seq},"at":"2026-11-20T23:21:22Z","sender":"bob","destination":"alice","body":"hi","type":"chat",
        "client_id":"x{seq}","timestamp":"2026-11-20T23:21:22Z"}}}}"#
    );
    serde_json::from_str(&event).unwrap()
}

/// The server's end of one connection.
struct Session {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Session {
    /// Accepts a connection, reads its `hello`, and answers it.
    async fn greet(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, writer) = stream.into_split();
        let mut session = Self { reader: BufReader::new(reader), writer };
        assert!(matches!(session.read().await, Some(ClientFrame::Hello(_))));
        let welcome = Welcome {
            name: name("alice"),
            token: "secret".to_owned(),
            online: Vec::new(),
            conversations: Vec::new(),
            durability: Durability::Fsync,
            log: None,
        };
        session.write(&ServerFrame::Welcome(welcome)).await;
        session
    }

    async fn read(&mut self) -> Option<ClientFrame> {
        let mut line = String::new();
        let length = self.reader.read_line(&mut line).await.unwrap();
        (length > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    async fn write(&mut self, frame: &ServerFrame) {
        let mut line = serde_json::to_vec(frame).unwrap();
        line.push(b'\n');
        self.writer.write_all(&line).await.unwrap();
    }
}

async fn connected(incoming: &mut mpsc::Receiver<Incoming>) {
    let first = soon("a welcome", incoming.recv()).await;
    assert!(matches!(first, Some(Incoming::Connected(_))), "{first:?}");
}

#[tokio::test]
async fn a_client_whose_writes_wait_still_hears_and_takes_orders() {
    /// More than all buffers in between: 15 MB.
    const MESSAGES: usize = 1000;
    let (listener, server) = listen();
    let (client, mut incoming) = start(server);
    let mut session = soon("a connection", Session::greet(&listener)).await;
    connected(&mut incoming).await;
    // The server stops reading. The client still accepts all messages.
    let first = soon("the first one", client.submit(message(0, 15_000))).await.unwrap();
    for n in 1..MESSAGES {
        soon("a place in the outbox", client.post(message(n, 15_000))).await.unwrap();
    }
    // Cursors and requests do not wait behind the messages.
    for seq in 1..200 {
        soon("a cursor", client.seen(bob(), seq)).await;
    }
    session.write(&event(7)).await;
    let heard = soon("an event", incoming.recv()).await;
    assert!(matches!(heard, Some(Incoming::Event(frame)) if frame.event.seq == 7));
    session.write(&ack(0)).await;
    assert_eq!(soon("an answer", first).await.unwrap().unwrap().seq, 1000);
    // It reads again: everything arrives, once and in order, including the cursor.
    let (mut said, mut seen) = (Vec::new(), 0);
    while said.len() < MESSAGES {
        match soon("a frame", session.read()).await.unwrap() {
            ClientFrame::Send(send) => said.push(send.client_id.to_string()),
            ClientFrame::Seen(frame) => seen = frame.seq,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(said, (0..MESSAGES).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert_eq!(seen, 199);
}

#[tokio::test]
async fn a_client_whose_caller_takes_nothing_still_speaks() {
    /// More than the client queues for its caller.
    const EVENTS: u64 = 2000;
    let (listener, server) = listen();
    let (client, mut incoming) = start(server);
    let mut session = soon("a connection", Session::greet(&listener)).await;
    for seq in 1..=EVENTS {
        session.write(&event(seq)).await;
    }
    client.post(message(1, 10)).await.unwrap();
    let said = soon("a message", session.read()).await;
    assert!(matches!(said, Some(ClientFrame::Send(_))), "{said:?}");
    // Nothing was lost or reordered meanwhile.
    connected(&mut incoming).await;
    for seq in 1..=EVENTS {
        let heard = soon("an event", incoming.recv()).await;
        assert!(matches!(&heard, Some(Incoming::Event(frame)) if frame.event.seq == seq), "{seq}: {heard:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_greets_keeps_nobody_waiting() {
    let (listener, server) = listen();
    let (client, mut incoming) = start(server);
    let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
    // More than any queue in between: all are accepted at once, and nothing is reported to the caller yet.
    for n in 0..500 {
        soon("a place in the outbox", client.post(message(n, 10))).await.unwrap();
        client.seen(bob(), n as u64).await;
    }
    assert!(incoming.try_recv().is_err());
    // The connection is closed: the next one receives everything.
    drop(stream);
    let lost = soon("news of the connection", incoming.recv()).await;
    assert!(matches!(lost, Some(Incoming::Disconnected { .. })), "{lost:?}");
    let mut session = soon("a connection", Session::greet(&listener)).await;
    let mut said = 0;
    while said < 500 {
        match soon("a frame", session.read()).await.unwrap() {
            ClientFrame::Send(send) => {
                assert_eq!(send.client_id.as_str(), format!("m{said}"));
                said += 1;
            }
            ClientFrame::Seen(seen) => assert_eq!(seen.seq, 499),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn closing_writes_what_was_said_before_and_waits_for_no_server_that_does_not_greet() {
    let (listener, server) = listen();
    let (client, mut incoming) = start(server);
    let mut session = soon("a connection", Session::greet(&listener)).await;
    connected(&mut incoming).await;
    for n in 0..100 {
        client.post(message(n, 100)).await.unwrap();
    }
    client.seen(bob(), 3).await;
    let closing = tokio::spawn(client.close());
    let (mut said, mut seen) = (0, 0);
    while let Some(frame) = soon("the end", session.read()).await {
        match frame {
            ClientFrame::Send(_) => said += 1,
            ClientFrame::Seen(frame) => seen = frame.seq,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((said, seen), (100, 3));
    drop(session);
    closing.await.unwrap();
    // An unanswered connection ends with its owner.
    let (client, _incoming) = start(server);
    let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
    let mut silent = BufReader::new(stream);
    let mut hello = String::new();
    soon("a greeting", silent.read_line(&mut hello)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), client.close())
        .await
        .expect("it does not wait for a greeting");
    hello.clear();
    let end = tokio::time::timeout(Duration::from_secs(5), silent.read_line(&mut hello)).await;
    assert_eq!(end.expect("the connection does not wait for one either").unwrap(), 0, "{hello}");
}

#[tokio::test]
async fn a_client_ends_when_its_caller_is_gone() {
    let (listener, server) = listen();
    let (_client, incoming) = start(server);
    let mut session = soon("a connection", Session::greet(&listener)).await;
    drop(incoming);
    assert!(soon("the end", session.read()).await.is_none());
}
