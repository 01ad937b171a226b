//! Measures the throughput of logs, compared with supervisord (Debian's package `supervisor`) on the same input in the same run.
//!
//! `cargo bench -p launcher --bench logs` prints a table. Each of five processes writes the same text (`P2P_BENCH_MB`, 400 MB by default)
//! as fast as possible; files are rotated at 50 MiB and ten of them kept, as supervisord does by default. The time is measured from the
//! first process's start until the last byte of all is in its log. The runs alternate, and the median of three counts; the benchmark fails
//! if the launcher is slower. The launcher masks secrets and computes checksums meanwhile, and compresses rotated files afterwards;
//! supervisord does not.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on ends, and prints what it found"
)]

use std::fmt::Write;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROCESSES: usize = 5;
const ROUNDS: usize = 3;
/// The maximum memory of the launcher, however much is written.
const MAX_PEAK_MIB: f64 = 32.0;
const END: &[u8] = b"the end of the input\n";

/// The result of one run.
#[derive(Debug, Clone, Copy)]
struct Run {
    megabytes_per_second: f64,
    /// Of the process that writes the logs.
    cpu_seconds: f64,
    peak_mib: f64,
}

fn main() {
    if Command::new("supervisord").arg("--version").output().is_err() {
        println!("there is no supervisord here; install Debian's package supervisor");
        return;
    }
    let megabytes: usize = std::env::var("P2P_BENCH_MB").ok().map_or(400, |text| text.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let input = place.path().join("input");
    write_input(&input, megabytes * 1_000_000);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(measure(&input, megabytes, launcher));
        theirs.push(measure(&input, megabytes, supervisord));
    }
    let (ours, theirs) = (middle(ours), middle(theirs));
    println!("{PROCESSES} processes with {megabytes} MB each, the middle of {ROUNDS} runs:\n");
    println!("| | MB/s | processor time | peak memory |\n| --- | --- | --- | --- |");
    for (name, run) in [("launcher", ours), ("supervisord", theirs)] {
        let Run { megabytes_per_second, cpu_seconds, peak_mib } = run;
        println!("| {name} | {megabytes_per_second:.0} | {cpu_seconds:.2} s | {peak_mib:.1} MiB |");
    }
    let ratio = ours.megabytes_per_second / theirs.megabytes_per_second;
    println!("\nratio: {ratio:.2}");
    assert!(ratio > 1.0, "the launcher is slower");
    assert!(ours.peak_mib < MAX_PEAK_MIB, "the launcher takes more than {MAX_PEAK_MIB} MiB");
}

/// Lines of 20 to 220 bytes.
fn write_input(path: &Path, bytes: usize) {
    let mut text = String::with_capacity(bytes + 300);
    for number in 0_usize.. {
        let length = number * 7919 % 200;
        writeln!(text, "line number {number:08} {:=<length$}", "").unwrap();
        if text.len() >= bytes {
            break;
        }
    }
    text.push_str(std::str::from_utf8(END).unwrap());
    std::fs::write(path, text).unwrap();
}

/// Starts a program that runs the scripts, and returns where their logs are.
type Start = fn(&Path, &[String]) -> (Child, Vec<PathBuf>);

fn measure(input: &Path, megabytes: usize, start: Start) -> Run {
    let place = tempfile::tempdir().unwrap();
    let begun = place.path().join("begun");
    let script = format!("touch {}; cat {}; exec sleep 6000", begun.display(), input.display());
    let (mut child, logs) = start(place.path(), &vec![script; PROCESSES]);
    wait(|| begun.exists());
    let begin = Instant::now();
    wait(|| logs.iter().all(|log| ends(log)));
    let seconds = begin.elapsed().as_secs_f64();
    let run = Run {
        megabytes_per_second: (megabytes * PROCESSES) as f64 / seconds,
        cpu_seconds: cpu_seconds(child.id()),
        peak_mib: peak_mib(child.id()),
    };
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    child.wait().unwrap();
    run
}

fn launcher(place: &Path, scripts: &[String]) -> (Child, Vec<PathBuf>) {
    let mut config = String::from("[logs]\nfile-mib = 50\nfiles = 10\ntotal-mib = 100000\n");
    for (number, script) in scripts.iter().enumerate() {
        writeln!(config, "[components.say-{number}]\nneeds = []\ncommand = ['sh', '-c', '{script}']")
            .unwrap();
    }
    std::fs::write(place.join("launcher.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
    command.current_dir(place).args(["up", "--config", "launcher.toml", "--data", "data", "--logs", "logs"]);
    command.args(["--no-web", "--no-thermometer", "--no-openai"]);
    command.args(["--set", "message-api.command=sleep 6000", "--set", "chat-server.command=sleep 6000"]);
    let logs = (0..scripts.len()).map(|number| place.join(format!("logs/say-{number}.log"))).collect();
    (command.stdout(Stdio::null()).spawn().unwrap(), logs)
}

fn supervisord(place: &Path, scripts: &[String]) -> (Child, Vec<PathBuf>) {
    let shown = place.display();
    let mut config = format!("[supervisord]\nnodaemon=true\nlogfile={shown}/main.log\npidfile={shown}/pid\n");
    for (number, script) in scripts.iter().enumerate() {
        let log = format!("stdout_logfile={shown}/say-{number}.log\nredirect_stderr=true");
        writeln!(config, "[program:say-{number}]\ncommand=sh -c \"{script}\"\n{log}").unwrap();
    }
    std::fs::write(place.join("supervisord.conf"), config).unwrap();
    let mut command = Command::new("supervisord");
    command.current_dir(place).args(["-c", "supervisord.conf"]).stdout(Stdio::null());
    let logs = (0..scripts.len()).map(|number| place.join(format!("say-{number}.log"))).collect();
    (command.spawn().unwrap(), logs)
}

fn wait(is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !is() {
        assert!(Instant::now() < deadline, "it takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn ends(log: &Path) -> bool {
    let Ok(mut file) = std::fs::File::open(log) else { return false };
    let mut end = Vec::new();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(length.saturating_sub(END.len() as u64))).unwrap();
    file.read_to_end(&mut end).unwrap();
    end == END
}

fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn middle(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|one, other| one.megabytes_per_second.total_cmp(&other.megabytes_per_second));
    runs[runs.len() / 2]
}
