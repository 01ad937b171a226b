//! Tests of the model, event by event.

use std::time::Duration;

use protocol::native::{
    Ack, ConversationSummary, Durability, ErrorCode, ErrorFrame, EventFrame, HistoryPage, ServerFrame,
    Welcome,
};
use protocol::{ConversationId, Event};
use transport::{Incoming, SendError};

use super::*;

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn dm(other: &str) -> ConversationId {
    ConversationId::dm(&name("alice"), &name(other))
}

fn alice() -> Model {
    Model::new(name("alice"), "here:5000".to_owned())
}

fn welcome(online: &[&str], conversations: Vec<ConversationSummary>) -> Incoming {
    Incoming::Connected(Box::new(Welcome {
        log: None,
        name: name("alice"),
        token: "secret".to_owned(),
        online: online.iter().map(|text| name(text)).collect(),
        conversations,
        durability: Durability::Fsync,
    }))
}

fn connected(online: &[&str]) -> Model {
    let mut model = alice();
    model.receive(welcome(online, Vec::new()));
    model.receive(Incoming::Frame(Box::new(ServerFrame::Live)));
    model
}

fn lost() -> Incoming {
    Incoming::Disconnected { reason: "gone".to_owned(), retry_in: Duration::ZERO }
}

fn event(from: &str, to: &str, seq: u64, client_id: ClientId) -> Incoming {
    let at = Timestamp::from_micros(0);
    let event = Event {
        id: Uuid::nil(),
        conversation: ConversationId::dm(&name(from), &name(to)),
        seq,
        at,
        sender: name(from),
        body: Body::parse("hi").unwrap(),
        kind: MessageType::Chat,
        metadata: Metadata::default(),
        client_id,
        timestamp: at,
    };
    Incoming::Event(Box::new(EventFrame { event, replayed: false }))
}

fn ack(send: &Send, seq: u64, online: bool) -> Ack {
    Ack {
        client_id: send.client_id.clone(),
        conversation: ConversationId::dm(&name("alice"), &send.to),
        seq,
        id: Uuid::nil(),
        at: Timestamp::from_micros(0),
        duplicate: false,
        durability: Durability::Fsync,
        online,
    }
}

/// Types a line that must be sent, and saves it.
fn says(model: &mut Model, line: &str) -> Send {
    match model.typed(line).into_iter().next() {
        Some(Effect::Say(send)) => {
            model.saved(entry(&send));
            send
        }
        other => panic!("nothing is sent but {other:?}"),
    }
}

/// A message as stored in the history.
fn entry(send: &Send) -> Entry {
    Entry {
        row: 1,
        place: 1,
        partner: send.to.to_string(),
        outgoing: true,
        text: send.body.as_str().to_owned(),
        said: Timestamp::from_micros(0),
        state: State::Waiting,
        seq: None,
        kind: MessageType::Chat,
        metadata: Metadata::default(),
        client_id: Some(send.client_id.clone()),
    }
}

fn stored(model: &mut Model, send: &Send, seq: u64, online: bool) -> Effects {
    let effects = model.answered(send.client_id.clone(), Ok(ack(send, seq, online)));
    let [Effect::Settle(ack)] = effects.as_slice() else { panic!("{effects:?}") };
    model.stored(ack, Some(entry(send)))
}

fn texts(effects: &[Effect]) -> Vec<String> {
    let words = effects.iter().filter_map(|effect| match effect {
        Effect::Show(item) => Some(item.words()),
        _ => None,
    });
    words
        .flatten()
        .filter_map(|word| match word {
            Item::Answer(text) | Item::Notice(text) | Item::Hint(text) | Item::Error(text) => Some(text),
            _ => None,
        })
        .collect()
}

#[test]
fn a_message_that_goes_through_is_not_talked_about_and_one_that_waits_for_its_receiver_is() {
    let mut model = connected(&["alice", "bob"]);
    let hi = says(&mut model, "BOB: hi");
    assert_eq!((hi.to.as_str(), hi.timestamp), ("bob", None), "spelled as bob does");
    let effects = stored(&mut model, &hi, 1, true);
    assert_eq!(effects[0], Effect::Seen(dm("bob"), 1));
    assert_eq!(texts(&effects), [""; 0]);
    let again = says(&mut model, "are you there?");
    assert_eq!(again.to, name("bob"));
    assert_eq!(texts(&stored(&mut model, &again, 2, false)), ["bob is offline; saved"]);
    let more = says(&mut model, "bob: more");
    assert_eq!(texts(&stored(&mut model, &more, 3, false)), Vec::<String>::new(), "it is said once");
    let coming = |online| Incoming::Frame(Box::new(ServerFrame::Presence { name: name("bob"), online }));
    model.receive(coming(true));
    model.receive(coming(false));
    let later = says(&mut model, "bob: later");
    assert_eq!(
        texts(&stored(&mut model, &later, 4, false)),
        ["bob is offline; saved"],
        "he was there meanwhile"
    );
    assert_eq!((model.unanswered(), model.failures()), (0, 0));
}

#[test]
fn what_is_said_offline_waits_and_is_told_of_once_it_is_out() {
    let mut model = connected(&["alice"]);
    let before = says(&mut model, "bob: before");
    assert_eq!(texts(&model.receive(lost())), ["connection lost (gone); reconnecting; 1 message waits"]);
    assert_eq!(model.receive(lost()), [], "said once");
    let effects = model.typed("meanwhile");
    let [Effect::Say(send)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(send.timestamp.is_some());
    let waits = "not connected: your messages are saved and sent once the server is back";
    assert_eq!(texts(&model.saved(entry(send))), [waits]);
    assert_eq!(texts(&model.saved(entry(send))), Vec::<String>::new(), "it is said once");
    assert_eq!(texts(&model.receive(welcome(&["alice"], Vec::new()))), ["reconnected"]);
    assert_eq!(texts(&stored(&mut model, &before, 1, true)), ["sent to bob: before"]);
    assert_eq!(model.unanswered(), 1);
}

#[test]
fn what_waited_for_this_session_counts_and_is_told_of_once_it_is_out() {
    let earlier = says(&mut alice(), "bob: earlier");
    let mut model = alice();
    model.waits(std::slice::from_ref(&earlier));
    assert_eq!(model.unanswered(), 1);
    model.receive(welcome(&["alice"], Vec::new()));
    assert_eq!(texts(&stored(&mut model, &earlier, 1, true)), ["sent to bob: earlier"]);
}

#[test]
fn our_own_messages_are_shown_only_when_they_were_said_elsewhere() {
    let mut model = connected(&["alice"]);
    let hi = says(&mut model, "bob: hi");
    let effects = model.receive(event("alice", "bob", 1, hi.client_id.clone()));
    let [Effect::Keep(own)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(model.kept(own, None), [Effect::Seen(dm("bob"), 1)]);
    assert!(matches!(model.kept(own, Some(entry(&hi))).as_slice(), [Effect::Show(Item::News(_))]));
    assert_eq!(model.shown(&dm("bob"), 2), [Effect::Seen(dm("bob"), 2)]);
    assert_eq!(model.shown(&dm("bob"), 2), [], "a cursor moves once");
}

#[test]
fn a_cursor_waits_for_what_was_not_shown_yet() {
    let mut model = connected(&["alice"]);
    let hi = says(&mut model, "bob: hi");
    model.receive(event("bob", "alice", 1, ClientId::fresh()));
    let effects = stored(&mut model, &hi, 2, true);
    assert!(matches!(effects.as_slice(), [Effect::Show(_)]), "the first is not on the screen yet");
    assert_eq!(model.shown(&dm("bob"), 1), [Effect::Seen(dm("bob"), 2)]);
}

fn summary(head: u64, seen: u64) -> ConversationSummary {
    ConversationSummary {
        conversation: dm("bob"),
        with: name("bob"),
        head,
        seen,
        unseen: head - seen,
        last: None,
    }
}

#[test]
fn a_greeting_tells_who_is_there_and_what_was_missed() {
    let mut model = alice();
    assert!(!model.has_tried());
    let effects = model.receive(welcome(&["bob", "alice"], vec![summary(9, 7)]));
    let texts = texts(&effects);
    assert_eq!(texts[1..], ["online: bob, alice", "2 messages while you were offline:"]);
    assert_eq!(effects.last(), Some(&Effect::Unseen), "what was kept and not shown comes behind");
    assert!(!model.is_up_to_date(), "until they have come");
    model.receive(Incoming::Frame(Box::new(ServerFrame::Live)));
    assert!(model.is_up_to_date());
    assert_eq!(model.take_names(), Some(vec!["bob".to_owned(), "alice".to_owned()]));
    assert_eq!(model.take_names(), None);
    assert_eq!(model.receive(event("bob", "alice", 8, ClientId::fresh())).len(), 1);
}

#[test]
fn what_was_shown_while_the_server_was_away_is_told_to_it_afterwards() {
    let mut model = alice();
    model.receive(lost());
    model.shown(&dm("bob"), 9);
    let effects = model.receive(welcome(&["alice"], vec![summary(9, 7)]));
    assert_eq!(effects[0], Effect::Seen(dm("bob"), 9));
}

#[test]
fn a_refused_message_and_a_failed_command_count_as_failures() {
    let mut model = connected(&["alice"]);
    let hi = says(&mut model, "bob: hi");
    let refused = ErrorFrame {
        code: ErrorCode::Refused,
        message: "the disk is full".to_owned(),
        client_id: Some(hi.client_id.clone()),
        retry_after_ms: None,
    };
    let effects = model.answered(hi.client_id.clone(), Err(SendError::Refused(Box::new(refused))));
    let [Effect::Refuse(id, reason)] = effects.as_slice() else { panic!("{effects:?}") };
    let effects = model.refused(id, reason.clone(), Some(entry(&hi)));
    assert_eq!(texts(&effects), ["not sent to bob: the disk is full (hi)"]);
    model.typed("/dance");
    assert_eq!((model.failures(), model.unanswered()), (2, 0));
}

#[test]
fn only_the_partner_s_coming_and_going_is_told() {
    let mut model = connected(&["alice"]);
    model.typed("/to bob");
    let mut turn = |who: &str, online| {
        let frame = ServerFrame::Presence { name: name(who), online };
        texts(&model.receive(Incoming::Frame(Box::new(frame)))).concat()
    };
    assert_eq!(turn("carol", true), "");
    assert_eq!(turn("bob", true), "bob is online");
    assert_eq!(turn("bob", true), "", "no news");
    assert_eq!(turn("bob", false), "bob is offline");
}

#[test]
fn a_page_is_asked_for_from_the_server_or_from_what_is_kept() {
    let mut model = connected(&["alice"]);
    assert!(matches!(model.typed("/history bob 3").as_slice(), [Effect::Ask(ClientFrame::History(_))]));
    assert!(!model.is_up_to_date());
    let page = HistoryPage { with: name("bob"), conversation: dm("bob"), events: Vec::new(), more: false };
    let effects = model.receive(Incoming::Frame(Box::new(ServerFrame::History(page.clone()))));
    assert_eq!(effects, [Effect::Past(page)]);
    assert!(model.is_up_to_date());
    model.receive(lost());
    assert_eq!(model.typed("/history bob 3"), [Effect::Recall(name("bob"), 3)]);
}

#[test]
fn too_many_messages_without_an_answer_are_refused_here() {
    let mut model = alice();
    for n in 0..LIMIT {
        says(&mut model, &format!("bob: {n}"));
    }
    assert!(model.is_full());
    assert!(texts(&model.typed("bob: one more"))[0].starts_with("not sent: 10000 messages wait"));
}

#[test]
fn a_server_that_does_not_answer_is_told_of_once_and_what_is_kept_unseen_is_shown_once() {
    let late = ["here:5000 has not answered yet; still trying"];
    let mut model = alice();
    let effects = model.late();
    assert_eq!(
        (texts(&effects), effects.contains(&Effect::Unseen)),
        (late.map(str::to_owned).to_vec(), true)
    );
    assert!(model.has_tried() && !model.was_connected());
    assert_eq!(model.late(), []);
    let effects = model.receive(lost());
    assert_eq!(texts(&effects), ["cannot reach here:5000 (gone); retrying"], "the reason is news");
    assert!(!effects.contains(&Effect::Unseen));
    let effects = model.receive(welcome(&["alice"], Vec::new()));
    assert!(!effects.contains(&Effect::Unseen));
    assert_eq!(model.late(), [], "it has answered");
}

#[test]
fn what_was_shown_of_a_log_moves_no_cursor_in_another_one() {
    let mut model = alice();
    let with_log = |log: u128, head, seen| {
        let Incoming::Connected(mut welcome) = welcome(&["alice"], vec![summary(head, seen)]) else {
            panic!()
        };
        welcome.log = Some(Uuid::from_u128(log));
        Incoming::Connected(welcome)
    };
    model.receive(with_log(1, 9, 5));
    model.shown(&dm("bob"), 9);
    assert!(
        model.receive(with_log(1, 9, 5)).contains(&Effect::Seen(dm("bob"), 9)),
        "the server did not hear of it"
    );
    let effects = model.receive(with_log(2, 9, 5));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Seen(..))), "{effects:?}");
    assert_eq!(model.shown(&dm("bob"), 6), [Effect::Seen(dm("bob"), 6)]);
}
