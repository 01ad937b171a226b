//! The resource usage of the components' processes: CPU time and memory. Read from `/proc` by the command that shows it, so that it costs
//! the launcher nothing.
//!
//! A component is measured by its process group. Memory is the proportional set size (PSS): all components are the same executable, whose
//! shared pages would otherwise be counted repeatedly.

use std::collections::BTreeMap;
use std::time::Instant;

use super::proc;
use super::status::{Load, Snapshot};

/// Remembers the last measurement.
#[derive(Debug, Default)]
pub struct Meter {
    last: BTreeMap<u32, (Instant, f64)>,
}

/// A process according to `/proc/PID/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    group: u32,
    cpu_s: f64,
    /// CPU time of children that it has waited for.
    children_s: f64,
    /// Start time in seconds since the machine started.
    started_s: f64,
    /// Resident memory in bytes.
    resident: u64,
}

impl Meter {
    /// Adds the usage of every component and of the launcher to a snapshot.
    pub fn measure(&mut self, snapshot: &mut Snapshot) {
        let groups: Vec<u32> = snapshot.components.iter().filter_map(|component| component.pid).collect();
        let mut loads = self.measure_groups(&groups, snapshot.launcher_pid);
        snapshot.load = loads.remove(&snapshot.launcher_pid);
        for component in &mut snapshot.components {
            component.load = component.pid.and_then(|pid| loads.remove(&pid));
        }
    }

    fn measure_groups(&mut self, groups: &[u32], launcher: u32) -> BTreeMap<u32, Load> {
        let now = Instant::now();
        let uptime = uptime();
        let mut found: BTreeMap<u32, (Load, f64)> = BTreeMap::new();
        for pid in proc::pids() {
            let Some(stat) = stat(pid) else { continue };
            // The launcher's group includes its shell's jobs, so only the launcher itself is counted.
            let key = if pid == launcher { pid } else { stat.group };
            if pid != launcher && !groups.contains(&key) {
                continue;
            }
            let (load, started) = found.entry(key).or_insert_with(|| (Load::default(), stat.started_s));
            load.processes += 1;
            // The launcher's children are the components, whose usage is not its own.
            load.cpu_s += if pid == launcher { stat.cpu_s } else { stat.cpu_s + stat.children_s };
            load.memory_bytes += proportional(pid).unwrap_or(stat.resident);
            *started = started.min(stat.started_s);
        }
        let last = std::mem::take(&mut self.last);
        let rated = found.into_iter().map(|(key, (mut load, started))| {
            let (time, used) = match last.get(&key) {
                Some((then, cpu_s)) => (now.duration_since(*then).as_secs_f64(), load.cpu_s - cpu_s),
                None => (uptime - started, load.cpu_s),
            };
            // Below the resolution of the clock.
            load.cpu_percent = if time > 0.02 { (100.0 * used / time).max(0.0) } else { 0.0 };
            self.last.insert(key, (now, load.cpu_s));
            (key, load)
        });
        rated.collect()
    }
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Parses `pid (name) state ppid pgrp …`, where the name may contain anything; `proc_pid_stat(5)`, whose first field is 1.
#[expect(clippy::cast_precision_loss, reason = "for people to read; exact for a hundred million seconds")]
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |field: usize| fields.get(field - 3)?.trim().parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    let (user, system, children) = (number(14)?, number(15)?, number(16)? + number(17)?);
    Some(Stat {
        group: fields.get(2)?.parse().ok()?,
        cpu_s: seconds(user + system),
        children_s: seconds(children),
        started_s: seconds(number(22)?),
        resident: number(24)? * rustix::param::page_size() as u64,
    })
}

fn proportional(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Seconds since the machine started.
fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_calls_itself() {
        let text = "7 (a ) b) S 1 42 42 0 -1 4194560 1 0 0 0 250 50 10 20 20 0 3 0 900 1000 5 18446744073709551615 0";
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = parse(text).unwrap();
        assert_eq!((stat.group, stat.resident), (42, 5 * rustix::param::page_size() as u64));
        assert!((stat.cpu_s * ticks as f64 - 300.0).abs() < 0.01, "{stat:?}");
        assert!((stat.children_s * ticks as f64 - 30.0).abs() < 0.01, "{stat:?}");
        assert!((stat.started_s * ticks as f64 - 900.0).abs() < 0.01, "{stat:?}");
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn what_children_used_is_a_groups_own_and_not_the_launchers() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", busy]).status().unwrap().success());
        let me = std::process::id();
        let stat = stat(me).unwrap();
        assert!(stat.children_s > 0.0, "{stat:?}");
        let (as_launcher, as_group) =
            (Meter::default().measure_groups(&[], me), Meter::default().measure_groups(&[stat.group], 0));
        assert!(as_launcher[&me].cpu_s + stat.children_s <= as_group[&stat.group].cpu_s + 0.05);
    }

    #[test]
    fn work_shows_and_rest_does_not() {
        let mut meter = Meter::default();
        let me = std::process::id();
        let begin = Instant::now();
        meter.measure_groups(&[], me);
        while begin.elapsed().as_millis() < 100 {
            std::hint::black_box(begin);
        }
        let busy = meter.measure_groups(&[], me)[&me];
        assert!(busy.cpu_percent > 1.0 && busy.memory_bytes > 100_000 && busy.processes == 1, "{busy:?}");
    }
}
