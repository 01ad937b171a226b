//! The effects of a full disk and of a wrong database file on the whole system.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::http::{get, post};
use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher, wait_for};

/// A small disk; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Needs root. Otherwise the test is skipped only on request.
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={size}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        if !mounted && std::env::var_os("P2P_TEST_SKIP_ROOT").is_some() {
            eprintln!("LEFT OUT: a full disk needs root, and P2P_TEST_SKIP_ROOT is set");
            return None;
        }
        assert!(
            mounted,
            "a disk cannot be mounted here: run as root, or set P2P_TEST_SKIP_ROOT=1 to leave this out"
        );
        Some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The bytes left on it.
    fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

const SAVED: &str = "User 'bob' is offline. Message saved.\n";

/// A client that sends numbered messages to bob, and their outcomes.
struct Talker {
    alice: LineClient,
    next: u32,
    saved: Vec<u32>,
}

impl Talker {
    /// Sends the next message; returns the answer.
    fn say(&mut self) -> String {
        let number = self.next;
        self.next += 1;
        self.alice.send(&format!("bob: {number} {}\n", "x".repeat(4000)));
        let answer = self.alice.line();
        if answer == SAVED {
            self.saved.push(number);
        }
        answer
    }

    /// Sends until this many in a row are rejected: after one message is rejected there may be space for another. Returns the last answer.
    fn say_until_refused(&mut self, in_a_row: usize) -> String {
        let mut refused = 0;
        for _ in 0..5000 {
            let answer = self.say();
            refused = if answer == SAVED { 0 } else { refused + 1 };
            if refused == in_a_row {
                return answer;
            }
        }
        panic!("5000 messages, and never {in_a_row} refused in a row");
    }
}

/// The numbers of the messages that bob receives, in order.
fn read_as_bob(launcher: &Launcher, count: usize) -> Vec<u32> {
    let (mut bob, _) = LineClient::login(launcher.home.chat, "bob");
    let number =
        |line: String| line.split_once("[alice] ").unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
    let numbers = (0..count).map(|_| number(bob.line())).collect();
    assert!(bob.has_nothing_more());
    numbers
}

fn says_degraded(launcher: &Launcher) -> bool {
    let said = launcher.component("message-api").and_then(|it| it["status_text"].as_str().map(str::to_owned));
    said.is_some_and(|said| said.contains("the disk is full"))
}

#[test]
fn on_a_full_disk_nothing_is_acknowledged_the_rest_works_and_all_is_well_once_there_is_room() {
    let home = Home::new();
    if home.is_on_mongodb() {
        return;
    }
    let Some(disk) = SmallDisk::mount("12m") else { return };
    std::fs::write(disk.filler(), vec![0; 9 << 20]).unwrap();
    let mut launcher = home
        .set(&format!("store.url=sqlite:{}/chat.db", disk.path().display()))
        .set("chat-server.messages-per-second=0")
        .set("message-api.reserve-mib=0")
        .argument("--no-thermometer")
        .up();
    let (alice, _) = LineClient::login(launcher.home.chat, "alice");
    let mut talker = Talker { alice, next: 1, saved: Vec::new() };
    let answer = talker.say_until_refused(3);
    assert!(answer.starts_with("Message not confirmed: "), "{answer}");
    let asked = Instant::now();
    assert!(talker.say().starts_with("Message not confirmed: "));
    assert!(asked.elapsed() < Duration::from_secs(3), "it took {:?}", asked.elapsed());
    let body = format!(r#"{{"sender":"cron","destination":"bob","message":"0 {}"}}"#, "x".repeat(15_000));
    let posted = post(launcher.home.api, "/messages/", &body);
    assert_eq!(posted.status, 503, "{}", posted.body);
    assert!(posted.body.contains("the disk is full"), "{}", posted.body);

    wait_for("the status to say why", || says_degraded(&launcher).then_some(()));
    assert_eq!(read_as_bob(&launcher, talker.saved.len()), talker.saved, "one can log in and read");
    assert_eq!(get(launcher.home.page, "/healthz").status, 200);
    for component in ["message-api", "chat-server", "web-adapter"] {
        assert_eq!(launcher.component(component).unwrap()["restarts"], 0, "{component} was restarted");
    }

    std::fs::remove_file(disk.filler()).unwrap();
    wait_for("a message to be saved again", || (talker.say() == SAVED).then_some(()));
    wait_for("the status to be well again", || (!says_degraded(&launcher)).then_some(()));
    launcher.end("-KILL");
    let stored = stored(&disk.path().join("chat.db"));
    assert_eq!(stored, talker.saved, "what was refused does not come later, what was saved stays");
    launcher.up_again();
}

#[test]
fn on_a_disk_that_is_nearly_full_nothing_is_taken_before_it_is_full_and_all_is_well_once_there_is_room() {
    let home = Home::new();
    if home.is_on_mongodb() {
        return;
    }
    let Some(disk) = SmallDisk::mount("100m") else { return };
    let launcher = home
        .set(&format!("store.url=sqlite:{}/chat.db", disk.path().display()))
        .set("chat-server.messages-per-second=0")
        .argument("--no-thermometer")
        .up();
    let (alice, _) = LineClient::login(launcher.home.chat, "alice");
    let mut talker = Talker { alice, next: 1, saved: Vec::new() };
    assert_eq!(talker.say(), SAVED);
    // On a small disk a fiftieth is reserved; a quarter of that is left.
    let room = usize::try_from(disk.free()).unwrap() - (512 << 10);
    std::fs::write(disk.filler(), vec![0; room]).unwrap();
    let says_so = || {
        let text = launcher.component("message-api")?["status_text"].as_str()?.to_owned();
        text.contains("which are kept free; its operator must make room").then_some(())
    };
    wait_for("the status to say why", says_so);
    // More than would fit.
    for _ in 0..300 {
        let told = "Message not saved: the server's disk has 0 MiB left, which are kept free; its operator must make room.\n";
        assert_eq!(talker.say(), told);
    }
    let posted =
        post(launcher.home.api, "/messages/", r#"{"sender":"cron","destination":"bob","message":"0"}"#);
    assert_eq!(posted.status, 507, "{}", posted.body);

    std::fs::remove_file(disk.filler()).unwrap();
    wait_for("a message to be saved again", || (talker.say() == SAVED).then_some(()));
    assert_eq!(read_as_bob(&launcher, talker.saved.len()), talker.saved);
    wait_for("the status to be well again", || says_so().is_none().then_some(()));
}

/// The numbers of the messages in the file, in order.
fn stored(file: &Path) -> Vec<u32> {
    let database = rusqlite::Connection::open(file).unwrap();
    let mut bodies = database.prepare("SELECT body FROM events ORDER BY seq").unwrap();
    let bodies = bodies.query_map([], |row| row.get::<_, String>(0)).unwrap();
    bodies.map(|body| body.unwrap().split_once(' ').unwrap().0.parse().unwrap()).collect()
}

#[test]
fn a_file_that_is_not_ours_or_newer_is_refused_and_stays_as_it_is() {
    let file_of = |home: &Home| home.dir.path().join("store.file");
    let not_ours = "is not a database of P2P Chat; name another file in store.url";
    let newer = "was made by a newer P2P Chat (schema 99, this one knows 6); update this program";
    let letter: fn(&Path) =
        |path| std::fs::write(path, "Dear operator, this is not a database.\n".repeat(50)).unwrap();
    let other: fn(&Path) =
        |path| make_database(path, "CREATE TABLE wine (year INTEGER); PRAGMA user_version = 3;");
    let later: fn(&Path) = |path| {
        let made = "CREATE TABLE events (pos INTEGER); PRAGMA application_id = 0x50325063; PRAGMA user_version = 99;";
        make_database(path, made);
    };
    for (make, words) in [(letter, not_ours), (other, not_ours), (later, newer)] {
        let home = Home::new();
        if home.is_on_mongodb() {
            return;
        }
        let file = file_of(&home);
        make(&file);
        let before = std::fs::read(&file).unwrap();
        let launcher = home.set(&format!("store.url=sqlite:{}", file.display())).start();
        let printed = || Some(launcher.printed()).filter(|said| said.contains("launcher status"));
        let said = wait_for("the table", printed);
        let line = said.lines().find(|line| line.starts_with("message-api")).unwrap();
        assert!(line.contains("failed") && line.contains("configuration error"), "{said}");
        assert!(line.contains(words) && line.contains("store.file"), "{said}");
        assert!(std::fs::read(&file).unwrap() == before, "the file was changed: {words}");
    }
}

fn make_database(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}
