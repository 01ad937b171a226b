use super::*;
use protocol::limits::SERVER_FRAME_BYTES;
use protocol::native::{ConversationSummary, Durability};
use protocol::{Body, Event};

use crate::sample::{self, name};

fn event(seq: u64) -> Event {
    Event { body: Body::parse(&"\"".repeat(16 * 1024)).unwrap(), ..sample::event("bob", "alice", seq) }
}

fn parse(line: &Bytes) -> ServerFrame {
    serde_json::from_slice(line).unwrap()
}

#[test]
fn a_page_of_history_is_cut_to_a_frame() {
    let events: Vec<Event> = (1..=200).map(event).collect();
    let conversation = events[0].conversation.clone();
    for (most, events_at_least) in [(SERVER_FRAME_BYTES, 20), (100 * 1024, 2), (32 * 1024, 1)] {
        let page = HistoryPage {
            with: name("bob"),
            conversation: conversation.clone(),
            events: events.clone(),
            more: false,
        };
        let line = history(page, most);
        assert!(line.len() <= most.max(34 * 1024));
        let ServerFrame::History(page) = parse(&line) else { panic!() };
        assert!(page.more && page.events.len() >= events_at_least);
        assert_eq!(page.events.last().unwrap().seq, 200);
    }
}

#[test]
fn a_welcome_is_cut_to_a_frame() {
    let summary = |n: u64| ConversationSummary {
        conversation: event(n).conversation,
        with: name("bob"),
        head: n,
        seen: 0,
        unseen: n,
        last: Some(event(n)),
    };
    let somebody = |n| name(&format!("somebody-with-a-long-name-{n}"));
    let all = Welcome {
        name: name("alice"),
        token: "t".to_owned(),
        online: (0..20_000).map(somebody).chain([name("alice")]).collect(),
        conversations: (0..200).map(summary).collect(),
        durability: Durability::Fsync,
        log: None,
    };
    // Each conversation has one event of 32 KiB.
    for (most, conversations) in [(SERVER_FRAME_BYTES, 12), (32 * 1024, 0)] {
        let line = welcome(all.clone(), most);
        assert!(line.len() <= most && line.len() > most / 2, "{}", line.len());
        let ServerFrame::Welcome(welcome) = parse(&line) else { panic!() };
        assert!(welcome.online.len() > most / 80 && welcome.online.len() < 20_000);
        assert_eq!(welcome.conversations.len(), conversations);
        assert_eq!(welcome.online.last(), Some(&name("alice")), "who logs in is always listed");
    }
}

#[test]
fn strangers_cannot_move_a_cursor() {
    let line = || Message::Text(r#"{"type":"seen","conversation":"dm:bob:carol","seq":3}"#.to_owned());
    let Request::Invalid(answer) = Native.interpret(&name("alice"), line()) else { panic!() };
    assert!(matches!(parse(&answer), ServerFrame::Error(ErrorFrame { code: ErrorCode::Refused, .. })));
    assert!(matches!(Native.interpret(&name("bob"), line()), Request::Seen(_)));
}
