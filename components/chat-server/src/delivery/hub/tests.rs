use super::*;
use crate::sample::{event, name};

fn at(index: u64) -> FeedPosition {
    FeedPosition { epoch: Uuid::nil(), index }
}

fn join(hub: &Arc<Hub>, who: &str, dialect: Dialect) -> Membership {
    hub.join(&name(who), Claim::Service, dialect, Backlog::default()).unwrap()
}

fn queued(member: &Membership) -> Vec<u64> {
    let mut mail = member.handle.mail();
    std::iter::from_fn(|| mail.inbox.next()).map(|event| event.event().seq).collect()
}

#[test]
fn an_event_reaches_its_receiver_and_the_senders_other_native_sessions() {
    let hub = Hub::new(1 << 20);
    let (alice, phone) = (join(&hub, "alice", Dialect::Native), join(&hub, "alice", Dialect::Native));
    let (bob, carol) = (join(&hub, "bob", Dialect::Text), join(&hub, "carol", Dialect::Native));
    let said = event("alice", "bob", 1);
    alice.handle.mail().sends(&said.client_id);
    hub.dispatch(said, None, at(1));
    assert_eq!((queued(&bob), queued(&phone)), (vec![1], vec![1]));
    assert_eq!((queued(&alice), queued(&carol)), (vec![], vec![]));
    hub.dispatch(event("bob", "alice", 2), None, at(2));
    assert_eq!((queued(&bob), queued(&alice), queued(&phone)), (vec![], vec![2], vec![2]));
    assert!(hub.has_passed(at(2)) && !hub.has_passed(at(3)));
}

#[test]
fn a_note_to_self_is_delivered_once() {
    let hub = Hub::new(1 << 20);
    for dialect in [Dialect::Text, Dialect::Native] {
        let me = join(&hub, "me", dialect);
        hub.dispatch(event("me", "me", 1), None, at(1));
        assert_eq!(queued(&me), [1]);
    }
}

#[test]
fn after_a_feed_lost_events_every_session_reads_the_store() {
    let hub = Hub::new(1 << 20);
    let bob = join(&hub, "bob", Dialect::Text);
    hub.restart(at(7));
    let backlog = bob.handle.mail().inbox.begin_pass().unwrap();
    assert!(backlog.lost && backlog.unread.is_some());
}

#[test]
fn a_user_who_leaves_is_announced_and_the_newcomer_is_listed_last() {
    let hub = Hub::new(1 << 20);
    let mut announced = hub.watch_presence();
    let (_a, b, mut c) =
        (join(&hub, "a", Dialect::Text), join(&hub, "b", Dialect::Text), join(&hub, "c", Dialect::Native));
    assert_eq!(c.online(), [name("a"), name("b"), name("c")]);
    drop(b);
    hub.announce_presence();
    assert!(announced.has_changed().unwrap());
    announced.mark_unchanged();
    assert_eq!(hub.presence_since(c.presence, 9), [(4, name("b"), false)]);
    hub.announce_presence();
    assert!(!announced.has_changed().unwrap());
    assert_eq!(hub.counts(), (2, 2));
}
