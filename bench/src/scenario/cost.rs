//! The processor time of a relayed message: of our processes by component, and of the other servers, under the same load.
//!
//! A rate says as much about the machine as about the program. Here only ratios count: each round measures every system once per window,
//! one right after the other, and each ratio is one of two runs of the same round.
//!
//! Not counted: the load generator, and the kernel's work outside of the servers' processes.

use std::time::Duration;

use super::bench::Bench;
use crate::ledger::Faults;
use crate::load::{Pair, closed};
use crate::problem::Result;
use crate::system::{Running, System, processor_times};
use crate::table::Row;

/// What is compared with the others.
const REFERENCE: &str = "mosquitto, QoS 1";

/// A system that is measured, and its runs.
struct Subject {
    system: System,
    running: Running,
    /// Name and process group of each part.
    parts: Vec<(String, u32)>,
    /// By window, then by round.
    runs: Vec<Vec<Run>>,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
struct Run {
    /// Messages a second.
    rate: f64,
    /// Microseconds per message of each part.
    parts: Vec<f64>,
    faults: Faults,
}

impl Run {
    fn micros(&self) -> f64 {
        self.parts.iter().sum()
    }
}

/// All systems in turns, for several rounds.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let windows = bench.options.windows.clone();
    let mut subjects = start(bench, windows.len()).await?;
    for round in 0..bench.options.rounds {
        for (place, window) in windows.iter().enumerate() {
            let mut measured = Vec::new();
            for mut subject in subjects {
                match once(bench, &subject, *window, round).await {
                    Ok(run) => {
                        subject.runs[place].push(run);
                        measured.push(subject);
                    }
                    // It has no figure in the later rounds either, so it is left out.
                    Err(error) => bench.report("cost", subject.system, Err(error)),
                }
            }
            subjects = measured;
        }
    }
    for (place, window) in windows.iter().enumerate() {
        report(bench, &subjects, place, *window);
    }
    Ok(())
}

async fn start(bench: &mut Bench<'_>, windows: usize) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for system in bench.systems.clone() {
        let Some(running) = bench.start("cost", system).await else { continue };
        let parts = running.process_groups()?;
        subjects.push(Subject { system, running, parts, runs: vec![Vec::new(); windows] });
    }
    Ok(subjects)
}

/// One closed loop. Processor time and messages are counted over the same seconds.
async fn once(bench: &Bench<'_>, subject: &Subject, window: u32, round: u32) -> Result<Run> {
    let Subject { system, running, parts, .. } = subject;
    let (address, prefix) = (running.address(*system), format!("c{round}w{window}"));
    let pairs = Pair::login(address, system.protocol, &prefix, bench.options.senders, false).await?;
    let groups: Vec<u32> = parts.iter().map(|(_, group)| *group).collect();
    let sampled = async {
        tokio::time::sleep(bench.options.warm_up()).await;
        let (before, begun) = (processor_times(&groups)?, tokio::time::Instant::now());
        tokio::time::sleep(bench.options.measured()).await;
        Result::Ok((before, processor_times(&groups)?, begun.elapsed()))
    };
    let (outcome, sampled) = tokio::join!(closed(pairs, bench.closed(window)), sampled);
    let ((_, outcome), (before, after, elapsed)) = (outcome?, sampled?);
    let messages = outcome.rate * elapsed.as_secs_f64();
    let each = |(before, after): (&Duration, &Duration)| {
        after.saturating_sub(*before).as_secs_f64() * 1e6 / messages
    };
    let parts = before.iter().zip(&after).map(each).collect();
    Ok(Run { rate: outcome.rate, parts, faults: outcome.faults })
}

/// A row for each system, and the ratios to [`REFERENCE`].
fn report(bench: &mut Bench<'_>, subjects: &[Subject], place: usize, window: u32) {
    let scenario = format!("cost, {window} in flight each");
    let reference = subjects.iter().find(|subject| subject.system.label == REFERENCE);
    for subject in subjects {
        let runs = &subject.runs[place];
        let row = Row {
            scenario: &scenario,
            system: subject.system.label,
            rate: Some(median(runs.iter().map(|run| run.rate))),
            faults: Some(runs.iter().fold(Faults::default(), |mut sum, run| {
                sum += run.faults;
                sum
            })),
            note: note(&subject.parts, runs),
            ..Row::default()
        };
        bench.report(&scenario, subject.system, Ok(row));
        let Some(reference) = reference.filter(|reference| reference.system.label != subject.system.label)
        else {
            continue;
        };
        println!("{:<34} {}", "", compared(runs, &reference.runs[place]));
    }
}

/// The medians over all runs, as `38.1 µs each: chat-server 19.0, …`.
fn note(parts: &[(String, u32)], runs: &[Run]) -> String {
    let each = median(runs.iter().map(Run::micros));
    let part = |(place, (name, _)): (usize, &(String, u32))| {
        format!("{name} {:.1}", median(runs.iter().map(|run| run.parts[place])))
    };
    let parts: Vec<String> = parts.iter().enumerate().map(part).collect();
    if parts.len() == 1 {
        format!("{each:.1} µs each")
    } else {
        format!("{each:.1} µs each: {}", parts.join(", "))
    }
}

/// The ratio of each round: median, least and greatest.
fn compared(runs: &[Run], reference: &[Run]) -> String {
    let mut ratios: Vec<f64> =
        runs.iter().zip(reference).map(|(run, reference)| run.micros() / reference.micros()).collect();
    ratios.sort_by(f64::total_cmp);
    let (Some(least), Some(greatest)) = (ratios.first(), ratios.last()) else {
        return format!("not compared with {REFERENCE}");
    };
    let rounds = if ratios.len() == 1 { "round" } else { "rounds" };
    format!(
        "{:.2} times {REFERENCE} ({least:.2} to {greatest:.2} in {} {rounds})",
        median(ratios.iter().copied()),
        ratios.len()
    )
}

/// The middle figure; of an even number, the upper one of the two in the middle.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(parts: &[f64]) -> Run {
        Run { rate: 1.0, parts: parts.to_vec(), faults: Faults::default() }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let ours = [run(&[20.0, 20.0]), run(&[90.0, 30.0]), run(&[10.0, 10.0])];
        let reference = [run(&[20.0]), run(&[40.0]), run(&[20.0])];
        assert_eq!(compared(&ours, &reference), "2.00 times mosquitto, QoS 1 (1.00 to 3.00 in 3 rounds)");
        assert_eq!(compared(&[], &reference), "not compared with mosquitto, QoS 1");
    }

    #[test]
    fn each_part_has_its_own_median() {
        let parts = ["message-api", "chat-server"].map(|name| (name.to_owned(), 1));
        let runs = [run(&[1.0, 9.0]), run(&[3.0, 3.0]), run(&[2.0, 5.0])];
        assert_eq!(note(&parts, &runs), "7.0 µs each: message-api 2.0, chat-server 5.0");
        assert_eq!(note(&parts[..1], &[run(&[4.0])]), "4.0 µs each");
    }
}
