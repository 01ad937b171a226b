//! `up --foreground-logs`.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::house::home;
use crate::support::{Home, kill, wait_for};

const CONFIG: &str = "[components.web]
command = ['sh', '-c', 'printf half; sleep 0.1; echo -line; echo $API_TOKEN >&2; while :; do sleep 1; done']
env = { API_TOKEN = 'hunter22' }
needs = []
[components.counter]
command = ['seq', '1', '20000']
restart = 'never'
needs = []
";

fn start(home: &Home, flags: &[&str]) -> Child {
    home.command(&[&["up"], flags].concat()).spawn().unwrap()
}

/// All that it writes, when it ends by itself once it was told to.
fn end(mut child: Child) -> String {
    kill(child.id(), "-TERM");
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    text
}

#[test]
fn every_line_is_on_standard_output_after_its_name() {
    for flags in [&["--foreground-logs"][..], &["--logs", "-"]] {
        let home = home(CONFIG);
        let mut child = start(&home, flags);
        let mut seen = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_all = |seen: &[String]| {
            let has = |text: &str| seen.iter().any(|line| line.ends_with(text));
            has(" | half-line") && has(" | ***") && has(" | 20000") && has("launcher status")
        };
        while !is_all(&seen) {
            seen.push(lines.next().expect("there is more to come").unwrap());
        }
        kill(child.id(), "-TERM");
        seen.extend(lines.map(Result::unwrap));
        assert!(child.wait().unwrap().success());
        assert_eq!(seen.pop().as_deref(), Some("stopped"));
        assert!(seen.iter().all(|line| line.contains(" |")), "{seen:#?}");
        let prefix = format!("{:<11} | ", "counter");
        let counted: Vec<String> =
            seen.iter().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect();
        assert_eq!(
            counted,
            (1..=20_000).map(|n| n.to_string()).collect::<Vec<_>>(),
            "none is missing, in their order"
        );
        assert!(!seen.iter().any(|line| line.contains("hunter22") || line.contains('\u{1b}')), "{seen:#?}");
    }
}

#[test]
fn a_reader_that_stands_still_holds_up_nothing_and_is_told_what_it_missed() {
    let config =
        "[components.flood]\ncommand = ['sh', '-c', 'seq 1 400000; echo over; exec sleep 600']\nneeds = []\n";
    let home = home(config);
    let mut child = start(&home, &["--foreground-logs"]);
    let log = home.logs().join("flood.log");
    wait_for("the flood to be in the log", || {
        std::fs::read_to_string(&log).ok().filter(|log| log.ends_with("over\n"))
    });
    wait_for("all to be up", || home.run(&["status"]).status.success().then_some(()));
    // Now it is read again.
    let mut text = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let (mut seen, mut missed) = (0_u64, 0_u64);
    // All are accounted for: those of the flood and its last word.
    while seen + missed < 400_001 {
        text.clear();
        assert!(stdout.read_line(&mut text).unwrap() > 0, "the end came before it was told");
        assert!(text.contains(" | ") && text.ends_with('\n'), "{text:?}");
        match text.split_once(" lines not shown: ") {
            Some((count, _)) => missed += count.rsplit(' ').next().unwrap().parse::<u64>().unwrap(),
            None => seen += u64::from(text.starts_with("flood ")),
        }
    }
    assert!(missed > 100_000 && seen > 10_000, "{missed} {seen}");
    // And again nobody reads: it ends all the same.
    let asked = Instant::now();
    kill(child.id(), "-TERM");
    assert!(child.wait().unwrap().success());
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn without_it_standard_output_is_the_table_alone() {
    let home = home(CONFIG);
    let child = start(&home, &[]);
    let log = home.logs().join("counter.log");
    wait_for("the lines in the log", || {
        std::fs::read_to_string(&log).ok().filter(|log| log.ends_with("20000\n"))
    });
    wait_for("all to be up", || home.run(&["status"]).status.success().then_some(()));
    let text = end(child);
    assert!(text.starts_with("COMPONENT") && !text.contains("half-line") && !text.contains(" |"), "{text}");
    assert_eq!(home.run(&["up", "--foreground-logs", "--detach"]).status.code(), Some(64));
}
