//! A real `mongod` of our own: `$P2P_TEST_MONGOD`, or `target/tools/mongod`, or the one on the `PATH`; on a free port with a
//! temporary directory, as a replica set of one.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bson::doc;
use mongodb::Client;

/// A running server; it is killed and its data deleted when this is dropped.
pub(crate) struct Mongod {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Mongod {
    /// Starts one and waits until it takes writes. `None` when the tests were told to do without.
    ///
    /// # Panics
    /// When there is none and `P2P_TEST_SKIP_MONGO=1` is not set: a test that does not run is not one that passes.
    pub(crate) async fn start() -> Option<Self> {
        if std::env::var("P2P_TEST_SKIP_MONGO").is_ok_and(|skip| skip == "1") {
            #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
            {
                eprintln!("P2P_TEST_SKIP_MONGO=1: nothing is tested on MongoDB");
            }
            return None;
        }
        let program = program();
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = spawn(&program, directory.path(), port);
        let mut this = Self { process, port, directory };
        this.initiate().await;
        Some(this)
    }

    /// The URL of a database of its own.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}?directConnection=true", self.port)
    }

    /// Kills the server as a power failure of its process would, and starts it again on the same data.
    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(&program(), self.directory.path(), self.port);
    }

    async fn initiate(&mut self) {
        let client = Client::with_uri_str(self.url("admin")).await.unwrap();
        let admin = client.database("admin");
        let member = format!("127.0.0.1:{}", self.port);
        let config = doc! { "_id": "test", "members": [{ "_id": 0, "host": member }] };
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(Instant::now() < deadline, "mongod did not become ready within 30 s");
            assert!(self.process.try_wait().unwrap().is_none(), "mongod ended at once");
            // Refused while it starts, and as already done the next time round.
            let _ = admin.run_command(doc! { "replSetInitiate": config.clone() }).await;
            let hello = admin.run_command(doc! { "hello": 1 }).await;
            if hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(program: &Path, directory: &Path, port: u16) -> Child {
    let mut command = Command::new(program);
    command.args([
        "--bind_ip",
        "127.0.0.1",
        "--replSet",
        "test",
        "--wiredTigerCacheSizeGB",
        "0.25",
        "--port",
    ]);
    command.arg(port.to_string()).arg("--dbpath").arg(directory);
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
