//! One client from its name to the end, and whether its messages were received as sent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::hall::{Hall, Heard};
use crate::pattern::{Line, Pattern, RECEIVERS, Step, Wait, script};
use crate::support::dice::Dice;

/// Longer than TCP takes to deliver anything over a link of these tests.
const PATIENCE: Duration = Duration::from_secs(90);
const PROMPT: &str = "Enter your username: ";
/// A disk that is slow for a second says nothing about the end of lines: the line was understood, and the message is searched.
const NOT_CONFIRMED: &str = "Message not confirmed: the server's store does not answer. Please send the same line again; it will not come twice.\n";

/// The result of a session.
#[derive(Debug, Default)]
pub struct Report {
    pub lines: usize,
    /// Lines that were not received as sent.
    pub cut: usize,
    /// What went wrong, for diagnosis.
    pub wrong: Vec<String>,
    /// From the write of a newline until the line was received.
    pub took: Vec<Duration>,
}

impl Report {
    /// Both.
    pub fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.cut += other.cut;
        self.wrong.extend(other.wrong);
        self.took.extend(other.took);
    }

    /// The time within which this many of a hundred lines were received.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get((took.len() * percent / 100).min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// Sends these lines in this way, and reports what was received.
pub async fn talk(
    server: SocketAddr,
    name: &str,
    pattern: Pattern,
    lines: &[Line],
    dice: &mut Dice,
    hall: &Hall,
) -> Report {
    let mut listener = hall.listen_to(name);
    let steps = script(pattern, name, lines, dice);
    let mut client = Client::connect(server, pattern.is_nodelay()).await;
    let mut ended = Vec::new();
    for step in &steps {
        client.take(step).await;
        ended.extend(std::iter::repeat_n(Instant::now(), step.ended));
    }
    let heard = hear(&mut listener, lines).await;
    let told = client.leave().await.replace(NOT_CONFIRMED, "");
    let mut report = judge(lines, &ended, &heard);
    let expected = greeting(&told);
    if told != expected {
        // The client was told that something was not understood.
        report.cut = report.cut.max(1);
        report.wrong.push(format!("told {:?}", told.replace(&expected, "")));
    }
    if !report.wrong.is_empty() {
        let steps: Vec<String> = steps.iter().map(Step::to_string).collect();
        report.wrong.insert(0, format!("{name} wrote {pattern:?}: {}", steps.join(", ")));
    }
    report
}

/// The server's output to a client without mistakes: this, and the names of the users online.
fn greeting(told: &str) -> String {
    let online = told.split_once("online: ").and_then(|(_, rest)| rest.split_once('\n'));
    format!("{PROMPT}Connected! Users online: {}\n", online.map_or("", |(names, _)| names))
}

/// What is received of these lines; if something else is received, what arrives within a while.
pub async fn hear(listener: &mut UnboundedReceiver<Heard>, lines: &[Line]) -> Vec<Heard> {
    let (mut heard, mut patience) = (Vec::new(), PATIENCE);
    while heard.len() < lines.len()
        && let Ok(Some(message)) = timeout(patience, listener.recv()).await
    {
        if !lines.iter().any(|line| message.is(line)) {
            patience = PATIENCE / 10;
        }
        heard.push(message);
    }
    heard
}

/// Compares what was received with what was sent, per recipient: the order among several is not defined.
pub fn judge(lines: &[Line], ended: &[Instant], heard: &[Heard]) -> Report {
    let mut report = Report { lines: lines.len(), ..Report::default() };
    for to in RECEIVERS {
        let mut heard = heard.iter().filter(|message| message.to == to).peekable();
        for (line, ended) in lines.iter().zip(ended).filter(|(line, _)| line.to == to) {
            while let Some(stray) = heard.next_if(|message| !lines.iter().any(|line| message.is(line))) {
                report.wrong.push(format!("nobody said {:?} to {to}", stray.body));
            }
            if let Some(message) = heard.next_if(|message| message.is(line)) {
                report.took.push(message.at.saturating_duration_since(*ended));
            } else {
                report.cut += 1;
                report.wrong.push(format!("not heard in its place: {line:?}"));
            }
        }
        report.wrong.extend(heard.map(|message| format!("nobody said {:?} to {to}", message.body)));
    }
    report
}

struct Client {
    stream: TcpStream,
    told: String,
}

impl Client {
    async fn connect(server: SocketAddr, is_nodelay: bool) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        stream.set_nodelay(is_nodelay).unwrap();
        Self { stream, told: String::new() }
    }

    async fn take(&mut self, step: &Step) {
        match step.wait {
            Wait::Nothing => {}
            // The pace of a client is what is tested.
            Wait::Pause(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Wait::Prompt => self.until(PROMPT).await,
            Wait::Greeting => self.until("\n").await,
        }
        self.stream.write_all(&step.bytes).await.unwrap();
    }

    async fn until(&mut self, text: &str) {
        while !self.told.contains(text) {
            assert!(self.read().await, "the server left; told {:?}", self.told);
        }
    }

    async fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        let count = read.expect("the server says nothing for too long").unwrap_or(0);
        self.told.push_str(&String::from_utf8_lossy(&buffer[..count]));
        count > 0
    }

    /// Sends no more; returns the server's output until it closed.
    async fn leave(mut self) -> String {
        // A broken connection has no more output.
        let _ = self.stream.shutdown().await;
        while self.read().await {}
        self.told
    }
}
