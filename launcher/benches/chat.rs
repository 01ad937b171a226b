//! How fast the whole system is, through its one binary, on this machine's disk: `cargo bench -p launcher`.
//!
//! Prints, in one run: bare SQLite commits as the ceiling, messages acknowledged per second, the latency of a relayed message, the
//! time of a start, and the memory of the components. Everything is bounded in count and time, and talks to loopback only.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a developer's terminal")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SENDERS: usize = 200;
const BODY: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(5);
const RELAYED: usize = 2000;
const STARTS: usize = 7;

fn main() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let ceiling = [1, 100].map(|batch| (batch, bare_sqlite(&dir.join(format!("bare-{batch}.db")), batch)));
    for (batch, rate) in ceiling {
        println!("bare SQLite, WAL, synchronous=FULL, {batch:>3} rows a commit   {rate:>9.0} rows/s");
    }
    starts(&dir);
    let system = System::start(&dir.join("system"));
    println!("memory of the five components together (PSS)           {:>9.1} MiB", system.pss_mib());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for window in [1, 8, 32] {
        let rate = runtime.block_on(acknowledged(system.chat, window));
        println!(
            "acknowledged and fsynced, {SENDERS} senders, {window:>2} under way each {rate:>9.0} messages/s  {:>4.0} % of bare commits",
            100.0 * rate / ceiling[1].1
        );
    }
    let mut times = runtime.block_on(relayed(system.chat));
    times.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = (times.len() as f64 * share) as usize;
        times[place].as_secs_f64() * 1e3
    };
    let commit = 1e3 / ceiling[0].1;
    println!(
        "one relayed message alone                              {:>9.2} ms p50   {:.2} ms p99   (one bare commit: {commit:.2} ms)",
        at(0.5),
        at(0.99)
    );
    drop(system);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Rows a second that SQLite itself commits, with the columns and indexes that a message needs.
fn bare_sqlite(path: &Path, batch: usize) -> f64 {
    let mut database = rusqlite::Connection::open(path).unwrap();
    database.pragma_update(None, "journal_mode", "wal").unwrap();
    database.pragma_update(None, "synchronous", "full").unwrap();
    let schema = "CREATE TABLE event (pos INTEGER PRIMARY KEY, conversation INTEGER, seq INTEGER, sender INTEGER, recipient INTEGER,
        client_id TEXT, body TEXT, UNIQUE (conversation, seq), UNIQUE (client_id, sender))";
    database.execute_batch(schema).unwrap();
    let body = "x".repeat(BODY);
    let (begun, mut rows) = (Instant::now(), 0_u32);
    while begun.elapsed() < Duration::from_secs(3) {
        let transaction = database.transaction().unwrap();
        for _ in 0..batch {
            let insert = "INSERT INTO event (conversation, seq, sender, recipient, client_id, body) VALUES (?, ?, ?, ?, ?, ?)";
            let mut insert = transaction.prepare_cached(insert).unwrap();
            insert
                .execute((rows % 200, rows / 200, rows % 200, rows % 200, format!("{rows:032x}"), &body))
                .unwrap();
            rows += 1;
        }
        transaction.commit().unwrap();
    }
    f64::from(rows) / begun.elapsed().as_secs_f64()
}

/// From the start of the process to the table that says that everything is ready.
fn starts(dir: &Path) {
    let mut times: Vec<Duration> = (0..STARTS)
        .map(|n| {
            let begun = Instant::now();
            let system = System::start(&dir.join(format!("start-{n}")));
            let took = begun.elapsed();
            drop(system);
            took
        })
        .collect();
    times.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "start to everything ready, on an empty directory        {:>8.0} ms median  ({:.0} to {:.0}, {STARTS} starts)",
        millis(times[STARTS / 2]),
        millis(times[0]),
        millis(times[STARTS - 1])
    );
}

/// A running launcher with all five components.
struct System {
    child: Child,
    chat: SocketAddr,
    dir: PathBuf,
}

impl System {
    fn start(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (api, chat, page) = (free(), free(), free());
        let mut command = Self::command(dir);
        command.env("OPENAI_API_KEY", "none").env_remove("MONGO_URL");
        for setting in [
            format!("message-api.listen={api}"),
            format!("chat-server.listen={chat}"),
            format!("web-adapter.listen={page}"),
            "chat-server.messages-per-second=0".to_owned(),
            "chat-server.book=false".to_owned(),
        ] {
            command.arg("--set").arg(setting);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("stop ")), "the launcher ended early");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, chat, dir: dir.to_owned() }
    }

    fn command(dir: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
        command.current_dir(dir).arg("--data").arg(dir.join("data")).arg("--logs").arg(dir.join("logs"));
        command
    }

    fn pss_mib(&self) -> f64 {
        let output = Self::command(&self.dir).args(["status", "--json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let pids: Vec<u64> =
            status["components"].as_array().unwrap().iter().filter_map(|c| c["pid"].as_u64()).collect();
        assert_eq!(pids.len(), 5, "{status}");
        let kib: u32 = pids.iter().map(|pid| pss_kib(*pid)).sum();
        f64::from(kib) / 1024.0
    }
}

fn pss_kib(pid: u64) -> u32 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// A native session that is past its greeting.
async fn login(chat: SocketAddr, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(chat).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let hello =
        format!("{{\"type\":\"hello\",\"name\":\"{name}\",\"presence\":false,\"conversations\":false}}\n");
    stream.write_all(hello.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(13).any(|part| part == b"\"type\":\"live\"") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
    }
    stream
}

/// Messages acknowledged per second by senders that each keep `window` of them under way, to receivers who are away.
async fn acknowledged(chat: SocketAddr, window: usize) -> f64 {
    let count = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let stream = login(chat, &format!("s{window}-{sender}")).await;
        tasks.spawn(send_for_ever(stream, sender, window, Arc::clone(&count)));
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, begun) = (count.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(MEASURED).await;
    let stored = u32::try_from(count.load(Ordering::Relaxed) - before).unwrap();
    f64::from(stored) / begun.elapsed().as_secs_f64()
}

async fn send_for_ever(mut stream: TcpStream, sender: usize, window: usize, count: Arc<AtomicU64>) {
    let body = "x".repeat(BODY);
    let mut sent = 0_u64;
    let mut frames = |wanted: usize| {
        let mut frames = String::new();
        for _ in 0..wanted {
            sent += 1;
            frames.push_str(&format!(
                "{{\"type\":\"send\",\"client_id\":\"{sent:x}\",\"to\":\"r{sender}\",\"body\":\"{body}\"}}\n"
            ));
        }
        frames
    };
    stream.write_all(frames(window).as_bytes()).await.unwrap();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        let lines = buffer[..read].iter().filter(|byte| **byte == b'\n').count();
        let refused = memchr::memmem::find(&buffer[..read], b"\"type\":\"error\"").is_some();
        assert!(read > 0 && !refused, "{}", String::from_utf8_lossy(&buffer[..read]));
        count.fetch_add(lines as u64, Ordering::Relaxed);
        stream.write_all(frames(lines).as_bytes()).await.unwrap();
    }
}

/// How long each of many messages takes from its sender's socket to its receiver's, one at a time.
async fn relayed(chat: SocketAddr) -> Vec<Duration> {
    let mut receiver = login(chat, "receiver").await;
    let mut sender = login(chat, "sender").await;
    let body = "x".repeat(BODY);
    let mut times = Vec::with_capacity(RELAYED);
    for n in 0..RELAYED {
        let frame = format!(
            "{{\"type\":\"send\",\"client_id\":\"{n:x}\",\"to\":\"receiver\",\"body\":\"{body}\"}}\n"
        );
        let begun = Instant::now();
        sender.write_all(frame.as_bytes()).await.unwrap();
        line(&mut receiver).await;
        times.push(begun.elapsed());
        line(&mut sender).await;
    }
    times
}

async fn line(stream: &mut TcpStream) {
    let mut buffer = Vec::with_capacity(1024);
    while !buffer.ends_with(b"\n") {
        assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
    }
}
