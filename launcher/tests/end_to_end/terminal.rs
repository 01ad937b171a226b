//! `launcher chat` while its servers and the client itself are killed: the messages of two users arrive once and in order, and are in both
//! histories. `P2P_LONG=1` makes 50 rounds of kills instead of one of each kind.
#![allow(clippy::print_stdout, reason = "the long form prints its figures")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::support::dice::{Dice, rounds};
use crate::support::{Home, Launcher, kill, wait_for};

/// Messages per user and round.
const LINES: usize = 10;
/// What is killed, in turn.
const VICTIMS: [Victim; 5] =
    [Victim::ChatServer, Victim::MessageApi, Victim::Launcher, Victim::Client, Victim::ClientWithoutServer];

#[derive(Debug, Clone, Copy)]
enum Victim {
    ChatServer,
    /// With the database's primary, if there is one.
    MessageApi,
    /// With all its children.
    Launcher,
    /// In the middle of a conversation.
    Client,
    /// While there is no server, so that all it was told waits.
    ClientWithoutServer,
}

/// A process of `launcher chat`.
struct Client {
    child: Child,
    printed: JoinHandle<Vec<String>>,
}

impl Client {
    fn start(home: &Home, name: &str) -> Self {
        let (server, kept) = (home.chat.to_string(), home.dir.path().join(name).display().to_string());
        let mut command =
            home.command(&["chat", "--plain", "--name", name, "--server", &server, "--history", &kept]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let printed = std::thread::spawn(move || output.lines().map(Result::unwrap).collect());
        Self { child, printed }
    }

    /// Its complete output, without the times.
    fn printed(self) -> Vec<String> {
        let lines = self.printed.join().unwrap();
        lines.iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }
}

struct Person {
    name: &'static str,
    partner: &'static str,
    client: Option<Client>,
    /// The output of earlier clients.
    heard: Vec<String>,
    said: usize,
}

impl Person {
    fn new(name: &'static str, partner: &'static str) -> Self {
        Self { name, partner, client: None, heard: Vec::new(), said: 0 }
    }

    fn sits_down(&mut self, home: &Home) {
        self.client = Some(Client::start(home, self.name));
    }

    fn says(&mut self, round: usize, lines: std::ops::Range<usize>) {
        let input = self.client.as_mut().unwrap().child.stdin.as_mut().unwrap();
        for line in lines {
            writeln!(input, "{}: {}", self.partner, text(self.name, round, line)).unwrap();
            self.said += 1;
        }
    }

    /// Queries the history with another program.
    fn kept(&self, home: &Home, question: &str) -> String {
        let file = home.dir.path().join(self.name).join(format!("chat_history_{}.db", self.name));
        let output = Command::new("sqlite3").arg(file).arg(question).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Waits until the client has read all input: a pipe does not outlive it.
    fn is_listened_to(&self, home: &Home) {
        let mine = "SELECT count(*) FROM messages WHERE sender = 'Me'";
        let all = self.said.to_string();
        wait_for("the client to take its lines", || (self.kept(home, mine) == all).then_some(()));
    }

    fn client_is_killed(&mut self) {
        let mut client = self.client.take().unwrap();
        client.child.kill().unwrap();
        client.child.wait().unwrap();
        self.hears(client.printed());
    }

    /// Ends the input and waits until the client exits.
    fn leaves(&mut self) {
        let mut client = self.client.take().unwrap();
        drop(client.child.stdin.take());
        assert!(client.child.wait().unwrap().success(), "{} was left with something unsaid", self.name);
        self.hears(client.printed());
    }

    /// What was printed right before a kill may be printed again by the next client, and nothing else.
    fn hears(&mut self, printed: Vec<String>) {
        let again = printed.first().and_then(|first| self.heard.iter().position(|line| line == first));
        let repeated = again.map_or(0, |at| self.heard.len() - at);
        assert!(self.heard.ends_with(&printed[..repeated.min(printed.len())]), "{}: {printed:?}", self.name);
        self.heard.extend(printed.into_iter().skip(repeated));
    }
}

fn text(by: &str, round: usize, line: usize) -> String {
    format!("{by} {round}.{line}")
}

/// Kills a component, without waiting for its restart.
fn kill_component(launcher: &Launcher, name: &str) {
    kill(wait_for("the component", || launcher.component_pid(name)), "-KILL");
}

/// Both users send before the kill, while something is missing, and afterwards.
fn round(launcher: &mut Launcher, people: &mut [Person; 2], round: usize, dice: &mut Dice) {
    let one = usize::try_from(dice.roll(2)).unwrap();
    let (before, after) = (0..LINES / 2, LINES / 2..LINES);
    people.iter_mut().for_each(|person| person.says(round, before.clone()));
    dice.pause(50);
    let victim = VICTIMS[round % VICTIMS.len()];
    match victim {
        Victim::ChatServer => kill_component(launcher, "chat-server"),
        Victim::MessageApi => {
            kill_component(launcher, "message-api");
            launcher.home.kill_store_primary();
        }
        Victim::Launcher | Victim::ClientWithoutServer => {
            launcher.end("-KILL");
        }
        Victim::Client => {
            people[one].is_listened_to(&launcher.home);
            people[one].client_is_killed();
            people[one].sits_down(&launcher.home);
        }
    }
    people.iter_mut().for_each(|person| person.says(round, after.clone()));
    if matches!(victim, Victim::ClientWithoutServer) {
        people[one].is_listened_to(&launcher.home);
        let waiting =
            people[one].kept(&launcher.home, "SELECT count(*) FROM p2p_messages WHERE state = 'waiting'");
        assert_ne!(waiting, "0");
        people[one].client_is_killed();
        people[one].sits_down(&launcher.home);
    }
    match victim {
        Victim::Launcher | Victim::ClientWithoutServer => launcher.up_again(),
        Victim::ChatServer | Victim::MessageApi | Victim::Client => launcher.wait_until_healthy(),
    }
}

#[test]
fn a_session_through_many_kills_loses_nothing_and_doubles_nothing() {
    let rounds = rounds(VICTIMS.len(), 50);
    let (mut dice, seed) = Dice::cast();
    println!("P2P_SEED={seed} repeats this");
    let started = Instant::now();
    let home = Home::new().argument("--no-web").argument("--no-thermometer").argument("--no-openai");
    let often = ["chat-server", "message-api"].map(|name| format!("components.{name}.intensity=1000"));
    let mut launcher = often.iter().fold(home, |home, setting| home.set(setting)).up();
    let mut people = [Person::new("alice", "bob"), Person::new("bob", "alice")];
    people.iter_mut().for_each(|person| person.sits_down(&launcher.home));
    for number in 0..rounds {
        round(&mut launcher, &mut people, number, &mut dice);
    }
    // A user who leaves first would miss the other's last messages.
    let all = 2 * rounds * LINES;
    for person in &people {
        let stored = "SELECT count(*) FROM p2p_messages WHERE state = 'stored'";
        wait_for("the last words to be kept by both", || {
            (person.kept(&launcher.home, stored) == all.to_string()).then_some(())
        });
    }
    for mut person in people {
        person.leaves();
        let expected: Vec<String> = (0..rounds)
            .flat_map(|round| (0..LINES).map(move |line| (round, line)))
            .map(|(round, line)| format!("{}: {}", person.partner, text(person.partner, round, line)))
            .collect();
        assert_eq!(person.heard, expected);
        let count = "SELECT count(*), count(DISTINCT message) FROM messages";
        assert_eq!(person.kept(&launcher.home, count), format!("{all}|{all}"));
    }
    println!("{rounds} kills, {all} messages, {:.0?}", started.elapsed());
}
