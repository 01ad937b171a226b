//! `launcher run lan-peer` on a host, and requests to it.

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::network::{Host, Network};
use crate::support::http::{self, Answer};
use crate::support::{self, Home, kill, stall, wait_for};

/// A running node; killed when dropped.
pub struct Node {
    pub host: Host,
    home: Home,
    settings: Vec<String>,
    child: Option<Child>,
}

impl Node {
    /// Starts a node, and waits until it is ready.
    pub fn start(host: Host, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut node = Self { host, home: Home::new(), settings, child: None };
        node.start_again();
        node
    }

    /// Restarts it on the same data.
    pub fn start_again(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.home.command(&["run", "lan-peer"]);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.stdout(Stdio::null()).stderr(log);
        self.child = Some(self.host.within(|| command.spawn().unwrap()));
        wait_for("the node to serve", || {
            self.host.within(|| std::net::TcpStream::connect(page())).ok().map(drop)
        });
    }

    fn log_path(&self) -> std::path::PathBuf {
        self.home.dir.path().join("node.log")
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    /// Its data directory.
    pub fn data(&self) -> std::path::PathBuf {
        self.home.data()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it in order, and returns its exit status.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().unwrap();
        kill(child.id(), "-TERM");
        child.wait().unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = self.host.within(|| http::get(page(), path));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.host.within(|| http::post(page(), path, &body.to_string()))
    }

    /// `POST /send` of the legacy API.
    pub fn send_to(&self, ip: &str, text: &str) -> Answer {
        self.post("/send", &json!({"ip": ip, "msg": text}))
    }

    /// The texts that it received.
    pub fn texts(&self) -> Vec<String> {
        serde_json::from_value(self.get("/messages")).unwrap()
    }

    /// Whether its legacy API lists this address as online.
    pub fn sees(&self, ip: &str) -> bool {
        self.get("/peers").get(ip).is_some()
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.get("/api/v1/overview")["me"]["id"].as_str().unwrap().to_owned()
    }

    /// Its view of a peer.
    pub fn peer(&self, key: &str) -> Option<Value> {
        let overview = self.get("/api/v1/overview");
        overview["peers"].as_array().unwrap().iter().find(|peer| peer["key"] == key).cloned()
    }

    /// Whether it is connected with a peer.
    pub fn is_linked(&self, key: &str) -> bool {
        self.peer(key).is_some_and(|peer| peer["online"] == true)
    }

    /// Sends a text to a peer, which must be accepted.
    pub fn say(&self, key: &str, text: &str) {
        let answer = self.post("/api/v1/send", &json!({"peer": key, "text": text}));
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Waits until exactly these texts have been received, in this order.
    pub fn wait_for_texts(&self, texts: &[String]) {
        let deadline = Instant::now() + 2 * support::PATIENCE;
        let mut had = Vec::new();
        while Instant::now() < deadline {
            had = self.texts();
            if had == texts {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{} came, not these {}: {had:?}", had.len(), texts.len());
    }

    /// `launcher lan` on its host: exit status and output.
    pub fn lan(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.home.command(&["lan"]);
        command.args(arguments);
        let output = self.host.within(|| command.output().unwrap());
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// `launcher lan watch` on its host, once it follows.
    pub fn watch(&self) -> Child {
        let before = self.metric("followers");
        let mut command = self.home.command(&["lan", "watch"]);
        let child = self.host.within(|| command.spawn().unwrap());
        wait_for("somebody to follow", || (self.metric("followers") > before).then_some(()));
        child
    }

    /// A number of `/metrics`.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.host.within(|| http::get(page(), "/metrics")).body;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("lan_peer_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    /// Asserts that no task occupied a worker thread for long.
    pub fn holds_no_worker(&self) {
        let held = stall::worst(&self.host.within(|| http::get(page(), "/metrics")).body);
        assert!(held <= stall::MOST, "a task held a worker for {held:?}");
    }

    /// Waits until a number has reached a value.
    pub fn wait_for_metric(&self, name: &str, value: u64) {
        wait_for(&format!("{name} to be {value}"), || (self.metric(name) >= value).then_some(()));
    }

    /// Its CPU time so far, in milliseconds.
    pub fn cpu_millis(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = [11, 12].iter().map(|field| fields[*field].parse::<u64>().unwrap()).sum();
        ticks * 1000 / rustix::param::clock_ticks_per_second()
    }

    /// Its current memory, in KiB.
    pub fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("== the node at {}\n{}", self.host.ip, self.log());
        }
        self.kill();
    }
}

/// Waits until both are connected, and returns how long that took.
pub fn until_linked(one: &Node, other: &Node) -> Duration {
    let begun = Instant::now();
    let (one_id, other_id) = (one.id(), other.id());
    wait_for("two nodes to be connected", || {
        (one.is_linked(&other_id) && other.is_linked(&one_id)).then_some(())
    });
    begun.elapsed()
}

/// A peer known to `node` on the second host, stopped again. It alone dials: it receives no announcements, and has another port each time.
pub fn known_and_gone(network: &Network, node: &Node) -> Node {
    let alone = [
        "lan-peer.mdns=false",
        "lan-peer.udp-port=5001",
        "lan-peer.secure-port=0",
        r#"lan-peer.peers=["10.77.0.1"]"#,
    ];
    let mut known = Node::start(network.host(2), &alone);
    until_linked(node, &known);
    node.say(&known.id(), "hello");
    known.wait_for_texts(&["hello".to_owned()]);
    known.stop();
    known
}

/// The same; if it takes more than a second the other is restarted, because other tests run concurrently: the best of three counts.
pub fn best_of_three(one: &Node, other: &mut Node) -> Duration {
    let mut took = until_linked(one, other);
    for _ in 0..2 {
        if took > Duration::from_secs(1) {
            other.stop();
            other.start_again();
            took = took.min(until_linked(one, other));
        }
    }
    took
}

/// The address of its page on its own host.
pub fn page() -> SocketAddr {
    ([127, 0, 0, 1], 8001).into()
}

/// Like [`support::http::request`], as a program on the node's host.
pub fn request(node: &Node, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    node.host.within(|| http::request(page(), "POST", path, headers, body))
}
