//! The fake chat server: the native dialect over shared state.
//!
//! A session reads from the logs: after each change it sends what it has not sent yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::limits::LINE_BYTES;
use protocol::native::{
    Ack, ClientFrame, Durability, ErrorCode, ErrorFrame, EventFrame, Hello, HistoryPage, HistoryRequest,
    Send, ServerFrame, Welcome, parse_client_frame,
};
use protocol::{ConversationId, Draft, UserName};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::lines::{Line, Lines};

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, shutdown: CancellationToken) {
    loop {
        let (stream, _) = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted.expect("a test has files enough"),
        };
        let (shared, shutdown) = (Arc::clone(&shared), shutdown.clone());
        let cut = shared.connections.lock().expect("nobody panics while holding this lock").clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = cut.cancelled() => {}
                // The connection has ended.
                _ = session(stream, &shared) => {}
            }
        });
    }
}

/// One connection; `None` is its end.
async fn session(stream: TcpStream, shared: &Shared) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    writer.write_all(b"Enter your username: ").await.ok()?;
    let mut lines = Lines::new(reader, LINE_BYTES);
    let ClientFrame::Hello(hello) = read(&mut lines).await? else { return None };
    if hello.token.as_deref().is_some_and(|token| !shared.token.matches(token)) {
        let message = "this name belongs to a service".to_owned();
        let error = ErrorFrame { code: ErrorCode::Reserved, message, client_id: None, retry_after_ms: None };
        return write(&mut writer, &ServerFrame::Error(error)).await;
    }
    let _presence = Presence::come(shared, hello.name.clone());
    let welcome = Welcome {
        log: None,
        name: hello.name.clone(),
        token: hello.token.clone().unwrap_or_else(|| shared.token.expose().to_owned()),
        online: shared.world().online().to_vec(),
        conversations: Vec::new(),
        durability: Durability::Fsync,
    };
    write(&mut writer, &ServerFrame::Welcome(welcome)).await?;
    Session { shared, lines, writer, sent: hello.cursors.clone(), hello }.talk().await
}

/// A user is online until this is dropped.
struct Presence<'a>(&'a Shared, UserName);

impl<'a> Presence<'a> {
    fn come(shared: &'a Shared, user: UserName) -> Self {
        shared.world().come(user.clone());
        shared.changed();
        Self(shared, user)
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.world().go(&self.1);
        self.0.changed();
    }
}

struct Session<'a> {
    shared: &'a Shared,
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// The last event sent, by conversation.
    sent: BTreeMap<ConversationId, u64>,
    hello: Hello,
}

impl Session<'_> {
    async fn talk(&mut self) -> Option<()> {
        let mut changes = self.shared.changes.subscribe();
        changes.mark_unchanged();
        self.feed(true).await?;
        write(&mut self.writer, &ServerFrame::Live).await?;
        loop {
            tokio::select! {
                frame = read(&mut self.lines) => self.answer(frame?).await?,
                changed = changes.changed() => {
                    changed.ok()?;
                    self.feed(false).await?;
                }
            }
        }
    }

    async fn feed(&mut self, replayed: bool) -> Option<()> {
        for event in self.new_events() {
            self.sent.insert(event.conversation.clone(), event.seq);
            write(&mut self.writer, &ServerFrame::Event(EventFrame { event, replayed })).await?;
        }
        Some(())
    }

    fn new_events(&self) -> Vec<protocol::Event> {
        let world = self.shared.world();
        let user = &self.hello.name;
        let is_new = |event: &&protocol::Event| {
            let sent = self.sent.get(&event.conversation).copied();
            event.seq > sent.unwrap_or_else(|| world.cursor_in(user, &event.conversation))
        };
        world.events_of(user).filter(is_new).cloned().collect()
    }

    async fn answer(&mut self, frame: ClientFrame) -> Option<()> {
        let answer = match frame {
            ClientFrame::Hello(_) => return None,
            ClientFrame::Seen(seen) => {
                self.shared.world().move_cursor(&self.hello.name, seen.conversation, seen.seq);
                self.shared.changed();
                return Some(());
            }
            ClientFrame::Ping { nonce } => ServerFrame::Pong { nonce },
            ClientFrame::History(request) => ServerFrame::History(self.history(request)),
            ClientFrame::Send(send) => ServerFrame::Ack(self.store(send)),
            // Other frames are not supported; there are no traces here.
            other => {
                drop(other);
                return Some(());
            }
        };
        write(&mut self.writer, &answer).await
    }

    fn store(&self, send: Send) -> Ack {
        let draft = Draft {
            sender: self.hello.name.clone(),
            conversation: ConversationId::dm(&self.hello.name, &send.to),
            body: send.body,
            kind: send.kind,
            metadata: send.metadata,
            client_id: send.client_id,
            timestamp: send.timestamp,
        };
        let (event, duplicate) = self.shared.append(draft);
        Ack {
            client_id: event.client_id,
            conversation: event.conversation,
            seq: event.seq,
            id: event.id,
            at: event.at,
            duplicate,
            durability: Durability::Fsync,
            online: self.shared.world().online().contains(&send.to),
        }
    }

    fn history(&self, request: HistoryRequest) -> HistoryPage {
        let conversation = ConversationId::dm(&self.hello.name, &request.with);
        let world = self.shared.world();
        let before = request.before.unwrap_or(u64::MAX);
        let older: Vec<_> = world.events(&conversation).iter().filter(|event| event.seq < before).collect();
        let from = older.len().saturating_sub(request.limit.map_or(200, |limit| limit as usize));
        let events = older[from..].iter().map(|event| (*event).clone()).collect();
        HistoryPage { with: request.with, conversation, events, more: from > 0 }
    }
}

async fn read(lines: &mut Lines<OwnedReadHalf>) -> Option<ClientFrame> {
    match lines.next().await.ok()?? {
        Line::Text(line) => parse_client_frame(&line).ok(),
        Line::TooLong => None,
    }
}

async fn write(writer: &mut OwnedWriteHalf, frame: &ServerFrame) -> Option<()> {
    let mut line = serde_json::to_vec(frame).expect("frames serialise into memory");
    line.push(b'\n');
    writer.write_all(&line).await.ok()
}
