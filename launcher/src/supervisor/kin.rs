//! Processes that belong together, by whatever they were found.
//!
//! A process can leave its group and its session, clear its environment and close its files, but not all that it did before can be
//! undone: it has a parent. So what one of them starts belongs to them, too, and whoever was seen once is held until its end, also when
//! nothing tells any more whose it is. Where they have a control group, that knows all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::cgroup::Group;
use super::proc::{self, Entry, Hold, Table};

/// The waits between two looks whether one has ended: the first one, and the longest.
const FIRST_POLL: Duration = Duration::from_millis(2);
const LONGEST_POLL: Duration = Duration::from_millis(50);

/// It is looked for new ones at least this often while their end is waited for.
const LOOK: Duration = Duration::from_millis(250);

/// Tells by itself whether a process belongs to them.
pub(super) type Belongs = Box<dyn Fn(u32, &Entry) -> bool + Send + Sync>;

/// The processes.
pub(super) struct Kin {
    /// Whose descendants belong to them, without being one of them itself.
    root: Option<u32>,
    belongs: Belongs,
    group: Option<Group>,
    members: BTreeMap<u32, Member>,
}

/// One of them.
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

impl fmt::Debug for Kin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kin")
            .field("root", &self.root)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

impl Kin {
    /// Those that belong to them by themselves, what descends from these, and from `root`, which is none of them. Nobody is known yet.
    pub(super) fn new(root: Option<u32>, belongs: Belongs) -> Self {
        Self { root, belongs, group: None, members: BTreeMap::new() }
    }

    /// All in this control group are of them, too.
    pub(super) fn within(self, group: Option<Group>) -> Self {
        Self { group, ..self }
    }

    /// Kills all in the control group, where there is one; the others need a signal.
    pub(super) fn kill_group(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
    }

    /// How many of them the kernel has killed for lack of memory, where their control group tells.
    pub(super) fn oom_kills(&self) -> Option<u64> {
        self.group.as_ref()?.oom_kills()
    }

    /// Looks who there is now.
    pub(super) fn look(&mut self) -> &BTreeMap<u32, Member> {
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

    /// Who was there at the last look, for the operator; a few of them.
    pub(super) fn describe(&self) -> String {
        const FEW: usize = 3;
        let named: Vec<String> = self.members.keys().take(FEW).map(|pid| proc::describe(*pid)).collect();
        let more = self.members.len().saturating_sub(FEW);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        named.join(", ") + &more
    }

    /// Waits until all who were there at the last look have ended, or until it is time for another look; not longer than `patience`.
    pub(super) async fn ended(&self, patience: Duration) {
        let deadline = Instant::now() + LOOK.min(patience);
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
        // The one that stays closes all and forgets all, then its parent ends.
        let script = "env -i setsid sh -c 'exec sleep 600 </dev/null >/dev/null 2>&1' & echo up; read go";
        let mut command = Command::new("sh");
        let mut parent =
            command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut kin = Kin::new(Some(parent.id()), Box::new(|_, _| false));
        assert_eq!(kin.look().len(), 1, "{kin:?}");
        drop(parent.stdin.take());
        parent.wait().unwrap();
        assert_eq!(kin.look().len(), 1, "{kin:?}");
        kin.look().values().for_each(|member| member.send(Signal::KILL));
        kin.ended(LOOK).await;
        assert_eq!(kin.look().len(), 0, "{kin:?}");
    }
}
