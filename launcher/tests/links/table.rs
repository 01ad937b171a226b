//! The table: every quality of link, every way to write.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::hall::Hall;
use crate::link::{Link, Quality};
use crate::pattern::{Line, Pattern};
use crate::session::{Report, talk};
use crate::support::dice::{Dice, is_long, rounds};
use crate::world::World;

/// Few per session: its first line is the one that is split most easily.
const LINES: usize = 8;
/// Concurrent sessions on one link.
const AT_ONCE: usize = 96;

/// A part of the table: links of these qualities, with this many sessions of each pattern on each.
struct Batch {
    qualities: Vec<Quality>,
    sessions: usize,
}

fn batches() -> Vec<Batch> {
    let sessions = rounds(4, 180);
    if !is_long() {
        let qualities = [(0, 0), (0, 5), (40, 1), (100, 5), (300, 1)];
        let qualities = qualities.map(|(delay, loss)| Quality { delay, loss }).into();
        return vec![Batch { qualities, sessions }];
    }
    let row = |loss| Batch {
        qualities: [0, 10, 40, 100, 300].map(|delay| Quality { delay, loss }).into(),
        sessions,
    };
    [0, 1, 5].map(row).into()
}

#[test]
fn no_line_of_a_client_that_ends_lines_is_cut() {
    let (mut dice, seed) = Dice::cast();
    eprintln!("P2P_SEED={seed}");
    let Some(world) = World::start(5) else { return };
    let mut wrong = Vec::new();
    eprintln!(
        "{:>8} {:>6} {:>9} {:>6} {:>5} {:>9} {:>9}",
        "delay ms", "loss %", "sessions", "lines", "cut", "p50 ms", "p99 ms"
    );
    let mut number = 0;
    for Batch { qualities, sessions } in batches() {
        let links: Vec<Link> = qualities
            .into_iter()
            .map(|quality| {
                number += 1;
                world.link(number, quality, dice.split())
            })
            .collect();
        let reports = on_all(&links, sessions, &mut dice, &world.hall);
        for (link, report) in links.iter().zip(reports) {
            let Quality { delay, loss } = link.quality;
            let sessions = sessions * Pattern::ALL.len();
            let [median, p99] = [50, 99].map(|percent| report.percentile(percent).as_secs_f64() * 1000.0);
            let Report { lines, cut, .. } = report;
            eprintln!("{delay:>8} {loss:>6} {sessions:>9} {lines:>6} {cut:>5} {median:>9.1} {p99:>9.1}");
            wrong.extend(report.wrong);
        }
    }
    assert!(wrong.is_empty(), "P2P_SEED={seed}:\n{}", wrong.join("\n"));
}

/// The same on each of these links at once.
fn on_all(links: &[Link], sessions: usize, dice: &mut Dice, hall: &Hall) -> Vec<Report> {
    std::thread::scope(|scope| {
        let at_work: Vec<_> = links
            .iter()
            .map(|link| {
                let dice = dice.split();
                scope.spawn(move || link.clients.within(|| on_one(link, sessions, dice, hall)))
            })
            .collect();
        at_work.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn on_one(link: &Link, sessions: usize, mut dice: Dice, hall: &Hall) -> Report {
    // All sockets are created by this thread, which is in the link's namespace.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut report = Report::default();
        let mut at_work = FuturesUnordered::new();
        for number in 0..sessions * Pattern::ALL.len() {
            let pattern = Pattern::ALL[number % Pattern::ALL.len()];
            let name = format!("s{}-{number}", link.server.ip().to_string().replace('.', "-"));
            let mut dice = dice.split();
            let lines: Vec<Line> = (0..LINES).map(|number| Line::treacherous(number, &mut dice)).collect();
            at_work.push(async move { talk(link.server, &name, pattern, &lines, &mut dice, hall).await });
            if at_work.len() >= AT_ONCE {
                report.add(at_work.next().await.unwrap());
            }
        }
        while let Some(one) = at_work.next().await {
            report.add(one);
        }
        report
    })
}
