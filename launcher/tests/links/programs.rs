//! Programs that share no code with ours, on a link of 40 ms with 3 % loss.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::link::Quality;
use crate::network::Host;
use crate::pattern::Line;
use crate::session::{Report, hear, judge};
use crate::support::dice::{Dice, rounds};
use crate::world::World;

const JAVA: &str = include_str!("programs/Lines.java");
const NODE: &str = include_str!("programs/lines.js");
const PYTHON: &str = include_str!("programs/lines.py");
const SHELL: &str = include_str!("programs/lines.sh");
/// The messages of each to `bob`.
const LINES: usize = 20;

/// A program, what it is run by, and how that takes it.
type Program = (&'static str, &'static str, &'static [&'static str]);

const PROGRAMS: [Program; 4] = [
    ("node", NODE, &["node", "-"]),
    ("python3", PYTHON, &["python3", "-"]),
    ("nc.openbsd", SHELL, &["sh", "-s", "--"]),
    ("java", JAVA, &["java"]),
];

#[test]
fn no_line_of_a_program_in_another_language_is_cut() {
    let (mut dice, seed) = Dice::cast();
    let Some(world) = World::start(1) else { return };
    let link = world.link(0, Quality { delay: 40, loss: 3 }, dice.split());
    let folder = tempfile::tempdir().unwrap();
    let java = folder.path().join("Lines.java");
    std::fs::write(&java, JAVA).unwrap();
    for (program, source, start) in PROGRAMS {
        if !is_there(program) {
            eprintln!("SKIPPED: no {program} here, so its way of writing is not tested");
            continue;
        }
        let mut arguments: Vec<&str> = start.to_vec();
        if program == "java" {
            arguments.push(java.to_str().unwrap());
        }
        let mut all = Report::default();
        for round in 0..rounds(2, 25) {
            let name = format!("{program}-{round}");
            all.add(run(&world, &link.clients, (&arguments, source), &link.server.to_string(), &name));
        }
        eprintln!("{program}: {} of {} lines are cut", all.cut, all.lines);
        assert!(all.wrong.is_empty(), "P2P_SEED={seed}: {program}: {}", all.wrong.join("\n"));
    }
}

fn run(world: &World, host: &Host, (start, source): (&[&str], &str), server: &str, name: &str) -> Report {
    let mut listener = world.hall.listen_to(name);
    let (address, port) = server.split_once(':').unwrap();
    let mut command = Command::new(start[0]);
    command.args(&start[1..]).args([address, port, name]).stdin(Stdio::piped());
    let mut child = host.within(|| command.stdout(Stdio::null()).spawn().unwrap());
    // A system without the program skips it.
    let _ = child.stdin.take().unwrap().write_all(source.as_bytes());
    assert!(child.wait().unwrap().success(), "{name} failed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let lines: Vec<Line> = (0..LINES).map(|n| Line { to: "bob", body: format!("{n} bob: hi") }).collect();
    let heard = runtime.block_on(hear(&mut listener, &lines));
    // The times of the writes are unknown.
    judge(&lines, &vec![Instant::now(); LINES], &heard)
}

fn is_there(program: &str) -> bool {
    let which = Command::new("sh").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
    which.is_ok_and(|status| status.success())
}
