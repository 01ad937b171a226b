//! Real `mongod` processes, a replica set, for a test that runs on MongoDB.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mongodb::bson::{Document, doc};

use super::{free_address, wait_for};

/// A replica set of servers in directories of their own; killed when dropped.
pub struct Mongo {
    pub url: String,
    members: Vec<Member>,
}

/// What makes a server one of a set.
const SET: [&str; 2] = ["--replSet", "rs0"];

struct Member {
    address: SocketAddr,
    dir: tempfile::TempDir,
    child: Child,
}

impl Mongo {
    /// Starts a set of one.
    pub fn start() -> Self {
        Self::start_members(1)
    }

    /// Starts a set of this many, which elects a new primary within seconds.
    pub fn start_members(count: usize) -> Self {
        let members: Vec<Member> = (0..count).map(|_| Member::start()).collect();
        for member in &members {
            wait_for("mongod to listen", || std::net::TcpStream::connect(member.address).ok());
        }
        let hosts: Vec<String> = members.iter().map(|member| member.address.to_string()).collect();
        let mongo = Self { url: format!("mongodb://{}/?replicaSet=rs0", hosts.join(",")), members };
        block_on(initiate(&hosts));
        mongo
    }

    /// A server that requires a login. Its users are `owner` with all rights, and `writer` and `reader` with these rights on the default
    /// database; each has the password `hunter22`. The URL has no user.
    pub fn start_with_logins() -> Self {
        let member = Member::start_with(&["--auth"]);
        wait_for("mongod to listen", || std::net::TcpStream::connect(member.address).ok());
        let host = member.address.to_string();
        block_on(create_users(&host));
        Self { url: format!("mongodb://{host}/"), members: vec![member] }
    }

    /// Inserts documents into a collection of the default database, like another program.
    pub fn insert(&self, collection: &str, documents: Vec<Document>) {
        block_on(async {
            let client = mongodb::Client::with_uri_str(&self.url).await.unwrap();
            let collection = client.database("messaging_db").collection::<Document>(collection);
            collection.insert_many(documents).await.unwrap();
        });
    }

    /// Sends every member a signal: `-STOP`, after which it accepts connections and answers nothing, or `-CONT`.
    pub fn signal(&self, signal: &str) {
        self.members.iter().for_each(|member| super::kill(member.child.id(), signal));
    }

    /// Kills every member; nothing starts them again.
    pub fn kill_all(&mut self) {
        for member in &mut self.members {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }

    /// Kills the primary, if there is one now, and restarts it.
    pub fn kill_primary(&mut self) {
        let is_primary = |member: &&mut Member| block_on(is_primary(&member.address.to_string()));
        if let Some(member) = self.members.iter_mut().find(is_primary) {
            let _ = member.child.kill();
            let _ = member.child.wait();
            member.child = Member::run(member.address, member.dir.path(), &SET);
        }
    }
}

impl Member {
    fn start() -> Self {
        Self::start_with(&SET)
    }

    fn start_with(arguments: &[&str]) -> Self {
        let (address, dir) = (free_address(), tempfile::tempdir().unwrap());
        let child = Self::run(address, dir.path(), arguments);
        Self { address, dir, child }
    }

    fn run(address: SocketAddr, dir: &Path, arguments: &[&str]) -> Child {
        let program = std::env::var("P2P_TEST_MONGOD").unwrap_or_else(|_| "mongod".to_owned());
        Command::new(&program)
            .args(arguments)
            .args(["--wiredTigerCacheSizeGB", "0.25"])
            .args(["--bind_ip", &address.ip().to_string(), "--port", &address.port().to_string()])
            .arg("--dbpath")
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start ({error}); ./test.sh brings one"))
    }
}

fn block_on<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what)
}

/// Connects to one member, whatever its role in the set.
async fn admin(host: &str) -> mongodb::Database {
    let url = format!("mongodb://{host}/?directConnection=true&serverSelectionTimeoutMS=2000");
    let options = mongodb::options::ClientOptions::parse(url).await.unwrap();
    mongodb::Client::with_options(options).unwrap().database("admin")
}

/// The first user is created without a login, which the server allows from its own machine while there is none.
async fn create_users(host: &str) {
    let user = |name: &str, role: &str, database: &str| {
        doc! { "createUser": name, "pwd": "hunter22", "roles": [{ "role": role, "db": database }] }
    };
    admin(host).await.run_command(user("owner", "root", "admin")).await.unwrap();
    let owner = admin(&format!("owner:hunter22@{host}")).await;
    owner.run_command(user("writer", "readWrite", "messaging_db")).await.unwrap();
    owner.run_command(user("reader", "read", "messaging_db")).await.unwrap();
}

async fn is_primary(host: &str) -> bool {
    let hello = admin(host).await.run_command(doc! { "hello": 1 }).await;
    hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
}

async fn initiate(hosts: &[String]) {
    let members: Vec<Document> =
        (0_i32..).zip(hosts).map(|(id, host)| doc! { "_id": id, "host": host }).collect();
    let settings = doc! { "electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 300 };
    let config = doc! { "_id": "rs0", "members": members, "settings": settings };
    admin(&hosts[0]).await.run_command(doc! { "replSetInitiate": config }).await.unwrap();
    loop {
        for host in hosts {
            if is_primary(host).await {
                return;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
