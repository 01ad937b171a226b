use std::sync::Arc;

use protocol::{Body, Draft};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::delivery::catch_up::{self, Page, Pass};
use crate::sample::name;
use crate::server::Server;
use crate::simulation::{self, Dice, SimulatedApi};

fn dm(with: &str, n: u64) -> ConversationId {
    ConversationId::dm(&name(with), &name(&format!("peer{n}")))
}

/// A server whose message API takes `latency` for each step: a request is two of them, there and back.
fn world(latency: Duration) -> (SimulatedApi, Arc<Server>, JoinSet<()>) {
    let api = SimulatedApi::new(Arc::new(Dice::steady(latency)));
    api.state().faults = false;
    let (server, workers) = simulation::server(&api, 1 << 20);
    let mut tasks = JoinSet::new();
    workers.into_iter().for_each(|worker| _ = tasks.spawn(worker.run()));
    let posting = Arc::clone(&server.cursors);
    tasks.spawn(async move { posting.run().await });
    (api, server, tasks)
}

async fn say(api: &SimulatedApi, from: &str, to: &str) {
    let draft = Draft::chat(name(from), &name(to), Body::parse("hi").unwrap());
    api.append(vec![draft]).await.unwrap();
}

/// Reads unread messages as a login does; returns their number.
async fn log_in(server: &Arc<Server>, who: &str) -> usize {
    let pass = Pass { user: name(who), known: [].into(), unread: true, gaps: [].into() };
    let mut pages = catch_up::start(server, pass);
    let mut events = 0;
    while let Some(page) = pages.recv().await {
        match page {
            Page::UnreadFrom(_) | Page::Unreadable | Page::Refused => {}
            Page::Events(page, _) => events += page.len(),
            Page::End(_) => return events,
        }
    }
    panic!("the catch-up broke off");
}

#[tokio::test(start_paused = true)]
async fn many_moves_are_stored_in_a_few_requests() {
    let (api, server, _tasks) = world(Duration::from_millis(5));
    for n in 0..1024 {
        server.cursors.advance(&name("alice"), None, dm("alice", n), 3);
    }
    let began = Instant::now();
    while !server.cursors.flush(&name("alice")).await {}
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(api.state().move_requests.iter().sum::<usize>(), 1024);
}

/// The requests for the moves of so many users, each of whom reads 100 messages a second for two seconds.
async fn requests_of_readers(users: u64) -> usize {
    let (api, server, _tasks) = world(Duration::from_millis(5));
    for seq in 1..=200 {
        for user in 0..users {
            server.cursors.advance(&name(&format!("user{user}")), None, dm("friend", user), seq);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    api.state().move_requests.len()
}

#[tokio::test(start_paused = true)]
async fn the_moves_of_busy_readers_are_gathered_again_and_again() {
    let few = requests_of_readers(10).await;
    assert!(few <= 36, "{few} requests in two seconds, but they are gathered for 50 ms");
    let many = requests_of_readers(100).await;
    assert!(many <= 12, "{many} requests in two seconds, but they are gathered for 200 ms");
}

#[tokio::test(start_paused = true)]
async fn a_move_that_is_refused_costs_only_itself() {
    let (api, server, _tasks) = world(Duration::from_millis(5));
    for n in 0..200 {
        say(&api, &format!("peer{n}"), "bob").await;
    }
    api.state().refused_moves = [3, 77, 78, 199].map(|n| (name("bob"), dm("bob", n))).into();
    for n in 0..200 {
        server.cursors.advance(&name("bob"), None, dm("bob", n), 1);
    }
    while !server.cursors.flush(&name("bob")).await {}
    let moved = |n| api.state().cursors.get(&(name("bob"), dm("bob", n))) == Some(&1);
    let unmoved: Vec<_> = (0..200).filter(|n| !moved(*n)).collect();
    assert_eq!(unmoved, [3, 77, 78, 199]);
    // Each of the four is found in two requests per level of eight, and a pass may be interrupted and continued.
    assert!(api.state().move_requests.len() <= 4 * 2 * 8 + 4, "{:?}", api.state().move_requests);
    // Nothing is sent repeatedly.
    let requests = api.state().move_requests.len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(api.state().move_requests.len(), requests);
}

#[tokio::test(start_paused = true)]
async fn clients_that_flood_seen_do_not_delay_stored_messages() {
    let (api, server, mut tasks) = world(Duration::from_millis(5));
    for n in 0..100 {
        say(&api, &format!("friend{n}"), "bob").await;
    }
    for who in ["ann", "cyd", "dan", "eve"] {
        let server = Arc::clone(&server);
        tasks.spawn(async move {
            for n in 0.. {
                (0..20).for_each(|k| server.cursors.advance(&name(who), None, dm(who, n * 20 + k), 1));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    // Long enough for the request to be in flight.
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.cursors.advance(&name("bob"), None, ConversationId::dm(&name("bob"), &name("friend7")), 1);
    let began = Instant::now();
    let events = tokio::time::timeout(Duration::from_secs(60), log_in(&server, "bob")).await;
    assert_eq!(events.ok(), Some(99), "the login waits for its own moves, and for nobody else's");
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_floods_seen_does_not_delay_its_users_other_sessions() {
    let (api, server, mut tasks) = world(Duration::from_millis(5));
    say(&api, "friend", "bob").await;
    let flooding = Arc::clone(&server);
    tasks.spawn(async move {
        for n in 0.. {
            flooding.cursors.advance(&name("bob"), None, dm("bob", n), 1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let events = tokio::time::timeout(Duration::from_secs(60), log_in(&server, "bob")).await;
    assert_eq!(events.ok(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_the_users_own_moves_in_flight() {
    let (api, server, _tasks) = world(Duration::from_millis(100));
    for n in 0..40 {
        say(&api, &format!("peer{n}"), "bob").await;
        server.cursors.advance(&name("bob"), None, dm("bob", n), 1);
        // By then it waits, is in flight, or is stored.
        tokio::time::sleep(Duration::from_millis(10 * n)).await;
        assert!(server.cursors.flush(&name("bob")).await);
        let cursor = api.state().cursors.get(&(name("bob"), dm("bob", n))).copied();
        assert_eq!(cursor, Some(1), "{} ms after it was moved", 10 * n);
    }
}
