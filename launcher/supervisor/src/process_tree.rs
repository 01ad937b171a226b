//! A set of related processes, such as a component's.
//!
//! A process can leave its group and session, clear its environment and close its files, but it has a parent. So descendants of a member
//! are members, too, and a process that was once found remains a member until its end, even if nothing identifies it any more. A control
//! group, if there is one, has all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::cgroup::Group;
use super::proc::{self, Entry, Hold, Table};

/// The intervals of polling for an end: the first one, and the longest.
const FIRST_POLL: Duration = Duration::from_millis(2);
const LONGEST_POLL: Duration = Duration::from_millis(50);

/// The maximum interval of searches for new members while waiting for their end.
const SEARCH_INTERVAL: Duration = Duration::from_millis(250);

/// Whether a process is a member by its own properties.
pub(super) type Belongs = Box<dyn Fn(u32, &Entry) -> bool + Send + Sync>;

/// The members.
pub(super) struct ProcessTree {
    /// The process whose descendants are members without it being one itself.
    root: Option<u32>,
    belongs: Belongs,
    group: Option<Group>,
    members: BTreeMap<u32, Member>,
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    hold: Hold,
    entry: Entry,
}

impl Member {
    pub(super) fn group(&self) -> u32 {
        self.entry.group
    }

    pub(super) fn send(&self, signal: Signal) {
        self.hold.send(signal);
    }
}

impl fmt::Debug for ProcessTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessTree")
            .field("root", &self.root)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

impl ProcessTree {
    /// The processes for which `belongs` is true, with their descendants and those of `root`, which is no member itself. Nothing has been
    /// searched yet.
    pub(super) fn new(root: Option<u32>, belongs: Belongs) -> Self {
        Self { root, belongs, group: None, members: BTreeMap::new() }
    }

    /// Adds all processes of this control group.
    pub(super) fn within(self, group: Option<Group>) -> Self {
        Self { group, ..self }
    }

    /// Kills the processes of the control group, if there is one; the others need a signal.
    pub(super) fn kill_group(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
    }

    /// The control group, if there is one; from now on it is not searched.
    pub(super) fn release_group(&mut self) -> Option<Group> {
        self.group.take()
    }

    /// Prepares the next incarnation's control group, if this one has one.
    pub(super) fn expect_successor(&self) {
        if let Some(group) = &self.group {
            group.expect_successor();
        }
    }

    /// The number of members that the kernel has killed for lack of memory, if their control group counts that.
    pub(super) fn oom_kills(&self) -> Option<u64> {
        self.group.as_ref()?.oom_kills()
    }

    /// Searches for members, and returns those running now.
    pub(super) fn search(&mut self) -> &BTreeMap<u32, Member> {
        let table = Table::read();
        self.members.retain(|pid, member| {
            table.get(*pid).is_some_and(|entry| {
                let is_same = entry.started == member.entry.started;
                member.entry = *entry;
                is_same
            })
        });
        let mut found: BTreeSet<u32> = self.members.keys().copied().chain(self.root).collect();
        let known = table.iter().filter(|(pid, entry)| (self.belongs)(*pid, entry)).map(|(pid, _)| pid);
        let known: Vec<u32> = known.collect();
        found.extend(known);
        found.extend(self.group.iter().flat_map(Group::processes));
        table.add_descendants(&mut found);
        for pid in found {
            if Some(pid) == self.root || pid == proc::own() || self.members.contains_key(&pid) {
                continue;
            }
            if let Some(entry) = table.get(pid)
                && let Some(hold) = Hold::on(pid, entry.started)
            {
                self.members.insert(pid, Member { hold, entry: *entry });
            }
        }
        &self.members
    }

    /// Describes a few members of the last search.
    pub(super) fn describe(&self) -> String {
        const FEW: usize = 3;
        let named: Vec<String> = self.members.keys().take(FEW).map(|pid| proc::describe(*pid)).collect();
        let more = self.members.len().saturating_sub(FEW);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        named.join(", ") + &more
    }

    /// Waits until all members of the last search have ended, or until the next search is due; at most `timeout`.
    pub(super) async fn ended(&self, timeout: Duration) {
        let deadline = Instant::now() + SEARCH_INTERVAL.min(timeout);
        let mut poll = FIRST_POLL;
        while Instant::now() < deadline && !self.members.values().all(|member| member.hold.has_ended()) {
            tokio::time::sleep(poll).await;
            poll = (poll * 2).min(LONGEST_POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn who_was_seen_with_its_parent_is_known_without_it() {
        // The remaining process closes and clears everything, then its parent ends.
        let script = "env -i setsid sh -c 'exec sleep 600 </dev/null >/dev/null 2>&1' & echo up; read go";
        let mut command = Command::new("sh");
        let mut parent =
            command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut process_tree = ProcessTree::new(Some(parent.id()), Box::new(|_, _| false));
        assert_eq!(process_tree.search().len(), 1, "{process_tree:?}");
        drop(parent.stdin.take());
        parent.wait().unwrap();
        assert_eq!(process_tree.search().len(), 1, "{process_tree:?}");
        process_tree.search().values().for_each(|member| member.send(Signal::KILL));
        process_tree.ended(SEARCH_INTERVAL).await;
        assert_eq!(process_tree.search().len(), 0, "{process_tree:?}");
    }
}
