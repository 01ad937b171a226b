//! The logs of a real launcher under floods of difficult lines, on a full disk, and while files are deleted, moved and truncated:
//! everything written is there byte for byte, or counted.
//!
//! `P2P_LONG=1` makes it five processes with 400 MB each, and a minute of deleting.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they measured"
)]

mod house;
#[path = "../support/mod.rs"]
mod support;
mod talk;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::{House, TinyDisk};
use support::dice::is_long;
use talk::{BEGIN, END, HEADER, Talk};

/// The maximum memory of the launcher, in KiB.
const MEMORY: u64 = 32 * 1024;

#[test]
fn a_flood_of_awkward_lines_comes_out_byte_for_byte_in_little_memory() {
    let bytes = if is_long() { 400_000_000 } else { 8_000_000 };
    let talks: Vec<Talk> = (1..=5).map(|child| Talk { child, bytes }).collect();
    let begin = Instant::now();
    let mut house = House::start("file-mib = 1\nfiles = 100000\ntotal-mib = 1000000", &talks);
    for talk in &talks {
        house.wait("the end of the talk", || house.last_bytes(&talk.name()).ends_with(END));
    }
    let took = begin.elapsed();
    let (memory, cpu) = (house.peak_memory(), house.cpu_time());
    let mut rotations = 0;
    for talk in &talks {
        let files = house.files(&talk.name());
        rotations += files.len() - 1;
        for (path, text) in &files[..files.len() - 1] {
            assert_eq!(text.last(), Some(&b'\n'), "{} ends within a line", path.display());
        }
        let all: Vec<u8> = files.into_iter().flat_map(|(_, text)| text).collect();
        let begin = memchr::memmem::find(&all, BEGIN).unwrap() + BEGIN.len();
        let mut rest = &all[begin..];
        talk.each(|line| {
            assert!(rest.starts_with(line), "{} differs {} bytes before its end", talk.name(), rest.len());
            rest = &rest[line.len()..];
        });
        assert_eq!(rest, END);
    }
    let total = bytes * 5 / 1_000_000;
    eprintln!(
        "{total} MB in {took:.2?}, {rotations} files put aside, launcher: {memory} KiB at most, {cpu:.2} s"
    );
    assert!(rotations as u64 >= bytes * 5 / (3 << 20));
    assert!(memory < MEMORY, "the launcher took {memory} KiB");
    house.prove(0, &["talk-1: intact", "launcher: intact"]);
    house.stop();
    let (aside, _) = house.files("talk-1").remove(0);
    house.prove(0, &["talk-1: intact", "talk-5: intact", "launcher: intact"]);
    // One byte of a rotated file, and one deleted file.
    let mut raw = std::fs::read(&aside).unwrap();
    let middle = raw.len() / 2;
    raw[middle] ^= 1;
    std::fs::write(&aside, raw).unwrap();
    let (gone, _) = house.files("talk-2").remove(1);
    std::fs::remove_file(&gone).unwrap();
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let missing = format!("{}: is missing, with ", name(&gone).trim_end_matches(".gz"));
    house.prove(1, &["talk-1: MODIFIED", &name(&aside), &missing, "talk-3: intact"]);
}

#[test]
fn on_a_full_disk_what_is_written_and_what_is_counted_is_what_was_said() {
    let talks: Vec<Talk> = (1..=5).map(|child| Talk { child, bytes: 8_000_000 }).collect();
    let home = House::home();
    let Some(_disk) = TinyDisk::mount(&home.logs(), "16m") else {
        eprintln!("SKIPPED: a tmpfs cannot be mounted here; run as root to test a full disk");
        return;
    };
    let mut house = House::start_in(home, "file-mib = 1\nfiles = 100000\ntotal-mib = 1000000", &talks);
    for talk in &talks {
        house.wait("the talk to be over", || house.is_done(&talk.name()));
    }
    let mut dropped = 0;
    for talk in &talks {
        let mut produced = HEADER.len() + BEGIN.len() + END.len();
        talk.each(|line| produced += line.len());
        house.wait("every byte to be there or counted", || {
            let (_, bytes) = house.written(&talk.name());
            bytes + house.dropped(&talk.name()).1 == produced as u64
        });
        dropped += house.dropped(&talk.name()).1;
    }
    assert!(dropped > 1_000_000, "the disk was not full");
    eprintln!("of 40 MB {dropped} bytes did not fit, and were counted");
    house.stop();
}

#[test]
fn deleting_moving_and_cutting_the_file_ten_times_a_second_loses_nothing_uncounted() {
    let seconds = if is_long() { 60 } else { 3 };
    let mut house =
        House::start("file-mib = 4\nfiles = 100000\ntotal-mib = 1000000", &[Talk { child: 0, bytes: 0 }]);
    let live = house.logs().join("talk-0.log");
    house.wait("the first beat", || live.exists());
    let moved = house.path("moved");
    std::fs::create_dir(&moved).unwrap();
    let (end, mut round) = (Instant::now() + Duration::from_secs(seconds), 0_u64);
    while Instant::now() < end {
        round += 1;
        match round % 3 {
            0 => drop(std::fs::remove_file(&live)),
            1 => drop(std::fs::rename(&live, moved.join(format!("{round}.log")))),
            _ => {
                if let Ok(file) = std::fs::OpenOptions::new().write(true).open(&live) {
                    let length = file.metadata().unwrap().len();
                    file.set_len(length * (round % 7) / 7).unwrap();
                }
            }
        }
        // This is the abuse itself, not a wait for something.
        std::thread::sleep(Duration::from_millis(100));
    }
    let (lines, bytes) = house.end_the_beat();
    let sum = || {
        let (dropped, here) = (house.dropped("talk-0"), house.written("talk-0"));
        let there = std::fs::read_dir(&moved).unwrap().flatten().map(|entry| entry.path());
        let elsewhere = there.map(|path| house::theirs(&std::fs::read(path).unwrap()));
        elsewhere.fold((dropped.0 + here.0, dropped.1 + here.1), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    };
    house.wait("every byte to be there or counted", || sum().1 == bytes);
    assert_eq!(sum(), (lines, bytes));
    eprintln!(
        "{round} times in {seconds} s: {lines} lines said, {} dropped and counted",
        house.dropped("talk-0").0
    );
    // It is written about once a second.
    house.wait("the journal of what was lost", || house.logs().join(".sums/talk-0.live").exists());
    house.prove(
        0,
        &["talk-0: intact except for counted losses", "the file was deleted", "the file was truncated"],
    );
    house.stop();
}

#[test]
fn following_a_log_over_many_rotations_misses_no_line_and_repeats_none() {
    let mut house =
        House::start("file-mib = 1\nfiles = 100000\ntotal-mib = 1000000", &[Talk { child: 0, bytes: 0 }]);
    house.wait("the first beat", || house.logs().join("talk-0.log").exists());
    let mut command: Command = house.command(&["logs", "-f", "-n", "100000000", "talk-0"]);
    let mut follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(follower.stdout.take().unwrap());
    let mut lines = out.lines().map_while(Result::ok).filter(|line| line.starts_with("beat "));
    let files = if is_long() { 100 } else { 4 };
    for expected in 0.. {
        let line = lines.next().unwrap();
        assert!(line.starts_with(&format!("beat {expected} ")), "{expected}: {line}");
        if expected % 10_000 == 0 && house.files("talk-0").len() > files {
            break;
        }
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    let mut since = house.command(&["logs", "--since", "1h", "-n", "3", "talk-0"]).spawn().unwrap();
    let mut text = String::new();
    since.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    since.wait().unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("beat ")).count(), 3, "{text}");
    house.stop();
}
