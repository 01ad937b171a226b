//! Whether a process was killed by the kernel for lack of memory.
//!
//! To the process and its parent it looks like any KILL. A control group with the memory controller counts such kills; without one there
//! is only the count of the whole machine, which makes it likely but not certain.

use std::fs;

use serde::{Deserialize, Serialize};

use super::exit::ProcessExit;

/// What is known about kills for lack of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Oom {
    /// Nothing.
    #[default]
    None,
    /// The kernel killed this many of its processes.
    Killed(u64),
    /// It was killed, and this many processes of the machine were killed for lack of memory while it ran.
    Likely(u64),
}

impl Oom {
    /// Whether no such kill is known.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Describes how a process ended, with such kills.
    #[must_use]
    pub fn explain(self, exit: ProcessExit) -> String {
        match self {
            Self::None => exit.to_string(),
            Self::Killed(_) if exit.is_kill() => {
                format!("{exit}: out of memory, it reached its memory limit")
            }
            Self::Killed(1) => format!("{exit}; the kernel killed one of its processes: out of memory"),
            Self::Killed(count) => {
                format!("{exit}; the kernel killed {count} of its processes: out of memory")
            }
            Self::Likely(_) => format!("{exit}: most likely out of memory (see the kernel's log)"),
        }
    }
}

/// The machine's count before a process was started.
#[derive(Debug, Clone, Copy)]
pub(super) struct OomWatch(u64);

impl OomWatch {
    pub(super) fn begin() -> Self {
        Self(of_machine())
    }

    /// What is known after its end; `own` is the count of its control group.
    pub(super) fn end(self, exit: ProcessExit, own: Option<u64>) -> Oom {
        match own {
            Some(0) => Oom::None,
            Some(count) => Oom::Killed(count),
            None if exit.is_kill() => match of_machine().saturating_sub(self.0) {
                0 => Oom::None,
                count => Oom::Likely(count),
            },
            None => Oom::None,
        }
    }
}

/// The number of processes killed for lack of memory since the machine was started, `proc_vmstat(5)`.
fn of_machine() -> u64 {
    let counters = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = counters.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_groups_count_is_believed_and_the_machines_makes_it_likely() {
        let (killed, failed) = (ProcessExit::Signal(9), ProcessExit::Code(1));
        let watch = OomWatch::begin();
        assert_eq!(watch.end(killed, Some(0)), Oom::None);
        assert_eq!(watch.end(failed, Some(2)), Oom::Killed(2));
        assert_eq!(watch.end(failed, None), Oom::None);
        assert_eq!(OomWatch(u64::MAX).end(killed, None), Oom::None);
        let text = Oom::Killed(1).explain(killed);
        assert_eq!(text, "was killed by SIGKILL: out of memory, it reached its memory limit");
        assert_eq!(
            Oom::Killed(1).explain(failed),
            "exited with code 1; the kernel killed one of its processes: out of memory"
        );
        assert_eq!(Oom::None.explain(failed), "exited with code 1");
    }
}
