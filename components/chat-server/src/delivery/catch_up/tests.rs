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
            Page::Events(page) => events += page.len(),
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
