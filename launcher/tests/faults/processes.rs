//! Processes according to `/proc`.

use std::collections::BTreeMap;

use crate::support::processes::files;

/// The processes with the mark of a run, by component; zombies have no environment and are omitted.
pub(crate) fn marked(run: &str) -> BTreeMap<String, Vec<u32>> {
    let mark = format!("P2P_RUN={run}/");
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (pid, environ) in files("environ") {
        for variable in environ.split(|byte| *byte == 0) {
            if let Some(name) = variable.strip_prefix(mark.as_bytes()) {
                found.entry(String::from_utf8_lossy(name).into_owned()).or_default().push(pid);
            }
        }
    }
    found
}

/// The processes of a run, by their mark or by a word of their command line that only tests use.
pub(crate) fn left(run: &str) -> BTreeMap<String, Vec<u32>> {
    let mut found = marked(run);
    let word = crate::misbehave::of_run(run);
    for (pid, line) in files("cmdline") {
        let is_marked = found.values().flatten().any(|known| *known == pid);
        if !is_marked && line.split(|byte| *byte == 0).any(|found| found == word.as_bytes()) {
            found.entry("without a mark".to_owned()).or_default().push(pid);
        }
    }
    found
}

/// The guards of a run.
pub(crate) fn guards(run: &str) -> Vec<u32> {
    let is_guard = |line: &[u8]| {
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.get(1) == Some(&&b"guard"[..]) && words.get(2) == Some(&run.as_bytes())
    };
    files("cmdline").filter(|(_, line)| is_guard(line)).map(|(pid, _)| pid).collect()
}

/// How many entries a directory of a process has, such as `fd` or `task`.
pub(crate) fn count(pid: u32, directory: &str) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/{directory}")).unwrap().count()
}

/// The CPU time of a process, all threads, in nanoseconds.
pub(crate) fn time_on_processors(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    stats.filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok()).sum()
}

/// The memory of a process in KiB: resident, and proportional.
pub(crate) fn memory(pid: u32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (line("Rss:"), line("Pss:"))
}
