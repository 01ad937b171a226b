//! A real `mongod` of our own: `$P2P_TEST_MONGOD`, or `target/tools/mongod`, or the one on the `PATH`; on a free port with a
//! temporary directory, alone or in a replica set.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bson::{Document, doc};
use mongodb::Client;

/// A running server; killed, with its data deleted, when dropped.
pub(crate) struct Mongod {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
    arguments: &'static [&'static str],
}

const MEMBER: &[&str] = &["--replSet", "test"];
/// A member that a test can control.
const PUPPET: &[&str] = &["--replSet", "test", "--setParameter", "enableTestCommands=1"];

impl Mongod {
    /// Starts a replica set of one and waits until it accepts writes. `None` if MongoDB is skipped.
    ///
    /// # Panics
    /// If there is none and `P2P_TEST_SKIP_MONGO=1` is not set: a test that does not run is not one that passes.
    pub(crate) async fn start() -> Option<Self> {
        let mut this = Self::launch(MEMBER)?;
        initiate(std::slice::from_mut(&mut this)).await;
        Some(this)
    }

    /// The same with a standalone server.
    pub(crate) async fn start_alone() -> Option<Self> {
        let this = Self::launch(&[])?;
        until("mongod is ready", async || this.is_primary().await).await;
        Some(this)
    }

    /// The same with a set of three, which support [`switch`](Self::switch).
    pub(crate) async fn start_three() -> Option<[Self; 3]> {
        let mut three = [Self::launch(PUPPET)?, Self::launch(PUPPET)?, Self::launch(PUPPET)?];
        initiate(&mut three).await;
        Some(three)
    }

    /// A set of one that can be made to [fail](Self::fail).
    pub(crate) async fn start_puppet() -> Option<Self> {
        let mut this = Self::launch(PUPPET)?;
        initiate(std::slice::from_mut(&mut this)).await;
        Some(this)
    }

    fn launch(arguments: &'static [&'static str]) -> Option<Self> {
        if std::env::var("P2P_TEST_SKIP_MONGO").is_ok_and(|skip| skip == "1") {
            #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
            {
                eprintln!("P2P_TEST_SKIP_MONGO=1: nothing is tested on MongoDB");
            }
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = spawn(&program(), directory.path(), port, arguments);
        Some(Self { process, port, directory, arguments })
    }

    /// The URL of a database of its own.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}?directConnection=true", self.port)
    }

    /// Kills the server as a power failure of its process would, and starts it again on the same data.
    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(&program(), self.directory.path(), self.port, self.arguments);
    }

    /// As the others name it.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs a command on this server, whatever its role in the set.
    pub(crate) async fn run(&self, command: Document) -> mongodb::error::Result<Document> {
        let client = Client::with_uri_str(self.url("admin")).await.unwrap();
        client.database("admin").run_command(command).await
    }

    pub(crate) async fn is_primary(&self) -> bool {
        let hello = self.run(doc! { "hello": 1 }).await;
        hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
    }

    /// Enables or disables a fail point of the server.
    pub(crate) async fn switch(&self, point: &str, on: bool) {
        let mode = if on { "alwaysOn" } else { "off" };
        self.run(doc! { "configureFailPoint": point, "mode": mode }).await.unwrap();
    }

    /// Makes all writes into a collection fail after the first ones from now on. Returns how often any failed before.
    pub(crate) async fn fail(&self, collection: &str, but: i32) -> i64 {
        let data = doc! { "failCommands": ["insert", "update"], "namespace": collection, "errorCode": 11601 };
        let fail = doc! { "configureFailPoint": "failCommand", "mode": { "skip": but }, "data": data };
        let answer = self.run(fail).await.unwrap();
        answer.get_i64("count").unwrap_or_else(|_| answer.get_i32("count").unwrap().into())
    }

    /// Waits until a write failed since then, and lets them succeed again after `then`.
    pub(crate) async fn has_failed(&self, before: i64, then: impl FnOnce()) {
        let wait =
            doc! { "waitForFailPoint": "failCommand", "timesEntered": before + 1, "maxTimeMS": 30_000 };
        self.run(wait).await.unwrap();
        then();
        self.switch("failCommand", false).await;
    }

    /// Makes this server the primary.
    pub(crate) async fn step_up(&self) {
        // Rejected while it is not as far as the others.
        until("the server is elected", async || {
            let _ = self.run(doc! { "replSetStepUp": 1 }).await;
            self.is_primary().await
        })
        .await;
    }
}

/// Makes a replica set of these servers; the first is its primary.
async fn initiate(members: &mut [Mongod]) {
    let hosts = (0_i32..).zip(&*members).map(|(id, member)| doc! { "_id": id, "host": member.host() });
    let settings = doc! { "heartbeatIntervalMillis": 200 };
    let config = doc! { "_id": "test", "members": hosts.collect::<Vec<_>>(), "settings": settings };
    until("the servers are ready", async || {
        let ended = members.iter_mut().any(|member| member.process.try_wait().unwrap().is_some());
        assert!(!ended, "mongod ended at once");
        // Rejected while they start, and as already done at the next attempt. With several candidates none would be elected at once.
        let _ = members[0].run(doc! { "replSetInitiate": config.clone() }).await;
        let _ = members[0].run(doc! { "replSetStepUp": 1 }).await;
        members[0].is_primary().await
    })
    .await;
}

/// Waits until a condition is true.
///
/// # Panics
/// If it is not within 30 s.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(program: &Path, directory: &Path, port: u16, arguments: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(["--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", "0.25", "--port"]);
    command.arg(port.to_string()).arg("--dbpath").arg(directory).args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mongod can be run")
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("P2P_TEST_MONGOD") {
        return named.into();
    }
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/mongod");
    if fetched.is_file() {
        return fetched;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|directory| directory.join("mongod")).find(|file| file.is_file());
    found.expect(
        "no mongod: ./test.sh fetches one; or name it in P2P_TEST_MONGOD, or set P2P_TEST_SKIP_MONGO=1 to do without",
    )
}
