//! `launcher chat` through whatever happens to its servers: what two people say to each other arrives once and in order, and stands
//! so in what each keeps. `P2P_LONG=1` kills fifty times instead of five.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};

use crate::support::{Home, Launcher, wait_for};

/// What is said by each between two kills.
const LINES: usize = 4;

struct Person {
    name: &'static str,
    partner: &'static str,
    child: Child,
    input: ChildStdin,
    heard: std::thread::JoinHandle<Vec<String>>,
}

impl Person {
    fn sits_down(home: &Home, name: &'static str, partner: &'static str) -> Self {
        let (server, kept) = (home.chat.to_string(), home.dir.path().join(name).display().to_string());
        let mut command =
            home.command(&["chat", "--plain", "--name", name, "--server", &server, "--history", &kept]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let heard = std::thread::spawn(move || output.lines().map(Result::unwrap).collect());
        Self { name, partner, input: child.stdin.take().unwrap(), child, heard }
    }

    fn says(&mut self, text: &str) {
        writeln!(self.input, "{}: {text}", self.partner).unwrap();
    }

    /// Ends their input, and returns what they heard, without its times, and how many messages their file holds.
    fn leaves(mut self, home: &Home) -> (Vec<String>, String) {
        drop(self.input);
        assert!(self.child.wait().unwrap().success(), "{} was left with something unsaid", self.name);
        let heard = self.heard.join().unwrap();
        let file = home.dir.path().join(self.name).join(format!("chat_history_{}.db", self.name));
        let count = "SELECT count(*), count(DISTINCT message) FROM messages";
        let output = std::process::Command::new("sqlite3").arg(file).arg(count).output().unwrap();
        let texts = heard.iter().map(|line| line.split_once(' ').unwrap().1.to_owned());
        (texts.collect(), String::from_utf8(output.stdout).unwrap())
    }
}

fn said(by: &str, round: usize, line: usize) -> String {
    format!("{by} {round}.{line}")
}

/// Kills a component, and says things before its successor is there and after.
fn round(launcher: &mut Launcher, people: &mut [Person; 2], round: usize) {
    let victim = if round % 3 == 2 { "message-api" } else { "chat-server" };
    for line in 0..LINES {
        for person in people.iter_mut() {
            let text = said(person.name, round, line);
            person.says(&text);
        }
        if line == LINES / 2 {
            launcher.kill_component(victim);
        }
    }
}

#[test]
fn a_session_through_many_kills_loses_nothing_and_doubles_nothing() {
    let kills = if std::env::var_os("P2P_LONG").is_some() { 50 } else { 5 };
    let home = Home::new().argument("--no-web").argument("--no-thermometer").argument("--no-openai");
    let often = ["chat-server", "message-api"].map(|name| format!("components.{name}.intensity=1000"));
    let mut launcher = often.iter().fold(home, |home, setting| home.set(setting)).up();
    let mut people = [
        Person::sits_down(&launcher.home, "alice", "bob"),
        Person::sits_down(&launcher.home, "bob", "alice"),
    ];
    for kill in 0..kills {
        round(&mut launcher, &mut people, kill);
    }
    launcher.wait_until_healthy();
    let total = kills * LINES;
    // Whoever leaves first would not hear the other's last words.
    wait_for("the last words to be kept by both", || {
        let kept = |name: &str| {
            let file = launcher.home.dir.path().join(name).join(format!("chat_history_{name}.db"));
            let stored = "SELECT count(*) FROM p2p_messages WHERE state = 'stored'";
            let output = std::process::Command::new("sqlite3").arg(file).arg(stored).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        (kept("alice") == (2 * total).to_string() && kept("bob") == (2 * total).to_string()).then_some(())
    });
    for (person, other) in people.into_iter().zip(["bob", "alice"]) {
        let (heard, kept) = person.leaves(&launcher.home);
        let expected: Vec<String> = (0..kills)
            .flat_map(|round| (0..LINES).map(move |line| format!("{other}: {}", said(other, round, line))))
            .collect();
        assert_eq!(heard, expected);
        assert_eq!(kept.trim(), format!("{}|{}", 2 * total, 2 * total));
    }
}
