use protocol::{Body, Draft};
use tokio::time::Instant;

use super::*;
use crate::sample::name;
use crate::simulation::{self, Dice, SimulatedApi};

/// A server whose message API refuses reads until it is told otherwise.
async fn world() -> (SimulatedApi, Arc<Server>) {
    let api = SimulatedApi::new(Arc::new(Dice::steady(Duration::from_millis(5))));
    api.state().faults = false;
    let (server, _workers) = simulation::server(&api, 1 << 20);
    api.append(vec![Draft::chat(name("ann"), &name("bob"), Body::parse("hi").unwrap())]).await.unwrap();
    api.state().refuses_reads = true;
    (api, server)
}

async fn is_told_once(lap: Lap, api: &SimulatedApi, server: &Arc<Server>) {
    let mut pages = start(server, lap);
    let began = Instant::now();
    let told = tokio::time::timeout(Duration::from_secs(60), pages.recv()).await;
    assert!(matches!(told, Ok(Some(Page::Refused))), "it is told: {told:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "at once: {:?}", began.elapsed());
    let more = tokio::time::timeout(Duration::from_secs(300), pages.recv()).await;
    assert!(more.is_err(), "and only once: {more:?}");
    api.state().refuses_reads = false;
    let mut events = 0;
    loop {
        match pages.recv().await.unwrap() {
            Page::Unseen(_) => {}
            Page::Events(page, _) => events += page.len(),
            Page::End(_) => break,
            page @ (Page::Unreadable | Page::Refused) => panic!("{page:?}"),
        }
    }
    assert_eq!(events, 1, "it is shown as soon as it can be read");
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_unread_messages_are_refused_is_told_so_once() {
    let (api, server) = world().await;
    let lap = Lap { user: name("bob"), known: [].into(), unseen: true, gaps: [].into() };
    is_told_once(lap, &api, &server).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_gaps_are_refused_is_told_so_once() {
    let (api, server) = world().await;
    let known = [(ConversationId::dm(&name("ann"), &name("bob")), 0)].into();
    let lap = Lap { user: name("bob"), known, unseen: false, gaps: [].into() };
    is_told_once(lap, &api, &server).await;
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_room_for_long_pages_short_ones_are_read() {
    let (api, server) = world().await;
    api.state().refuses_reads = false;
    let said = |n: usize| Body::parse(&format!("{n}{}", "x".repeat(16_000))).unwrap();
    api.append((0..150).map(|n| Draft::chat(name("ann"), &name("bob"), said(n))).collect()).await.unwrap();
    let known: BTreeMap<_, _> = [(ConversationId::dm(&name("ann"), &name("bob")), 0)].into();
    for (known, unseen) in [(BTreeMap::new(), true), (known, false)] {
        let room = &server.backend.room;
        let mut others = room.to_keep_bytes(room.left());
        let all = room.left();
        let mut pages = start(&server, Lap { user: name("bob"), known, unseen, gaps: [].into() });
        let mut seen = Vec::new();
        loop {
            match pages.recv().await.unwrap() {
                Page::Unseen(_) => {}
                Page::Events(page, _) => {
                    seen.extend(page.iter().map(|event| event.seq));
                    assert!(others.is_none() || page.len() <= 2, "{} events", page.len());
                    assert!(seen.len() < 100 || page.len() > 8, "they become longer again: {}", page.len());
                    others = others.filter(|_| seen.len() < 40);
                }
                Page::End(_) => break,
                page @ (Page::Unreadable | Page::Refused) => panic!("{page:?}"),
            }
        }
        assert_eq!(seen, (1..=151).collect::<Vec<_>>(), "each once, in order");
        assert!(room.left() > all, "what was shown is given back");
    }
}
