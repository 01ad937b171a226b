//! Running processes according to `/proc`, and signals that cannot reach a process that reuses an id.
//!
//! On other systems than Linux no process is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use protocol::sanitise;
use rustix::process::{Pid, Signal};

use super::accounts;

/// The maximum length of a displayed command, in characters.
const MAX_COMMAND: usize = 80;

/// More than the longest `/proc/PID/stat`: 52 numbers of at most 20 digits, and a name.
const MAX_STAT: usize = 1536;

/// A running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) parent: u32,
    pub(super) group: u32,
    /// Start time in clock ticks since boot: with the id, it identifies the process.
    pub(super) started: u64,
}

/// All processes running at one moment, without zombies, which their parents reap in their own time.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<u32, Entry>);

impl Table {
    /// Reads the table. Empty if `/proc` is that of another PID namespace, in which ids mean other processes.
    pub(super) fn read() -> Self {
        let is_ours = fs::read_link("/proc/self").is_ok_and(|link| link.to_str() == Some(&own().to_string()));
        if !is_ours {
            return Self::default();
        }
        Self(pids().filter_map(|pid| Some((pid, entry(pid)?))).collect())
    }

    pub(super) fn get(&self, pid: u32) -> Option<&Entry> {
        self.0.get(&pid)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.0.iter().map(|(pid, entry)| (*pid, entry))
    }

    /// Adds all descendants of these processes.
    pub(super) fn add_descendants(&self, of: &mut BTreeSet<u32>) {
        loop {
            let before = of.len();
            let children = self.iter().filter(|(_, entry)| of.contains(&entry.parent)).map(|(pid, _)| pid);
            let children: Vec<u32> = children.collect();
            of.extend(children);
            if of.len() == before {
                return;
            }
        }
    }
}

/// The ids of all processes, including zombies.
pub fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Our own process id.
pub(super) fn own() -> u32 {
    std::process::id()
}

/// The process with this id, if it is running.
pub(super) fn entry(pid: u32) -> Option<Entry> {
    // The kernel gives all of it to one read. It is asked for every process each time that one has ended: `read_to_string` takes three
    // times as many system calls.
    let mut stat = [0; MAX_STAT];
    let length = fs::File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
    parse(&String::from_utf8_lossy(&stat[..length]))
}

/// Parses `pid (name) state ppid pgrp …`, where the name may contain anything; the start time is the 22nd field, `proc_pid_stat(5)`.
fn parse(stat: &str) -> Option<Entry> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse().ok();
    if matches!(fields.first(), None | Some(&"Z" | &"X")) {
        return None;
    }
    Some(Entry {
        parent: u32::try_from(number(1)?).ok()?,
        group: u32::try_from(number(2)?).ok()?,
        started: number(19)?,
    })
}

/// The children of a process, including zombies.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids =
        |list: String| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>();
    lists.flat_map(pids).collect()
}

/// The id of the user that a process runs as.
pub(super) fn user_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().next()?.parse().ok()
}

/// Whether a process was started with a variable `NAME=value` that matches. For other users' processes only root can tell.
pub(super) fn has_variable(pid: u32, is_it: impl Fn(&[u8]) -> bool) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(is_it)
}

/// A process's program and arguments, each followed by a zero byte; empty if it has ended or is executing another program, `None` if it
/// cannot be read.
pub(super) fn command_line(pid: u32) -> Option<Vec<u8>> {
    if !fs::exists("/proc/self/cmdline").is_ok_and(|exists| exists) {
        return None;
    }
    Some(fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
}

/// A process's program and arguments as one line, or its name if they cannot be read. A process can set any text: sanitise it before
/// showing it.
pub fn command(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    match line.trim() {
        "" => fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned(),
        line => line.to_owned(),
    }
}

/// Describes a process for the operator: `pid 12 (user nobody: sleep 600)`.
pub(super) fn describe(pid: u32) -> String {
    let command: String = sanitise::line(&command(pid)).chars().take(MAX_COMMAND).collect();
    match fs::metadata(format!("/proc/{pid}")) {
        Ok(meta) => format!("pid {pid} (user {}: {command})", accounts::name_of(meta.uid())),
        Err(_) => format!("pid {pid}"),
    }
}

/// A handle of a process that cannot refer to a later one with the same id.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct Hold(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Hold {
    /// The process with this id and start time; `None` if it has ended.
    pub(super) fn on(pid: u32, started: u64) -> Option<Self> {
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let hold = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty()).ok().map(Self)?;
        // From here on the id cannot be reused.
        entry(pid).filter(|entry| entry.started == started).map(|_| hold)
    }

    /// Sends a signal; a process that has ended is ignored.
    pub(super) fn send(&self, signal: Signal) {
        let _ = rustix::process::pidfd_send_signal(&self.0, signal);
    }

    pub(super) fn has_ended(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut one = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut one, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
    }
}

/// Without process handles on this system none can be created.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) enum Hold {}

#[cfg(not(target_os = "linux"))]
impl Hold {
    pub(super) fn on(_: u32, _: u64) -> Option<Self> {
        None
    }

    pub(super) fn send(&self, _: Signal) {
        match *self {}
    }

    pub(super) fn has_ended(&self) -> bool {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_user_of_a_process_is_known() {
        assert_eq!(user_of(own()), Some(rustix::process::getuid().as_raw()));
        assert_eq!(user_of(u32::MAX), None);
    }

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "12 (a) b) (c) S 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 777 22 23";
        assert_eq!(parse(stat), Some(Entry { parent: 3, group: 4, started: 777 }));
        assert_eq!(parse("12 (sh) Z 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 777"), None);
        assert_eq!(parse("12 (sh) S 3"), None);
    }

    #[test]
    fn we_are_there_and_descend_from_our_parent() {
        let table = Table::read();
        let us = table.get(own()).expect("we run");
        let mut found = BTreeSet::from([us.parent]);
        table.add_descendants(&mut found);
        assert!(found.contains(&own()));
    }

    #[test]
    fn a_process_is_held_until_its_end_and_no_other_one_of_its_number_is() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let started = entry(child.id()).unwrap().started;
        assert!(Hold::on(child.id(), started + 1).is_none());
        let hold = Hold::on(child.id(), started).unwrap();
        assert!(!hold.has_ended());
        // While a process executes another program, its command line is briefly empty.
        while command_line(child.id()).is_some_and(|line| line.is_empty()) {
            std::thread::yield_now();
        }
        assert!(describe(child.id()).ends_with(": sleep 600)"), "{}", describe(child.id()));
        hold.send(Signal::KILL);
        child.wait().unwrap();
        assert!(hold.has_ended());
        assert!(Hold::on(child.id(), started).is_none());
    }
}
