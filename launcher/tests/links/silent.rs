//! Clients that never send a newline: each waits for the answer before it sends more.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::link::Quality;
use crate::pattern::Line;
use crate::session::{hear, judge};
use crate::support::PATIENCE;
use crate::support::dice::{Dice, is_long, rounds};
use crate::world::World;

/// On the server's own machine input without a newline is answered within this time.
const ANSWERED_WITHIN: Duration = Duration::from_millis(300);

#[test]
fn clients_that_send_no_newline_are_answered_soon() {
    let (mut dice, _) = Dice::cast();
    let Some(world) = World::start(1) else { return };
    let here = (world.network.host(1), SocketAddr::from(([127, 0, 0, 1], 5000)));
    let link = world.link(0, Quality { delay: 40, loss: 0 }, dice.split());
    let there = (link.clients.clone(), link.server);
    eprintln!("{:>12} {:>9} {:>9} {:>9} {:>9}", "", "answers", "p50 ms", "p99 ms", "worst ms");
    for (place, (host, server), count) in
        [("here", here, rounds(10, 200)), ("40 ms away", there, rounds(1, 20))]
    {
        let mut took: Vec<Duration> =
            (0..count).flat_map(|n| host.within(|| talk(server, &format!("silent-{n}")))).collect();
        took.sort_unstable();
        let [median, p99, worst] =
            [50, 99, 100].map(|percent| took[(took.len() * percent / 100).min(took.len() - 1)]);
        let [in_ms, p99_ms, worst_ms] = [median, p99, worst].map(|took| took.as_secs_f64() * 1000.0);
        eprintln!("{place:>12} {:>9} {in_ms:>9.1} {p99_ms:>9.1} {worst_ms:>9.1}", took.len());
        if place == "here" {
            // A busy machine may be late with a few.
            assert!(if is_long() { worst } else { median } < ANSWERED_WITHIN, "{took:?}");
        }
    }
}

#[test]
fn messages_that_only_pauses_part_are_told_apart() {
    let (mut dice, _) = Dice::cast();
    let Some(world) = World::start(1) else { return };
    let link = world.link(0, Quality { delay: 10, loss: 0 }, dice.split());
    let mut listener = world.hall.listen_to("alice");
    let mut stream = link.clients.within(|| TcpStream::connect(link.server).unwrap());
    let lines: Vec<Line> =
        ["one", "two", "three"].map(|body| Line { to: "bob", body: body.to_owned() }).into();
    // It waits for no answer, and each time for less than the wait for the first message.
    for said in ["alice", "bob: one", "bob: two", "bob: three"] {
        stream.write_all(said.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(500));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let heard = runtime.block_on(hear(&mut listener, &lines));
    let report = judge(&lines, &[Instant::now(); 3], &heard);
    assert!(report.wrong.is_empty(), "{}", report.wrong.join("\n"));
}

/// The times of the answers: to the name, to the first message, to two more.
fn talk(server: SocketAddr, name: &str) -> Vec<Duration> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 4096];
    let mut answer = |stream: &mut TcpStream| {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the server left");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    answer(&mut stream);
    let said = [name, "nobody: first", "nobody: second", "no colon"];
    let answers = said.map(|said| {
        let asked = Instant::now();
        stream.write_all(said.as_bytes()).unwrap();
        (answer(&mut stream), asked.elapsed())
    });
    let [(named, a), (first, b), (second, c), (wrong, d)] = answers;
    assert!(named.starts_with("Connected!"), "{named}");
    assert!(first.contains("offline. Message saved.") && second == first, "{first}{second}");
    assert!(wrong.starts_with("Invalid format"), "{wrong}");
    vec![a, b, c, d]
}
