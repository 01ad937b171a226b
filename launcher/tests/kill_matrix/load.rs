//! Users who chat while processes are killed: they reconnect by themselves, as the project's clients do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::native::Send;
use protocol::{Body, ClientId, MessageType, Metadata, UserName};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use transport::native::{Incoming, NativeClient, NativeOptions};

use crate::checker::{flaws, flaws_without_ids};

/// Messages of one sender in flight.
const WINDOW: usize = 8;

pub(crate) fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

/// Everything that was sent and received, by sender and recipient.
#[derive(Debug, Default)]
pub(crate) struct Books {
    sent: BTreeMap<(String, String), u32>,
    acknowledged: BTreeMap<(String, String), BTreeSet<u32>>,
    came: BTreeMap<(String, String), Vec<u32>>,
}

impl Books {
    fn next(&mut self, pair: &(String, String)) -> u32 {
        let sent = self.sent.entry(pair.clone()).or_default();
        *sent += 1;
        *sent
    }

    /// `text` is a message's text as [`send`] makes it.
    fn comes(&mut self, recipient: &str, text: &str) {
        let (sender, number) = text.split_once(' ').unwrap_or_else(|| panic!("nobody said {text:?}"));
        let pair = (sender.to_owned(), recipient.to_owned());
        self.came.entry(pair).or_default().push(number.trim().parse().unwrap());
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.values().map(BTreeSet::len).sum()
    }

    /// Messages that were acknowledged and not received yet by the online recipients, in words.
    pub(crate) fn missing(&self, away: Option<&str>) -> Vec<String> {
        let none = Vec::new();
        let there = self.acknowledged.iter().filter(|((_, to), _)| Some(to.as_str()) != away);
        let missing = there.filter_map(|(pair, acknowledged)| {
            let came: BTreeSet<u32> = self.came.get(pair).unwrap_or(&none).iter().copied().collect();
            let mut missing = acknowledged.difference(&came);
            let first = missing.next()?;
            let (more, last) = (missing.count(), acknowledged.last());
            Some(format!("{pair:?} lacks {first} and {more} more; the last is {last:?}"))
        });
        missing.collect()
    }

    /// All violations in what the online recipients received, in words.
    pub(crate) fn flaws(&self, without_ids: &str, away: Option<&str>) -> Vec<String> {
        let (none, nothing) = (BTreeSet::new(), Vec::new());
        let mut found = Vec::new();
        for (pair, sent) in self.sent.iter().filter(|((_, to), _)| Some(to.as_str()) != away) {
            let acknowledged = self.acknowledged.get(pair).unwrap_or(&none);
            let came = self.came.get(pair).unwrap_or(&nothing);
            let check = if pair.1 == without_ids { flaws_without_ids } else { flaws };
            found.extend(check(*sent, acknowledged, came).iter().map(|flaw| format!("{pair:?}: {flaw:?}")));
        }
        found
    }
}

pub(crate) type Shared = Arc<Mutex<Books>>;

/// Sends to each recipient in turn while `talk` is true; reports through `quiet` that everything is answered.
pub(crate) async fn sender(
    server: SocketAddr,
    who: String,
    recipients: Vec<String>,
    books: Shared,
    mut talk: watch::Receiver<bool>,
    quiet: mpsc::Sender<()>,
) {
    let options = NativeOptions {
        presence: false,
        conversations: false,
        max_backoff: Duration::from_millis(300),
        ..NativeOptions::user(server, name(&who))
    };
    let (client, mut incoming) = NativeClient::start(options, CancellationToken::new());
    // Nobody writes to a sender; it receives changes of the connection.
    tokio::spawn(async move { while incoming.recv().await.is_some() {} });
    loop {
        if talk.wait_for(|talk| *talk).await.is_err() {
            return;
        }
        let mut answers = JoinSet::new();
        let mut turn = recipients.iter().cycle();
        while *talk.borrow() {
            let pair = (who.clone(), turn.next().unwrap().clone());
            let number = books.lock().unwrap().next(&pair);
            let answer = client.submit(send(&who, &pair.1, number)).await.unwrap();
            let books = Arc::clone(&books);
            answers.spawn(async move {
                answer.await.unwrap().unwrap();
                books.lock().unwrap().acknowledged.entry(pair).or_default().insert(number);
            });
            while answers.len() >= WINDOW {
                answers.join_next().await.unwrap().unwrap();
            }
        }
        while let Some(answer) = answers.join_next().await {
            answer.unwrap();
        }
        quiet.send(()).await.unwrap();
    }
}

fn send(who: &str, to: &str, number: u32) -> Send {
    Send {
        trace: false,
        client_id: ClientId::fresh(),
        to: name(to),
        body: Body::parse(&format!("{who} {number}")).unwrap(),
        kind: MessageType::Chat,
        metadata: Metadata::default(),
        timestamp: None,
    }
}

/// Receives everything in the native dialect and confirms it.
pub(crate) async fn recipient(server: SocketAddr, who: String, books: Shared) {
    let options =
        NativeOptions { max_backoff: Duration::from_millis(300), ..NativeOptions::user(server, name(&who)) };
    let (client, mut incoming) = NativeClient::start(options, CancellationToken::new());
    while let Some(news) = incoming.recv().await {
        match news {
            Incoming::Event(frame) => {
                let event = frame.event;
                books.lock().unwrap().comes(&who, event.body.as_str());
                client.seen(event.conversation, event.seq).await;
            }
            Incoming::Rejected(error) => panic!("{who} is rejected: {error:?}"),
            Incoming::Connected(_) | Incoming::Frame(_) | Incoming::Disconnected { .. } => {}
        }
    }
}

/// Receives everything in the text dialect, like `nc` in a loop.
pub(crate) async fn text_recipient(server: SocketAddr, who: String, books: Shared) {
    loop {
        // After a rejection or a disconnect it retries at once, like an impatient user.
        let _ = text_session(server, &who, &books).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn text_session(server: SocketAddr, who: &str, books: &Shared) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(format!("{who}\n").as_bytes()).await?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    // An incomplete line was cut off, and is sent again.
    while reader.read_line(&mut line).await? > 0 && line.ends_with('\n') {
        // `[sender][time] text` or `[Stored] [CHAT][time][sender] text `.
        let kept = line.strip_prefix("[Stored] ");
        if let Some((_, text)) = kept.unwrap_or(&line).split_once("] ").filter(|_| line.starts_with('[')) {
            books.lock().unwrap().comes(who, text);
        }
        line.clear();
    }
    Ok(())
}
