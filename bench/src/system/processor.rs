//! The processor time of processes, from `/proc/PID/stat` (proc(5)).

use std::time::Duration;

use crate::problem::Result;

/// The processor time so far of the processes in each of these process groups, in user and kernel mode, with all threads, those that ended
/// included.
///
/// # Errors
/// If `/proc` cannot be read, or a group has no process.
pub fn processor_times(groups: &[u32]) -> Result<Vec<Duration>> {
    let mut ticks: Vec<Option<u64>> = vec![None; groups.len()];
    for entry in std::fs::read_dir("/proc")?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some(used) = Used::parse(&stat) else { continue };
        if let Some(place) = groups.iter().position(|group| *group == used.group) {
            *ticks[place].get_or_insert(0) += used.ticks;
        }
    }
    let a_second = rustix::param::clock_ticks_per_second();
    let time = |(group, ticks): (&u32, Option<u64>)| {
        let ticks = ticks.ok_or_else(|| format!("process group {group} has no process"))?;
        Ok(Duration::from_millis(ticks * 1000 / a_second))
    };
    groups.iter().zip(ticks).map(time).collect()
}

/// What one process has used.
#[derive(Debug, PartialEq, Eq)]
struct Used {
    group: u32,
    ticks: u64,
}

impl Used {
    /// The name of the program, in parentheses, may contain spaces and parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
        // Fields 5 (pgrp), 14 (utime) and 15 (stime); the first one here is field 3.
        let group = fields.nth(2)?.parse().ok()?;
        let user: u64 = fields.nth(8)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Self { group, ticks: user + system })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_proc_5_whatever_the_program_is_called() {
        let rest = "S 1 4242 4242 0 -1 4194560 900 0 3 0 150 27 8 9 20 0 12 0 88 1 2 3";
        for name in ["bench", "a b) R 1 7 (", "(sd-pam)"] {
            let stat = format!("4243 ({name}) {rest}\n");
            assert_eq!(Used::parse(&stat), Some(Used { group: 4242, ticks: 177 }), "{name}");
        }
        for cut in ["", "1 (x", "1 (x) S 1 2", "1 (x) S 1 2 3 4 5 6 7 8 9 10 11"] {
            assert_eq!(Used::parse(cut), None, "{cut}");
        }
    }

    #[test]
    fn what_this_process_uses_is_counted() {
        let group = rustix::process::getpgrp().as_raw_nonzero().get().unsigned_abs();
        let before = processor_times(&[group]).unwrap()[0];
        let mut sum = 0_u64;
        while processor_times(&[group]).unwrap()[0] < before + Duration::from_millis(30) {
            sum = (0..100_000).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
        }
        assert!(processor_times(&[u32::MAX]).is_err());
    }
}
