//! The resource usage of the launcher at the start and when idle, and of an idle session.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::processes::{memory, time_on_processors};
use crate::support::dice::is_long;
use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher, wait_for};

/// The time from the start of the launcher's process until the last component was ready, in milliseconds.
fn time_to_ready(launcher: &Launcher, started: SystemTime) -> u64 {
    let text = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap();
    let mut events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ready = events.rfind(|event| event["to"] == "ready").unwrap();
    let at = OffsetDateTime::parse(ready["at"].as_str().unwrap(), &Rfc3339).unwrap();
    u64::try_from((at - OffsetDateTime::from(started)).whole_milliseconds()).unwrap()
}

#[test]
fn all_is_ready_soon_after_the_slowest_chain_of_components() {
    let tries = if is_long() { 10 } else { 3 };
    let mut overheads: Vec<u64> = Vec::new();
    for _ in 0..tries {
        let started = SystemTime::now();
        let launcher = Home::new().up();
        let total = time_to_ready(&launcher, started);
        let snapshot = launcher.snapshot();
        let took = |name: &str| snapshot.component(name).unwrap().ready_ms.unwrap();
        let chain = took("message-api") + took("chat-server") + took("web-adapter").max(took("thermometer"));
        println!("all ready after {total} ms, the slowest chain {chain} ms");
        overheads.push(total.saturating_sub(chain));
    }
    overheads.sort_unstable();
    let middle = overheads[tries / 2];
    println!("the launcher adds {middle} ms median, {overheads:?}");
    // The short form is an unoptimised program beside other tests.
    assert!(middle <= if is_long() { 50 } else { 500 }, "{overheads:?}");
}

#[test]
fn an_idle_launcher_takes_next_to_nothing() {
    let time = Duration::from_secs(if is_long() { 60 } else { 5 });
    let launcher = Home::new().up();
    // The activities of the start, such as the first checks of dependencies, are over.
    std::thread::sleep(Duration::from_secs(2));
    let before = time_on_processors(launcher.pid());
    std::thread::sleep(time);
    let used = Duration::from_nanos(time_on_processors(launcher.pid()) - before);
    let share = used.as_secs_f64() / time.as_secs_f64() * 100.0;
    let (resident, own) = memory(launcher.pid());
    println!("idle: {share:.3} % of a processor, {resident} KiB resident, {own} KiB of them its share");
    assert!(share < if is_long() { 0.1 } else { 1.0 }, "{share} %");
    // An unoptimised program is several times as large.
    let limit = if cfg!(debug_assertions) { 60 << 10 } else { 10 << 10 };
    assert!(own < limit, "{own} KiB");
}

/// Proportional set size. What the first sessions allocate once, such as a thread's arena, is counted before.
#[test]
fn a_session_that_says_nothing_costs_ten_kib() {
    kit::listen::raise_file_limit();
    let sessions = if is_long() { 10_000 } else { 1_000 };
    let launcher = Home::new().set("chat-server.max-connections=20000").argument("--no-thermometer").up();
    let home = &launcher.home;
    let chat_server = launcher.component_pid("chat-server").unwrap();
    let login = |n: u64| LineClient::login(home.chat, &format!("idle{n}")).0;
    let warm: Vec<LineClient> = (0..100).map(login).collect();
    let before = memory(chat_server).1;
    let idle: Vec<LineClient> = (100..100 + sessions).map(login).collect();
    // The memory of a login is released soon after it.
    wait_for("each session to cost at most 10 KiB", || {
        let all = memory(chat_server).1 - before;
        println!("{} bytes each", all * 1024 / sessions);
        (all <= 10 * sessions).then_some(())
    });
    drop((warm, idle));
}
