//! Many strangers with new keys: the bounds on their resources, and that known peers are not affected. `P2P_LONG=1` fills the default
//! bounds.

use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::lan::NodeId;
use rusqlite::{Connection, OpenFlags};

use crate::network::{Host, Network};
use crate::node::{Node, known_and_gone, until_linked};
use crate::stranger::Stranger;
use crate::support::dice::is_long;
use crate::support::{kill, wait_for};

const HANDSHAKES: &str = include_str!("handshakes.py");
/// The maximum number of connected strangers from one address.
const PER_ADDRESS: u32 = 16;
/// Messages that each side sends to the other while the strangers send.
const SAID: usize = 20;

/// Keys that send as fast as they can until they are stopped.
struct Attack {
    ends: Vec<Box<dyn FnOnce()>>,
    senders: Vec<JoinHandle<()>>,
    ids: Vec<NodeId>,
}

impl Attack {
    /// As many keys as may be connected from each of these addresses of a host.
    fn begin(network: &Network, host: u32, addresses: std::ops::Range<u32>) -> Self {
        network.also_at(host, addresses.clone());
        let mut attack = Self { ends: Vec::new(), senders: Vec::new(), ids: Vec::new() };
        let (host, text) = (network.host(host), "x".repeat(16 * 1024));
        for _ in 0..PER_ADDRESS {
            for address in addresses.clone() {
                let mut stranger = connect(&host, &format!("10.77.0.{address}"));
                stranger.hello(&format!("stranger {}", attack.ids.len())).unwrap();
                attack.ends.push(Box::new(stranger.end()));
                attack.ids.push(stranger.id);
                let text = text.clone();
                let send = move || while_taken(&mut stranger, &text);
                attack.senders.push(std::thread::spawn(send));
            }
        }
        attack
    }

    fn end(self) -> Vec<NodeId> {
        self.ends.into_iter().for_each(|end| end());
        self.senders.into_iter().for_each(|sender| sender.join().unwrap());
        self.ids
    }
}

/// A stranger that connects too often is rejected for a moment.
fn connect(host: &Host, from: &str) -> Stranger {
    wait_for("a stranger to be let in", || Stranger::connect(host, from, "10.77.0.1").ok())
}

fn while_taken(stranger: &mut Stranger, text: &str) {
    let mut seq = 1;
    while stranger.message(seq, &format!("{seq} {}", &text[8..])).is_ok() {
        seq += 1;
    }
}

/// The numbers at the beginning of the stored texts of a peer.
fn kept(store: &Connection, peer: &NodeId) -> Vec<u64> {
    let sql = "SELECT body FROM messages WHERE peer = ?1 AND outgoing = 0 ORDER BY row";
    let mut statement = store.prepare(sql).unwrap();
    let texts = statement.query_map([peer.to_string()], |row| row.get::<_, String>(0)).unwrap();
    texts.map(|text| text.unwrap().split(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn strangers_that_fill_their_room_keep_nobody_out_whom_people_know() {
    let Some(network) = Network::of(3) else { return };
    let settings = if is_long() { vec![] } else { vec!["lan-peer.strangers-mib=2"] };
    let most: u64 = if is_long() { 64 << 20 } else { 2 << 20 };
    let mut node = Node::start(network.host(1), &settings);
    let known = Node::start(network.host(2), &[]);
    until_linked(&node, &known);
    node.say(&known.id(), "before");
    known.say(&node.id(), "before");
    node.wait_for_texts(&["before".to_owned()]);

    let attack = Attack::begin(&network, 3, 100..103);
    node.wait_for_metric("strangers_dropped_total", 64);
    let (mut said, mut worst) = (vec!["before".to_owned()], Duration::ZERO);
    for n in 1..=SAID {
        said.push(format!("{n}"));
        worst = worst.max(exchange(&node, &known, &said));
    }
    eprintln!("with {} strangers sending, there and back took {worst:?} at most", attack.ids.len());
    assert!(worst < Duration::from_secs(5), "{worst:?}");
    node.holds_no_worker();
    let ids = attack.end();
    wait_for("the strangers to be gone", || (node.metric("connected") == 1).then_some(()));

    let (dropped, log) = (node.metric("strangers_dropped_total"), node.log());
    assert!(node.stop().success());
    let store =
        Connection::open_with_flags(node.data().join("lan-peer.db"), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let store = store.unwrap();
    let (mut total, mut lost) = (0, 0);
    for id in &ids {
        let numbers = kept(&store, id);
        let bytes = number(
            &store,
            "SELECT coalesce(sum(octet_length(body) + 512), 0) FROM messages WHERE peer = ?1",
            id,
        );
        // Its oldest messages were deleted, and no others.
        let had = number(&store, "SELECT in_seq FROM peers WHERE key = ?1", id);
        let lost_here = had - numbers.len() as u64;
        assert!(numbers.iter().copied().eq(lost_here + 1..=had), "{numbers:?} of {had}");
        assert!(had == 0 || !numbers.is_empty(), "a stranger has lost all it said");
        lost += lost_here;
        total += bytes;
        assert!(bytes <= most / 32, "one stranger has {bytes} bytes");
    }
    eprintln!("{total} bytes of {} strangers are kept, {dropped} messages were deleted", ids.len());
    assert!(total <= most && total > most / 2, "{total} bytes");
    assert_eq!(lost, dropped, "what was counted is what is gone");
    // The log: nothing else, and no more than is true.
    assert!(!log.contains("neither stored nor acknowledged"), "{log}");
    let told: u64 = log
        .lines()
        .filter_map(|line| line.split("deleted=").nth(1)?.split(' ').next()?.parse::<u64>().ok())
        .sum();
    assert!(told > 0 && told <= dropped, "{told} of {dropped}\n{log}");
    let known_id: NodeId = known.id().parse().unwrap();
    let count = number(&store, "SELECT count(*) FROM messages WHERE peer = ?1", &known_id);
    assert_eq!(count, 2 * said.len() as u64, "all that was said with whom people know is there");
}

/// A query's answer about a peer.
fn number(store: &Connection, sql: &str, peer: &NodeId) -> u64 {
    store.query_row(sql, [peer.to_string()], |row| row.get(0)).unwrap()
}

/// Both send the last of these to each other; returns how long until both have it.
fn exchange(node: &Node, known: &Node, said: &[String]) -> Duration {
    let begun = Instant::now();
    let text = said.last().unwrap();
    known.say(&node.id(), text);
    node.say(&known.id(), text);
    known.wait_for_texts(said);
    let path = format!("/api/v1/history?peer={}", known.id());
    wait_for("the message of whom people know", || {
        let history = node.get(&path);
        let mut came = history.as_array().unwrap().iter().filter(|entry| entry["state"] == "received");
        (came.next_back()?["body"] == text.as_str()).then_some(())
    });
    begun.elapsed()
}

#[test]
fn whom_people_know_gets_in_from_a_new_address_while_all_places_for_handshakes_are_taken() {
    let Some(network) = Network::of(3) else { return };
    let node = Node::start(network.host(1), &["lan-peer.mdns=false"]);
    let mut known = known_and_gone(&network, &node);
    known.host = network.move_host(2, 50);
    network.also_at(3, 100..340);
    let mut command = Command::new("python3");
    command.args(["-c", HANDSHAKES, "10.77.0.1", "1500", "40", "47600"]).stdout(Stdio::piped());
    let mut flood = network.host(3).within(|| command.spawn().unwrap());
    node.wait_for_metric("refused_total", 2500);
    known.start_again();
    let linked = until_linked(&node, &known);
    let is_still_flooded = flood.try_wait().unwrap().is_none();
    kill(flood.id(), "-KILL");
    flood.wait().unwrap();
    eprintln!("connected from a new address after {linked:?}");
    node.holds_no_worker();
    assert!(is_still_flooded && linked < Duration::from_secs(5), "{linked:?}");
}

#[test]
fn those_who_do_not_say_who_they_are_are_few_and_not_for_long() {
    let Some(network) = Network::of(2) else { return };
    network.also_at(2, 100..130);
    let node = Node::start(network.host(1), &["lan-peer.mdns=false"]);
    let host = network.host(2);
    let mut silent: Vec<Stranger> = Vec::new();
    for address in (100..130).cycle().take(120) {
        silent.extend(Stranger::connect(&host, &format!("10.77.0.{address}"), "10.77.0.1"));
    }
    let held = silent.iter_mut().filter_map(|one| one.is_held().then_some(())).count();
    eprintln!("{} handshakes, {held} of them held without a word", silent.len());
    assert!(silent.len() >= 64 && held <= 64, "{held} of {}", silent.len());
    let begun = Instant::now();
    wait_for("them to be cut off", || (!silent.iter_mut().any(Stranger::is_held)).then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(node.metric("handshakes"), 0);
}
