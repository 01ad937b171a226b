//! A real `mongod`, a replica set of one, for a test that runs on MongoDB.

use std::process::{Child, Command, Stdio};

use mongodb::bson::doc;

use super::{free_address, wait_for};

/// A running server in a directory of its own; dropped, it is ended.
pub struct Mongo {
    pub url: String,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Mongo {
    /// Starts one.
    pub fn start() -> Self {
        let program = std::env::var("P2P_TEST_MONGOD").unwrap_or_else(|_| "mongod".to_owned());
        let dir = tempfile::tempdir().unwrap();
        let address = free_address();
        let child = Command::new(&program)
            .args(["--replSet", "rs0", "--bind_ip", &address.ip().to_string()])
            .args(["--port", &address.port().to_string(), "--dbpath"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start ({error}); ./test.sh brings one"));
        let mongo = Self { url: format!("mongodb://{address}/?replicaSet=rs0"), child, _dir: dir };
        wait_for("mongod to listen", || std::net::TcpStream::connect(address).ok());
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(initiate(address));
        mongo
    }
}

async fn initiate(address: std::net::SocketAddr) {
    let options =
        mongodb::options::ClientOptions::parse(format!("mongodb://{address}/?directConnection=true"));
    let client = mongodb::Client::with_options(options.await.unwrap()).unwrap();
    let admin = client.database("admin");
    let config = doc! { "_id": "rs0", "members": [{ "_id": 0, "host": address.to_string() }] };
    admin.run_command(doc! { "replSetInitiate": config }).await.unwrap();
    while !admin
        .run_command(doc! { "hello": 1 })
        .await
        .unwrap()
        .get_bool("isWritablePrimary")
        .unwrap_or(false)
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

impl Drop for Mongo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
