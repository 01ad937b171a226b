//! The stream: what subscribers hear, and how many and how slow they may be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Console;
use crate::support::{PATIENCE, kill, wait_for};

/// One who listens.
struct Listener {
    reader: BufReader<TcpStream>,
    status: u16,
}

impl Listener {
    fn open(console: &Console, query: &str) -> Self {
        let mut stream = TcpStream::connect(console.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (address, bearer) = (console.address, console.bearer());
        write!(
            stream,
            "GET /api/v1/stream{query} HTTP/1.0\r\nHost: {address}\r\nAuthorization: {bearer}\r\n\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        reader.read_line(&mut head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        Self { reader, status }
    }

    /// The next message: its kind and its data; none at the end.
    fn next(&mut self) -> Option<(String, Value)> {
        let mut kind = String::new();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(name) = line.strip_prefix("event: ") {
                kind = name.trim_end().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((kind, serde_json::from_str(data).unwrap()));
            }
        }
    }

    /// Reads on until a message of this kind that is so.
    fn until(&mut self, kind: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let (found, value) = self.next().expect("the stream goes on");
            if found == kind && is_so(&value) {
                return value;
            }
        }
        panic!("no such {kind}")
    }
}

#[test]
fn a_subscriber_hears_states_events_and_the_log_lines_it_wants() {
    let console = Console::start("");
    let mut listener = Listener::open(&console, "?logs=talker");
    assert_eq!(listener.status, 200);
    listener.until("status", |status| status["healthy"] == true);
    let log = listener.until("log", |log| !log["lines"].as_array().unwrap().is_empty());
    assert_eq!((&log["component"], &log["lines"][0]["text"]), (&"talker".into(), &"tick".into()));
    let pid = u32::try_from(console.component("listener")["pid"].as_u64().unwrap()).unwrap();
    kill(pid, "-KILL");
    let event = listener.until("event", |event| event["to"] == "backoff");
    assert_eq!(event["component"], "listener");
    listener.until("event", |event| event["component"] == "listener" && event["to"] == "ready");
    listener.until("status", |status| {
        let components = status["components"].as_array().unwrap();
        components.iter().any(|it| it["name"] == "listener" && it["state"] == "ready" && it["restarts"] == 1)
    });
    // What was measured meanwhile is in the history.
    wait_for("the history", || {
        let at = console.json("/api/v1/history")["components"]["talker"]["at"].clone();
        at.as_array().is_some_and(|at| !at.is_empty()).then_some(())
    });
    let mut all = Listener::open(&console, "?logs=all");
    all.until("log", |log| log["component"] == "talker");
}

#[test]
fn a_name_leads_out_of_no_directory() {
    let console = Console::start("");
    let secret = console.launcher.home.dir.path().join("secret.log");
    std::fs::write(&secret, "first\n").unwrap();
    let mut listener = Listener::open(&console, "?logs=../secret,talker");
    assert_eq!(listener.status, 200);
    listener.until("log", |log| log["component"] == "talker");
    std::fs::write(&secret, "first\nsecond\n").unwrap();
    // Each look is at all of them.
    for _ in 0..5 {
        let log = listener.until("log", |_| true);
        assert_eq!(log["component"], "talker", "{log}");
    }
    assert_eq!(console.get("/api/v1/logs?component=../secret").status, 404);
    assert_eq!(console.get("/api/v1/components/..%2fsecret").status, 404);
}

#[test]
fn a_renewed_token_ends_the_streams_of_the_earlier_one() {
    let console = Console::start("");
    let mut listener = Listener::open(&console, "");
    listener.until("status", |_| true);
    crate::printed(&console.launcher, &["console", "--renew"]);
    let begun = Instant::now();
    while listener.next().is_some() {
        assert!(begun.elapsed() < PATIENCE, "the stream goes on");
    }
}

#[test]
fn there_are_so_many_streams_and_a_place_that_is_left_is_taken_again() {
    let console = Console::start("");
    let mut listeners: Vec<Listener> = (0..32).map(|_| Listener::open(&console, "?logs=all")).collect();
    assert!(listeners.iter().all(|listener| listener.status == 200));
    assert_eq!(Listener::open(&console, "").status, 503);
    assert_eq!(console.get("/api/v1/status").status, 200, "who asks is answered all the same");
    listeners.pop();
    wait_for("a place", || (Listener::open(&console, "").status == 200).then_some(()));
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_off_and_others_hear_on() {
    // Of each log no more than 64 KiB are told at once: there are several, so that the queue is full soon.
    let flood = "
[components.flood]
command = ['sh', '-c', 'while :; do yes $(printf %0999d) | head -c 80000; sleep 0.1; done']
replicas = 8
needs = []
";
    let console = Console::start(flood);
    let mut slow = Listener::open(&console, "?logs=flood");
    assert_eq!(slow.status, 200);
    let mut quick = Listener::open(&console, "?logs=flood,talker");
    let before = memory(&console);
    // More than the queue and what the kernel keeps for a connection.
    let mut bytes = 0;
    while bytes < 12 << 20 {
        let log = quick.until("log", |_| true);
        let lines = log["lines"].as_array().unwrap().iter();
        bytes += lines.map(|line| line["text"].as_str().unwrap().len()).sum::<usize>();
    }
    let after = memory(&console);
    assert!(after < before + (24 << 20), "from {before} to {after}");
    // What it was sent before, and then the word and the end.
    let (mut last, begun) = (String::new(), Instant::now());
    while let Some((kind, _)) = slow.next() {
        last = kind;
        assert!(begun.elapsed() < PATIENCE, "the stream goes on");
    }
    assert_eq!(last, "lagged");
    quick.until("log", |log| log["component"] == "talker");
}

fn memory(console: &Console) -> u64 {
    console.json("/api/v1/status")["load"]["memory_bytes"].as_u64().unwrap()
}

#[test]
fn many_silent_connections_keep_nobody_out() {
    let console = Console::start("");
    let held: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(console.address).unwrap();
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
            stream
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(console.get("/api/v1/status").status, 200);
    }
    // There are so many at most: the one that has been silent longest makes room for the next one.
    let log = console.launcher.home.logs().join("launcher.log");
    wait_for("connections to be closed", || {
        std::fs::read_to_string(&log).unwrap().contains("too many HTTP connections").then_some(())
    });
    let sockets = std::fs::read_dir(format!("/proc/{}/fd", console.launcher.pid())).unwrap().flatten();
    let sockets = sockets.filter_map(|it| std::fs::read_link(it.path()).ok());
    let open = sockets.filter(|it| it.to_string_lossy().starts_with("socket:")).count();
    assert!(open < 256 + 64, "{open} sockets are open");
    // Heads that never end are given up.
    let mut first = &held[599];
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = first.read(&mut [0; 512]);
    assert!(memory(&console) < 120 << 20, "{}", memory(&console));
}

#[test]
fn with_nobody_connected_it_does_nothing() {
    let console = Console::start("");
    drop(Listener::open(&console, "?logs=all"));
    // The sampler ends at its next look; from then on the console's thread sleeps.
    let task = wait_for("the thread", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", console.launcher.pid())).ok()?;
        tasks.flatten().find(|task| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "console-http\n")
        })
    });
    let switches = || {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches:")).unwrap();
        line.rsplit('\t').next().unwrap().parse::<u64>().unwrap()
    };
    // Woken fewer than once in two seconds would still be seen.
    wait_for("it to sleep", || {
        let before = switches();
        std::thread::sleep(Duration::from_secs(4));
        (switches() == before).then_some(())
    });
}
