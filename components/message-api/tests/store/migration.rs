//! A large file of an older version is migrated, with any number of interruptions.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use message_api::store;
use protocol::UserName;
use rusqlite::{Connection, params};

use crate::sqlite::bench_on;

/// In the short form, and in the long one.
const MESSAGES: [u64; 2] = [60_000, 10_000_000];
const KILLS: [u32; 2] = [6, 20];
const USERS: u64 = 2_000;
/// The maximum memory of a migration in KiB: two caches and the sorting, independent of the file's size.
const MEMORY: u64 = 400 * 1024;

fn is_long() -> bool {
    std::env::var_os("P2P_LONG").is_some()
}

/// The generator of Numerical Recipes: sufficient to distribute messages over conversations reproducibly.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A file of version 3: each user talks to their seven neighbours and now and then to themselves; two of three messages were read.
pub(crate) fn make_version_3(path: &Path, users: u64, messages: u64) {
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(())).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    for step in [
        include_str!("../versions/1.sql"),
        include_str!("../versions/2.sql"),
        include_str!("../versions/3.sql"),
    ] {
        connection.execute_batch(step).unwrap();
    }
    connection
        .execute_batch(
            "PRAGMA application_id = 0x50325063; PRAGMA user_version = 3; DROP INDEX log; DROP INDEX sent;",
        )
        .unwrap();
    let all = connection.transaction().unwrap();
    for user in 1..=users {
        let key = format!("user{user:05}");
        all.execute("INSERT INTO users(id, key, name) VALUES (?1, ?2, ?2)", params![user, key]).unwrap();
        for other in user..=(user + 7).min(users) {
            let key = format!("dm:{key}:user{other:05}");
            let id = user * 8 + other - user;
            all.execute("INSERT INTO conversations(id, key) VALUES (?1, ?2)", params![id, key]).unwrap();
            for member in [user, other] {
                let join = "INSERT OR IGNORE INTO members(user, conversation) VALUES (?1, ?2)";
                all.execute(join, params![member, id]).unwrap();
            }
        }
    }
    let (mut dice, mut seqs) = (Dice(7), vec![0_u64; usize::try_from(users * 8 + 8).unwrap()]);
    let mut insert = all
        .prepare("INSERT INTO events(pos, conversation, seq, sender, recipient, id, at, kind, client_id, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9)")
        .unwrap();
    for pos in 1..=messages {
        let first = dice.roll(users) + 1;
        let second = (first + dice.roll(8)).min(users);
        let (sender, recipient) = if dice.roll(2) == 0 { (first, second) } else { (second, first) };
        let conversation = first * 8 + second - first;
        let seq = &mut seqs[usize::try_from(conversation).unwrap()];
        *seq += 1;
        let client_id = format!("{:012x}-7000-8000-{:016x}", pos / 9, dice.roll(u64::from(u32::MAX)));
        let body = format!("message {pos} with some words that people would say");
        let id = u128::from(pos).to_be_bytes();
        insert
            .execute(params![pos, conversation, *seq, sender, recipient, id, pos, client_id, body])
            .unwrap();
    }
    drop(insert);
    all.execute_batch(
        "CREATE UNIQUE INDEX log ON events(conversation, seq);
         CREATE UNIQUE INDEX sent ON events(client_id, sender);
         UPDATE members SET seen = (SELECT coalesce(max(seq), 0) * 2 / 3 FROM events WHERE conversation = members.conversation);
         UPDATE members SET unread = EXISTS (SELECT 1 FROM events
            WHERE conversation = members.conversation AND seq > seen AND recipient = members.user);",
    )
    .unwrap();
    all.commit().unwrap();
}

/// Opens the store of a directory in another process, which prints the progress and exits.
fn migrate(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "migration::opens_and_ends", "--ignored", "--nocapture"])
        .env("P2P_TEST_DATA", directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "the other process of a_migration_that_is_killed_again_and_again_loses_nothing"]
async fn opens_and_ends() {
    let Some(directory) = std::env::var_os("P2P_TEST_DATA").map(PathBuf::from) else { return };
    let bench = bench_on(&directory);
    let tell: store::ReportProgress = Arc::new(|line| println!("told {line}"));
    let begun = Instant::now();
    let opened = Arc::new(crate::bench::Published::default());
    let store = store::open(&bench.config, &bench.data, opened, tell).await.unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    println!("\nopened in {} ms with {peak}", begun.elapsed().as_millis());
    store.close().await.unwrap();
}

/// The time in ms and the memory in KiB of a complete migration.
#[expect(clippy::print_stdout, reason = "what is told is shown in the long form")]
fn measure(directory: &Path) -> (u64, u64) {
    let mut child = migrate(directory);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut found = None;
    for line in lines {
        if line.starts_with("told ") && is_long() {
            println!("{line}");
        }
        if let Some(words) = line.strip_prefix("opened in ") {
            let numbers: Vec<u64> = words.split(' ').filter_map(|word| word.parse().ok()).collect();
            found = Some((numbers[0], numbers[1]));
        }
    }
    assert!(child.wait().unwrap().success());
    found.expect("it says how long it took")
}

/// Makes the old file the store again if the migration was completed; returns whether it was.
fn put_back(directory: &Path) -> bool {
    let (path, old) = (directory.join("chat.db"), directory.join("chat.db.v3.bak"));
    if !old.exists() {
        return false;
    }
    for log in ["chat.db-wal", "chat.db-shm"] {
        let _ = std::fs::remove_file(directory.join(log));
    }
    std::fs::rename(&old, &path).unwrap();
    // If both names are of one file, nothing was renamed.
    let _ = std::fs::remove_file(&old);
    true
}

fn count(connection: &Connection, sql: &str) -> u64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The new file has everything of the old one, and the running numbers equal those counted one by one.
fn compare(directory: &Path, messages: u64) {
    let connection = Connection::open(directory.join("chat.db")).unwrap();
    let old = directory.join("chat.db.v3.bak");
    connection.execute("ATTACH ?1 AS old", [old.to_str().unwrap()]).unwrap();
    assert_eq!(count(&connection, "SELECT count(*) FROM events"), messages);
    let columns = "pos, conversation, seq, sender, id, at, kind, client_id, body";
    let both = format!(
        "SELECT count(*) FROM (SELECT {columns} FROM old.events EXCEPT SELECT {columns} FROM main.events)"
    );
    assert_eq!(count(&connection, &both), 0, "messages that are missing or changed");
    for (number, of) in [("ordinal", "conversation"), ("sent", "conversation, sender")] {
        let wrong = format!(
            "SELECT count(*) FROM (SELECT {number} AS given, row_number() OVER (PARTITION BY {of} ORDER BY seq) AS counted
                FROM events) WHERE given <> counted"
        );
        assert_eq!(count(&connection, &wrong), 0, "wrong {number}");
    }
    assert_eq!(
        count(
            &connection,
            "SELECT count(*) FROM (SELECT user, conversation, seen, unread FROM old.members
        EXCEPT SELECT user, conversation, cursor, unread FROM main.members)"
        ),
        0
    );
}

/// `P2P_LONG=1 cargo nextest run --profile long --cargo-profile release -p message-api --test store --no-capture -E 'test(killed_again)'`
/// prints how fast it is.
#[tokio::test]
async fn a_migration_that_is_killed_again_and_again_loses_nothing() {
    let form = usize::from(is_long());
    let (messages, kills) = (MESSAGES[form], KILLS[form]);
    let (directory, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = directory.path().join("chat.db");
    make_version_3(&path, USERS, messages);
    std::fs::copy(&path, whole.path().join("chat.db")).unwrap();
    let (took, memory) = measure(whole.path());
    drop(whole);
    println!(
        "{messages} messages in {took} ms ({} a second), {memory} KiB at most",
        messages * 1000 / took.max(1)
    );
    assert!(memory <= MEMORY, "{memory} KiB");
    let mut dice = Dice(std::process::id().into());
    let (mut cut, mut whole) = (0, 0);
    while cut < kills {
        let mut child = migrate(directory.path());
        // At a random moment: there is nothing to wait for.
        std::thread::sleep(Duration::from_millis(dice.roll(took)));
        child.kill().unwrap();
        child.wait().unwrap();
        if put_back(directory.path()) {
            whole += 1;
            assert!(whole <= 3 * kills, "{cut} of {whole} kills came before the end");
        } else {
            cut += 1;
        }
    }
    println!("{cut} kills came before the end, {whole} after it");
    let store = bench_on(directory.path()).open().await;
    let user = UserName::parse("user00042").unwrap();
    let listed = store.store.conversations(&user, 100).await.unwrap();
    let connection = Connection::open(directory.path().join("chat.db.v3.bak")).unwrap();
    for conversation in &listed {
        let sql = "SELECT count(*) FROM events AS e JOIN conversations AS c ON c.id = e.conversation
            WHERE c.key = ?1 AND e.recipient = 42 AND e.seq > ?2";
        let seen = i64::try_from(conversation.seen).unwrap();
        let unread: u64 = connection
            .query_row(sql, params![conversation.conversation.as_str(), seen], |row| row.get(0))
            .unwrap();
        assert_eq!(conversation.unseen, unread, "{}", conversation.conversation);
    }
    assert!(listed.len() > 10 && listed.iter().any(|of| of.unseen > 0));
    store.store.close().await.unwrap();
    compare(directory.path(), messages);
}
