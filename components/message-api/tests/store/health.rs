//! What `/readyz` reports of a store that cannot be used, and how soon.

use std::io::{Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kit::{Context, Notifier, Secret};
use message_api::StoreConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, draft};
use crate::mongod::{Mongod, until};

/// A running message API; stopped when dropped.
struct Api {
    address: SocketAddr,
    shutdown: CancellationToken,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Api {
    async fn serve(url: &str, data: &Path) -> Self {
        let this = Self::start(url, data).await;
        until("it serves", async || this.ask("GET /readyz", "").await.starts_with("HTTP/1.1 200")).await;
        this
    }

    /// Without waiting for readiness, which may never come.
    async fn start(url: &str, data: &Path) -> Self {
        let listener = kit::listen::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let context = Context {
            shutdown: shutdown.clone(),
            notifier: Notifier::default(),
            service_token: Secret::new("token".to_owned()),
            data: data.to_owned(),
        };
        let store = StoreConfig { url: url.to_owned(), ..StoreConfig::default() };
        tokio::spawn(message_api::serve(listener, store, Vec::new(), context));
        Self { address, shutdown }
    }

    /// The complete answer; empty if there is none.
    async fn ask(&self, request: &str, body: &str) -> String {
        let request = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let asking = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        asking.await.unwrap_or_default()
    }

    /// Waits until it is not ready for this reason, and returns how long that took.
    async fn unready(&self, reason: &str) -> Duration {
        let begun = Instant::now();
        until(reason, async || self.ask("GET /readyz", "").await.contains(reason)).await;
        begun.elapsed()
    }

    async fn ready(&self) {
        until("it is ready", async || self.ask("GET /readyz", "").await.ends_with("\r\n\r\nready\n")).await;
    }

    async fn post(&self) -> String {
        let body = r#"{"sender":"alice","destination":"bob","message":"hi"}"#;
        self.ask("POST /messages/", body).await
    }

    async fn failed(&self) -> u64 {
        let metrics = self.ask("GET /metrics", "").await;
        let line = metrics.lines().find_map(|line| line.strip_prefix("message_api_failed_total "));
        line.unwrap().parse().unwrap()
    }
}

/// The documented bound is five seconds; the rest is for a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// A `sqlite3` that holds the write lock until it is dropped.
struct Locked(Child);

impl Locked {
    fn hold(path: &Path) -> Self {
        let mut child = Command::new("sqlite3")
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sqlite3 can be run");
        let sql = "BEGIN IMMEDIATE; SELECT 'held';\n";
        child.stdin.as_mut().unwrap().write_all(sql.as_bytes()).unwrap();
        let mut said = [0; 4];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        Self(child)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_held_by_another_program_is_reported_and_failures_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let api = Api::serve("sqlite:chat.db", directory.path()).await;
    let path = directory.path().join("chat.db");
    let lock = Locked::hold(&path);
    let took = api.unready("another program holds a lock on the database file").await;
    assert!(took < SOON, "nobody writes, and it took {took:?}");
    // A client that disconnects before the answer is counted as well.
    let mut gone = TcpStream::connect(api.address).await.unwrap();
    let body = r#"{"sender":"alice","destination":"bob","message":"gone"}"#;
    let request = format!(
        "POST /messages/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    gone.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(gone);
    until("the failure is counted", async || api.failed().await == 1).await;
    let answer = api.post().await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("another program holds"), "{answer}");
    assert_eq!(api.failed().await, 2);
    drop(lock);
    api.ready().await;
    assert!(api.post().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_file_is_reported_even_without_writes() {
    let directory = tempfile::tempdir().unwrap();
    let api = Api::serve("sqlite:chat.db", directory.path()).await;
    std::fs::remove_file(directory.path().join("chat.db")).unwrap();
    let took = api.unready("chat.db' was moved or deleted while in use").await;
    assert!(took < SOON, "it took {took:?}");
    assert!(api.post().await.starts_with("HTTP/1.1 503"));
}

/// Overwrites pages of the table of events, which fill the second half of the file.
fn damage(path: &Path) {
    let length = std::fs::metadata(path).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(length / 2 / 1024 * 1024)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from(length / 4).unwrap()]).unwrap();
    file.sync_all().unwrap();
}

async fn fill(directory: &Path) {
    let bench = Bench { config: StoreConfig::default(), data: directory.to_owned() };
    let opened = bench.open().await;
    for _ in 0..10 {
        let drafts = (0..200).map(|n| draft("alice", "bob", &format!("{n} {}", "x".repeat(300))));
        opened.append(drafts.collect()).await;
    }
    opened.store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pages_are_reported_to_the_reader_and_the_operator() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path()).await;
    damage(&directory.path().join("chat.db"));
    let api = Api::serve("sqlite:chat.db", directory.path()).await;
    let asked = api.ask("GET /messages/bob", "").await;
    // Either its first page is damaged, or it breaks off: it never ends like a complete answer.
    assert!(!asked.contains("]}"), "{asked}");
    let took = api.unready("damaged").await;
    assert!(took < SOON, "it took {took:?}");
    let unread = api.ask("GET /messages/bob", "").await;
    assert!(!unread.contains("]}"), "what could not be read is not marked as read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_unclean_end_all_of_the_file_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path()).await;
    let path = directory.path().join("chat.db");
    damage(&path);
    // A killed process leaves the log of one more message.
    let aside = tempfile::tempdir().unwrap();
    let bench = Bench { config: StoreConfig::default(), data: directory.path().to_owned() };
    let opened = bench.open().await;
    opened.say("carol", "dave", "one more").await;
    for name in ["chat.db", "chat.db-wal"] {
        std::fs::copy(directory.path().join(name), aside.path().join(name)).unwrap();
    }
    // The check may have finished before anybody asks for readiness.
    let api = Api::start("sqlite:chat.db", aside.path()).await;
    let took = api.unready("the store is damaged (").await;
    assert!(took < SOON, "it took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_set_without_a_majority_is_reported() {
    let Some([first, second, third]) = Mongod::start_three().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let hosts = [&first, &second, &third].map(Mongod::host).join(",");
    let api = Api::serve(&format!("mongodb://{hosts}/majority?replicaSet=test"), directory.path()).await;
    assert!(api.post().await.starts_with("HTTP/1.1 200"));
    drop((second, third));
    let took = api.unready("not ready: ").await;
    assert!(took < SOON, "it took {took:?}");
    let failed = api.failed().await;
    let answer = api.post().await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert_eq!(api.failed().await, failed + 1);
}
