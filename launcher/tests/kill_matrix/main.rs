//! The kill matrix: users chat while one, several or all processes are killed at random moments. Afterwards every recipient has every
//! acknowledged message exactly once and in order.
//!
//! `P2P_LONG=1` makes 200 rounds of it, otherwise there are a few; `P2P_SEED` repeats a run's choices; `P2P_TEST_STORE=mongodb` runs it on
//! a replica set of three, whose primary is among those that are killed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say with which seed"
)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod checker;
mod load;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use load::{Books, Shared};
use support::dice::{Dice, rounds};
use support::{Home, Launcher, PATIENCE, kill};

const SENDERS: usize = 6;
/// The recipients: two online, one in the text dialect, one who logs in at the end.
const RECIPIENTS: [&str; 4] = ["ann", "ben", TEXTER, ABSENT];
const TEXTER: &str = "nc";
const ABSENT: &str = "absent";

/// The clients, over all rounds.
struct Crowd {
    runtime: Runtime,
    books: Shared,
    talk: watch::Sender<bool>,
    quiet: mpsc::Receiver<()>,
    chat: std::net::SocketAddr,
}

impl Crowd {
    fn gather(chat: std::net::SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (books, (talk, talks), (quieted, quiet)) =
            (Shared::new(Mutex::new(Books::default())), watch::channel(false), mpsc::channel(SENDERS));
        let recipients: Vec<String> = RECIPIENTS.map(str::to_owned).to_vec();
        for n in 0..SENDERS {
            let (books, talks, quieted) = (Arc::clone(&books), talks.clone(), quieted.clone());
            runtime.spawn(load::sender(chat, format!("s{n}"), recipients.clone(), books, talks, quieted));
        }
        for who in ["ann", "ben"] {
            runtime.spawn(load::recipient(chat, who.to_owned(), Arc::clone(&books)));
        }
        runtime.spawn(load::text_recipient(chat, TEXTER.to_owned(), Arc::clone(&books)));
        Self { runtime, books, talk, quiet, chat }
    }

    /// The offline user logs in.
    fn complete(&self) {
        self.runtime.spawn(load::recipient(self.chat, ABSENT.to_owned(), Arc::clone(&self.books)));
    }

    fn start_talking(&self) {
        self.talk.send_replace(true);
    }

    /// Waits until everything that was sent is answered.
    fn stop_talking(&mut self) {
        self.talk.send_replace(false);
        let Self { runtime, quiet, .. } = self;
        runtime.block_on(async {
            for _ in 0..SENDERS {
                tokio::time::timeout(PATIENCE, quiet.recv()).await.expect("everything is answered").unwrap();
            }
        });
    }

    /// Waits until everybody but `away` has received everything, and checks it.
    fn expect_flawless(&self, away: Option<&str>) {
        let books = || self.books.lock().unwrap();
        let (mut missing, mut moved) = (books().missing(away), Instant::now());
        // As long as messages arrive it continues to wait.
        while !missing.is_empty() && moved.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
            let now = books().missing(away);
            if now != missing {
                (missing, moved) = (now, Instant::now());
            }
        }
        assert!(missing.is_empty(), "{missing:#?}");
        let flaws = books().flaws(TEXTER, away);
        assert!(flaws.is_empty(), "{} flaws, such as {:#?}", flaws.len(), &flaws[..flaws.len().min(10)]);
    }
}

/// Kills some of the processes; returns whether the launcher was among them.
fn kill_some(launcher: &mut Launcher, dice: &mut Dice) -> bool {
    let components = ["message-api", "chat-server", "web-adapter"];
    let choice = dice.roll(6);
    let victims: Vec<&str> = match choice {
        0..=2 => vec![components[usize::try_from(choice).unwrap()]],
        3 => components[..2].to_vec(),
        _ => components.to_vec(),
    };
    for victim in &victims {
        if let Some(pid) = launcher.component_pid(victim) {
            kill(pid, "-KILL");
        }
        let most = if dice.roll(2) == 0 { 1 } else { 60 };
        dice.pause(most);
    }
    let launcher_too = choice >= 4;
    if launcher_too {
        launcher.end("-KILL");
    }
    launcher_too
}

fn round(launcher: &mut Launcher, crowd: &mut Crowd, dice: &mut Dice) {
    crowd.start_talking();
    dice.pause(400);
    let mut down = kill_some(launcher, dice);
    if dice.roll(3) == 0 {
        launcher.home.kill_store_primary();
    }
    if !down && dice.roll(2) == 0 {
        dice.pause(300);
        down = kill_some(launcher, dice);
    }
    dice.pause(300);
    if down {
        launcher.up_again();
    } else {
        launcher.wait_until_healthy();
    }
    dice.pause(200);
    crowd.stop_talking();
    crowd.expect_flawless(Some(ABSENT));
    // A new launcher has its whole restart budget; half of the time it is killed without a shutdown.
    if !down {
        launcher.end(if dice.roll(2) == 0 { "-KILL" } else { "-TERM" });
        launcher.up_again();
    }
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_late_whoever_is_killed() {
    let count = rounds(6, 200);
    let (mut dice, seed) = Dice::cast();
    eprintln!("P2P_SEED={seed} repeats this");
    let home = Home::on_members(3).argument("--no-thermometer").set("chat-server.messages-per-second=0");
    let mut launcher = home.up();
    let mut crowd = Crowd::gather(launcher.home.chat);
    for number in 1..=count {
        eprintln!("round {number}");
        round(&mut launcher, &mut crowd, &mut dice);
    }
    crowd.complete();
    crowd.expect_flawless(None);
    eprintln!("{count} rounds, {} messages acknowledged", crowd.books.lock().unwrap().acknowledged());
}
