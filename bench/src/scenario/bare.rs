//! The upper bound with storage: what this disk and SQLite achieve without a server.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::bench::Bench;
use crate::latency::Latency;
use crate::problem::Result;
use crate::stamp::BODY_BYTES;
use crate::system::Place;
use crate::table::Row;

const FSYNCS: u32 = 500;
const PAGE: [u8; 4096] = [7; 4096];
/// The columns and indexes that a message needs.
const SCHEMA: &str = "CREATE TABLE event (pos INTEGER PRIMARY KEY, conversation INTEGER, seq INTEGER, sender INTEGER, recipient INTEGER,
    client_id TEXT, body TEXT, UNIQUE (conversation, seq), UNIQUE (client_id, sender))";
const INSERT: &str =
    "INSERT INTO event (conversation, seq, sender, recipient, client_id, body) VALUES (?, ?, ?, ?, ?, ?)";

/// Commits of one row, of a hundred, and of as many as one request contains.
pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let dir = bench.place.directory()?;
    for rows in [1, 100, 512] {
        let (rate, commits) =
            commits(&dir.path().join(format!("{rows}.db")), rows, bench.options.measured())?;
        let scenario = format!("bare commits, {rows} rows each");
        let note = "rows a second; times are those of a commit".to_owned();
        let row = Row { rate: Some(rate), latency: Some(&commits), note, ..Row::default() };
        bench.table.row(&Row { scenario: &scenario, system: "SQLite, WAL, FULL", ..row });
    }
    Ok(())
}

/// The rate at which SQLite commits rows, and the latency of a commit.
fn commits(path: &Path, batch: u32, measured: Duration) -> Result<(f64, Latency)> {
    let mut database = rusqlite::Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "full")?;
    database.execute_batch(SCHEMA)?;
    let body = "x".repeat(BODY_BYTES);
    let (begun, mut rows, mut latency) = (Instant::now(), 0_u32, Latency::default());
    while begun.elapsed() < measured {
        let one = Instant::now();
        let transaction = database.transaction()?;
        for _ in 0..batch {
            let mut insert = transaction.prepare_cached(INSERT)?;
            insert.execute((
                rows % 200,
                rows / 200,
                rows % 200,
                rows % 200,
                format!("{rows:032x}"),
                &body,
            ))?;
            rows += 1;
        }
        transaction.commit()?;
        latency.note(one.elapsed());
    }
    Ok((f64::from(rows) / begun.elapsed().as_secs_f64(), latency))
}

/// The time until an additional page of a file is durable.
pub(super) fn fsync(place: &Place) -> Result<Latency> {
    let dir = place.directory()?;
    let mut file = std::fs::File::create(dir.path().join("page"))?;
    let mut latency = Latency::default();
    for _ in 0..FSYNCS {
        let begun = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        latency.note(begun.elapsed());
    }
    Ok(latency)
}
