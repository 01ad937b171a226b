use protocol::{Body, Draft};
use tokio::time::Instant;

use super::*;
use crate::sample::name;
use crate::simulation::{self, Dice, SimulatedApi};

/// A server whose message API rejects reads until it is reset.
async fn world() -> (SimulatedApi, Arc<Server>) {
    let api = SimulatedApi::new(Arc::new(Dice::steady(Duration::from_millis(5))));
    api.state().faults = false;
    let (server, _workers) = simulation::server(&api, 1 << 20);
    api.append(vec![Draft::chat(name("ann"), &name("bob"), Body::parse("hi").unwrap())]).await.unwrap();
    api.state().refuses_reads = true;
    (api, server)
}

async fn is_told_once(pass: Pass, api: &SimulatedApi, server: &Arc<Server>) {
    let mut pages = start(server, pass);
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
            Page::UnreadFrom(_) => {}
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
    let pass = Pass { user: name("bob"), known: [].into(), unread: true, gaps: [].into() };
    is_told_once(pass, &api, &server).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_gaps_are_refused_is_told_so_once() {
    let (api, server) = world().await;
    let known = [(ConversationId::dm(&name("ann"), &name("bob")), 0)].into();
    let pass = Pass { user: name("bob"), known, unread: false, gaps: [].into() };
    is_told_once(pass, &api, &server).await;
}

#[tokio::test(start_paused = true)]
async fn without_budget_for_long_pages_short_ones_are_read() {
    let (api, server) = world().await;
    api.state().refuses_reads = false;
    let said = |n: usize| Body::parse(&format!("{n}{}", "x".repeat(16_000))).unwrap();
    api.append((0..150).map(|n| Draft::chat(name("ann"), &name("bob"), said(n))).collect()).await.unwrap();
    let known: BTreeMap<_, _> = [(ConversationId::dm(&name("ann"), &name("bob")), 0)].into();
    for (known, unread) in [(BTreeMap::new(), true), (known, false)] {
        let budget = &server.backend.pages;
        let mut others = budget.reserve_bytes(budget.left());
        let all = budget.left();
        let mut pages = start(&server, Pass { user: name("bob"), known, unread, gaps: [].into() });
        let mut seen = Vec::new();
        loop {
            match pages.recv().await.unwrap() {
                Page::UnreadFrom(_) => {}
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
        assert!(budget.left() > all, "what was shown is given back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_begins_only_once_it_may_read_and_gives_up_with_its_session() {
    let (api, server) = world().await;
    api.state().refuses_reads = false;
    let pass = || Pass { user: name("bob"), known: [].into(), unread: true, gaps: [].into() };
    let others = server.backend.pages.permit_read(server.backend.pages.left_to_read()).await;
    let (mut first, second) = (start(&server, pass()), start(&server, pass()));
    let more = tokio::time::timeout(Duration::from_secs(60), first.recv()).await;
    assert!(more.is_err() && matches!(first, Pages::Waiting(_)), "{more:?}");
    assert_eq!(server.tasks.len(), 2);
    drop(second);
    while server.tasks.len() > 1 {
        tokio::task::yield_now().await;
    }
    drop(others);
    assert!(matches!(first.recv().await, Some(Page::UnreadFrom(_))));
    assert!(matches!(first.recv().await, Some(Page::Events(page, _)) if page.len() == 1));
    assert!(matches!(first.recv().await, Some(Page::End(_))));
}
