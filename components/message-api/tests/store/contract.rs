//! What every store guarantees. Each case starts without data; [`cases`] lists them for both kinds of store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use message_api::StoreConfig;
use message_api::retention::{self, Rule};
use message_api::store::{DEVICES, OwnRun, Range, StatePut, StoreError};
use protocol::api::{CursorMove, OwnBatch, RegisterUser};
use protocol::native::Device;
use protocol::{ClientId, ConversationId, Draft, Event, MessageType, Metadata, Timestamp};
use serde_json::json;

use crate::bench::{Bench, Opened, dm, draft, draft_with_id, name};

/// Passes the name of every case to a macro that makes a test of it.
macro_rules! cases {
    ($make:ident) => {
        $make! {
            an_event_is_what_its_draft_said
            a_log_is_dense_from_one
            the_order_is_the_logs_and_the_time_is_the_clocks
            a_repeated_draft_yields_the_first_result
            a_client_id_is_its_senders_own
            the_same_draft_from_many_tasks_is_stored_once
            many_writers_leave_no_hole
            what_was_answered_is_there_after_a_crash
            events_are_published_once_and_in_order
            a_readers_batch_is_published_as_its_own_where_the_store_says_so
            unseen_events_come_oldest_first_over_all_conversations
            five_thousand_unseen_events_come_page_by_page
            read_messages_are_not_delivered_again
            unread_messages_follow_from_messages_and_cursors
            what_is_unseen_is_counted_right_whatever_was_removed
            cursors_move_forward_only_and_not_past_the_end
            cursors_of_strangers_and_of_nothing_do_nothing
            every_device_may_move_the_users_cursor
            many_cursors_move_at_once
            what_one_says_to_oneself_is_unseen_once
            a_page_token_of_somebody_else_is_refused
            conversations_come_most_recent_first
            a_conversation_is_read_in_both_directions
            users_come_in_order_of_registration
            a_registered_name_is_found_by_what_it_looks_like
            the_log_keeps_its_name
            state_is_kept_by_owner_and_key
            everything_can_be_listed_page_by_page
            the_beginning_of_a_log_can_be_removed
            retention_lets_go_what_its_rule_says_and_nothing_else
            a_closed_store_finishes_and_refuses
        }
    };
}
pub(crate) use cases;

pub(crate) async fn an_event_is_what_its_draft_said(bench: &Bench) {
    let opened = bench.open().await;
    let plain = draft("Alice", "bob", "hi: there\nü");
    let told = Timestamp::from_micros(1_000_000);
    let full = Draft {
        kind: MessageType::Notification,
        metadata: serde_json::from_value::<Metadata>(json!({"$a.b": [1, {"c": null}], "z": 1, "a": 2}))
            .unwrap(),
        timestamp: Some(told),
        ..draft("ALICE", "Bob", "other spelling")
    };
    let results = opened.append(vec![plain.clone(), full.clone()]).await;
    let page = opened.store.events(&dm("alice", "bob"), Range::After(0), 10).await.unwrap();
    assert!(!page.more);
    assert_eq!(page.events, opened.published.at_least(2).await, "what is published is what is read later");
    for ((event, result), draft) in page.events.iter().zip(&results).zip([&plain, &full]) {
        assert_eq!((event.id, event.seq, event.at), (result.id, result.seq, result.at));
        assert_eq!(event.conversation, result.conversation);
        assert_eq!(event.sender.as_str(), draft.sender.as_str(), "spelled as it was sent");
        assert_eq!((&event.body, &event.client_id), (&draft.body, &draft.client_id));
        assert_eq!(event.kind, draft.kind);
        assert_eq!(event.metadata.to_json(), draft.metadata.to_json(), "in the order it was written");
        assert_eq!(event.id.get_version_num(), 7);
        assert!(!result.duplicate);
    }
    assert_eq!(page.events[0].timestamp, page.events[0].at);
    assert_eq!(page.events[1].timestamp, told);
}

pub(crate) async fn a_readers_batch_is_published_as_its_own_where_the_store_says_so(bench: &Bench) {
    let opened = bench.open().await;
    let batch = OwnBatch { reader: uuid::Uuid::from_u128(5), number: 3 };
    let drafts: Vec<_> = ["one", "two", "three"].map(|body| draft("alice", "bob", body)).into();
    opened.append(vec![draft("carol", "bob", "zero")]).await;
    let again = vec![drafts[0].clone(), drafts[1].clone(), drafts[0].clone(), drafts[2].clone()];
    let results = opened.store.append_own(again.clone(), batch).await.unwrap();
    assert_eq!(results.iter().map(|result| result.seq).collect::<Vec<_>>(), [1, 2, 1, 3]);
    let next = OwnBatch { number: 4, ..batch };
    assert!(opened.store.append_own(again, next).await.unwrap().iter().all(|result| result.duplicate));
    let bodies: Vec<_> =
        opened.published.at_least(4).await.iter().map(|event| event.body.to_string()).collect();
    assert_eq!(bodies, ["zero", "one", "two", "three"]);
    let run = |events, first| OwnRun { events, batch, first };
    let expected = if opened.store.marks_own() { vec![run(0..2, 0), run(2..3, 3)] } else { Vec::new() };
    assert_eq!(opened.published.own(), expected);
}

pub(crate) async fn a_log_is_dense_from_one(bench: &Bench) {
    let opened = bench.open().await;
    for seq in 1..=3 {
        assert_eq!(opened.say("alice", "bob", "x").await.seq, 2 * seq - 1);
        assert_eq!(opened.say("bob", "alice", "x").await.seq, 2 * seq);
        assert_eq!(opened.say("alice", "carol", "x").await.seq, seq);
    }
}

pub(crate) async fn the_order_is_the_logs_and_the_time_is_the_clocks(bench: &Bench) {
    let opened = bench.open().await;
    let begun = Timestamp::now();
    // Far more than one per microsecond.
    let drafts = (0..300).map(|n| draft("alice", "bob", &n.to_string())).collect();
    let results = opened.append(drafts).await;
    let last = opened.say("bob", "alice", "x").await;
    assert_eq!((results[0].seq, results[299].seq, last.seq), (1, 300, 301));
    let ended = Timestamp::now();
    let times = results.iter().chain([&last]).map(|result| result.at);
    assert!(times.is_sorted() && (begun..=ended).contains(&last.at) && begun <= results[0].at);
    let expected: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    assert_eq!(opened.unseen("bob", 7).await, expected);
}

pub(crate) async fn a_repeated_draft_yields_the_first_result(bench: &Bench) {
    let opened = bench.open().await;
    let (one, two) = (draft("alice", "bob", "one"), draft("alice", "bob", "two"));
    // Twice in one batch, with new drafts between and after.
    let first =
        opened.append(vec![one.clone(), two.clone(), one.clone(), draft("alice", "bob", "three")]).await;
    assert_eq!(first.iter().map(|result| result.seq).collect::<Vec<_>>(), [1, 2, 1, 3]);
    assert_eq!(first.iter().map(|result| result.duplicate).collect::<Vec<_>>(), [false, false, true, false]);
    let check = |again: &[protocol::api::Appended]| {
        assert_eq!((again[0].seq, again[0].id, again[0].at), (1, first[0].id, first[0].at));
        assert!(again[0].duplicate);
        assert_eq!((again[1].seq, again[1].duplicate), (2, true));
    };
    check(&opened.append(vec![one.clone(), two.clone()]).await);
    check(&bench.open().await.append(vec![one.clone(), two]).await);
    let elsewhere = Draft { conversation: dm("alice", "carol"), ..one };
    let elsewhere = opened.append(vec![elsewhere]).await.remove(0);
    assert_eq!((elsewhere.conversation, elsewhere.duplicate), (dm("alice", "bob"), true));
    assert_eq!(opened.unseen("bob", 10).await, ["one", "two", "three"]);
    assert!(opened.unseen("carol", 10).await.is_empty());
    assert_eq!(opened.say("alice", "bob", "four").await.seq, 4, "no place was lost");
}

pub(crate) async fn a_client_id_is_its_senders_own(bench: &Bench) {
    let opened = bench.open().await;
    let sent = [("alice", "bob"), ("bob", "alice"), ("carol", "bob"), ("ALICE", "carol")];
    let drafts = sent.map(|(from, to)| draft_with_id(from, to, "same")).to_vec();
    let results = opened.append(drafts).await;
    let duplicates: Vec<_> = results.iter().map(|result| result.duplicate).collect();
    assert_eq!(duplicates, [false, false, false, true], "a name is the same name in capitals");
}

pub(crate) async fn the_same_draft_from_many_tasks_is_stored_once(bench: &Bench) {
    let opened = bench.open().await;
    let tasks = (0..50).map(|task: usize| {
        let opened = opened.clone();
        tokio::spawn(async move {
            let mut ids: Vec<_> =
                (0..20).map(|n| draft_with_id("alice", "bob", &format!("id-{n}"))).collect();
            ids.rotate_left(task % 20);
            let results = opened.append(ids.clone()).await;
            let ids = ids.into_iter().map(|draft| draft.client_id.to_string());
            ids.zip(results).map(|(id, result)| (id, result.seq, result.duplicate)).collect::<Vec<_>>()
        })
    });
    let mut seqs = HashMap::new();
    let mut firsts = 0;
    for task in tasks.collect::<Vec<_>>() {
        for (id, seq, duplicate) in task.await.unwrap() {
            assert_eq!(*seqs.entry(id).or_insert(seq), seq, "all are told the same place");
            firsts += usize::from(!duplicate);
        }
    }
    assert_eq!((seqs.len(), firsts), (20, 20));
    assert_eq!(seqs.into_values().collect::<HashSet<_>>(), (1..=20).collect());
    assert_eq!(opened.published.at_least(20).await.len(), 20);
}

pub(crate) async fn many_writers_leave_no_hole(bench: &Bench) {
    // Two processes on the same data, as is possible with MongoDB.
    let opened = [bench.open().await, bench.open().await];
    let tasks = (0..50).map(|task: usize| {
        let opened = opened[task % 2].clone();
        tokio::spawn(async move {
            let to = ["bob", "carol", "dave"][task % 3];
            for n in 0..10 {
                opened.append(vec![draft("alice", to, &n.to_string()), draft(to, "alice", "y")]).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut count = 0;
    for to in ["bob", "carol", "dave"] {
        let events = all_events(&opened[0], to).await;
        assert!(events.iter().map(|event| event.seq).eq(1..=events.len() as u64));
        count += events.len();
    }
    assert_eq!(count, 1000);
    let published: HashSet<_> =
        opened.iter().flat_map(|opened| opened.published.events()).map(|e| e.id).collect();
    assert_eq!(published.len(), 1000, "whoever read them all knows that they were published");
}

async fn all_events(opened: &Opened, to: &str) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = Range::After(events.len() as u64);
        let page = opened.store.events(&dm("alice", to), after, 100).await.unwrap();
        events.extend(page.events);
        if !page.more {
            return events;
        }
    }
}

pub(crate) async fn what_was_answered_is_there_after_a_crash(bench: &Bench) {
    let opened = bench.open().await;
    opened.append((0..150).map(|n| draft("alice", "bob", &n.to_string())).collect()).await;
    opened.see("bob", "alice", 100).await;
    // The first is never closed: nothing may depend on an orderly shutdown.
    let again = bench.open().await;
    let rest: Vec<_> = (100..150).map(|n| n.to_string()).collect();
    assert_eq!(again.unseen("bob", 200).await, rest);
    assert_eq!(again.say("bob", "alice", "x").await.seq, 151);
    assert!(
        again.published.at_least(1).await.iter().map(|event| event.seq).eq([151]),
        "nothing is published again"
    );
}

pub(crate) async fn events_are_published_once_and_in_order(bench: &Bench) {
    let opened = bench.open().await;
    let again = draft("alice", "bob", "again");
    let tasks = (0..10).map(|task: usize| {
        let (opened, again) = (opened.clone(), again.clone());
        tokio::spawn(async move {
            for n in 0..10 {
                let to = ["bob", "carol"][(n + task) % 2];
                let results = opened.append(vec![draft("alice", to, "x"), again.clone()]).await;
                let range = Range::After(results[0].seq - 1);
                let read = opened.store.events(&dm("alice", to), range, 1).await.unwrap().events;
                let published = opened.published.events();
                assert!(published.contains(&read[0]), "published before it is read");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let published = opened.published.at_least(101).await;
    assert_eq!(published.len(), 101);
    for to in ["bob", "carol"] {
        let seqs =
            published.iter().filter(|event| event.conversation.is_dm_of(&name(to))).map(|event| event.seq);
        assert!(seqs.clone().eq(1..=seqs.count() as u64), "in the order of the log");
    }
}

pub(crate) async fn unseen_events_come_oldest_first_over_all_conversations(bench: &Bench) {
    let opened = bench.open().await;
    let senders = ["carol", "alice", "dave", "alice", "carol", "bob", "erin"];
    for (n, from) in senders.iter().enumerate() {
        opened.say(from, "bob", &format!("{n} from {from}")).await;
        opened.say("bob", from, "an answer, which bob has not got to see").await;
    }
    let expected: Vec<_> = senders.iter().enumerate().map(|(n, from)| format!("{n} from {from}")).collect();
    for page in [1, 2, 3, 200] {
        let mut unseen = opened.unseen("BOB", page).await;
        unseen.retain(|body| body.contains("from"));
        assert_eq!(unseen, expected);
    }
    assert_eq!(opened.unseen("nobody", 10).await, [""; 0]);
}

pub(crate) async fn five_thousand_unseen_events_come_page_by_page(bench: &Bench) {
    let opened = bench.open().await;
    let mut expected = Vec::new();
    for batch in 0..10 {
        let bodies: Vec<_> = (0..500).map(|n| (n % 7, format!("{batch}-{n}"))).collect();
        opened
            .append(bodies.iter().map(|(from, body)| draft(&format!("user{from}"), "bob", body)).collect())
            .await;
        expected.extend(bodies.into_iter().map(|(_, body)| body));
    }
    assert_eq!(opened.unseen("bob", 200).await, expected);
}

pub(crate) async fn read_messages_are_not_delivered_again(bench: &Bench) {
    let opened = bench.open().await;
    for n in 1..=4 {
        opened.say("alice", "bob", &format!("a{n}")).await;
        opened.say("carol", "bob", &format!("c{n}")).await;
    }
    opened.see("bob", "alice", 2).await;
    assert_eq!(opened.unseen("bob", 10).await, ["c1", "c2", "a3", "c3", "a4", "c4"]);
    opened.see("bob", "carol", 4).await;
    assert_eq!(opened.unseen("bob", 10).await, ["a3", "a4"]);
    opened.see("bob", "alice", 4).await;
    assert!(opened.unseen("bob", 10).await.is_empty());
    opened.say("carol", "bob", "c5").await;
    assert_eq!(opened.unseen("bob", 10).await, ["c5"]);
    assert_eq!(opened.store.events(&dm("alice", "bob"), Range::After(0), 10).await.unwrap().events.len(), 4);
}

/// Against a model, with random senders, readers and restarts of the store.
pub(crate) async fn unread_messages_follow_from_messages_and_cursors(bench: &Bench) {
    const USERS: [&str; 3] = ["ann", "bob", "cyd"];
    let mut opened = bench.open().await;
    let mut said: Vec<(&str, &str, u64, String)> = Vec::new();
    let mut seen: HashMap<(&str, &str), u64> = HashMap::new();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    for step in 0..100 {
        let one = USERS[below(3) as usize];
        // Long runs of one sender, like a program that nobody answers.
        let other = if below(4) == 0 { USERS[below(3) as usize] } else { "bob" };
        match below(10) {
            0 if step % 4 == 0 => {
                opened.store.close().await.unwrap();
                opened = bench.open().await;
            }
            1..=2 => {
                let seq = below(30);
                opened.see(one, other, seq).await;
                let head = said.iter().filter(|(from, to, ..)| dm(from, to) == dm(one, other)).count() as u64;
                let known = seen.entry((one, other)).or_default();
                *known = seq.min(head).max(*known);
            }
            _ => {
                let seq = opened.say(one, other, &format!("{step}")).await.seq;
                said.push((one, other, seq, format!("{step}")));
            }
        }
        // One of them each time: a query costs more than a message.
        let user = USERS[below(3) as usize];
        let is_unseen = |(from, to, seq, _): &&(&str, &str, u64, String)| {
            *to == user && *seq > seen.get(&(user, from)).copied().unwrap_or(0)
        };
        let expected: Vec<_> = said.iter().filter(is_unseen).map(|(.., body)| body.clone()).collect();
        let page = [2, 3, 50][below(3) as usize];
        assert_eq!(opened.unseen(user, page).await, expected, "step {step}, {user}, pages of {page}");
        let conversations = opened.store.conversations(&name(user), 10).await.unwrap();
        let count: u64 = conversations.iter().map(|conversation| conversation.unseen).sum();
        assert_eq!(count, expected.len() as u64, "step {step}, {user}");
    }
}

/// Against a manual count: notes, logs whose beginnings are deleted before and after the cursors, cursors in deleted parts.
pub(crate) async fn what_is_unseen_is_counted_right_whatever_was_removed(bench: &Bench) {
    const USERS: [&str; 4] = ["ann", "bob", "cyd", "ann"];
    let mut opened = bench.open().await;
    // By conversation: numbers and senders; by user and conversation: the cursor.
    let mut logs: BTreeMap<ConversationId, Vec<(u64, &str)>> = BTreeMap::new();
    let mut seen: HashMap<(&str, ConversationId), u64> = HashMap::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    for step in 0..150 {
        let (one, other) = (USERS[below(4) as usize], USERS[below(4) as usize]);
        let id = dm(one, other);
        let log = logs.entry(id.clone()).or_default();
        let end = log.last().map_or(0, |(seq, _)| *seq);
        match below(8) {
            0 if end > 1 => {
                let up_to = below(end);
                let removed = log.iter().filter(|(seq, _)| *seq <= up_to).count() as u64;
                log.retain(|(seq, _)| *seq > up_to);
                assert_eq!(opened.store.delete_up_to(&id, up_to).await.unwrap(), removed);
            }
            1..=2 => {
                let wanted = below(end + 3);
                opened.see(one, other, wanted).await;
                let reached = log.iter().map(|(seq, _)| *seq).filter(|seq| *seq <= wanted).max();
                let cursor = seen.entry((one, id)).or_default();
                *cursor = reached.unwrap_or(0).max(*cursor);
            }
            3 if step % 5 == 0 => opened = bench.open().await,
            _ => {
                let drafts: Vec<_> =
                    (0..=below(4)).map(|n| draft(one, other, &format!("{step}.{n}"))).collect();
                log.extend(opened.append(drafts).await.iter().map(|stored| (stored.seq, one)));
            }
        }
        let user = USERS[below(3) as usize];
        let mut all = 0;
        for summary in opened.store.conversations(&name(user), 10).await.unwrap() {
            let id = &summary.conversation;
            let cursor = seen.get(&(user, id.clone())).copied().unwrap_or(0);
            let comes_in = |sender: &str| sender != user || id.is_note_to_self();
            let expected = logs[id].iter().filter(|(seq, sender)| *seq > cursor && comes_in(sender)).count();
            assert_eq!(summary.unseen, expected as u64, "step {step}: {user} in {id}");
            all += expected;
        }
        assert_eq!(opened.unseen(user, 7).await.len(), all, "step {step}: {user}");
    }
}

pub(crate) async fn cursors_move_forward_only_and_not_past_the_end(bench: &Bench) {
    let opened = bench.open().await;
    for n in 1..=3 {
        opened.say("alice", "bob", &n.to_string()).await;
    }
    opened.see("bob", "alice", 2).await;
    opened.see("bob", "alice", 1).await;
    assert_eq!(opened.unseen("bob", 10).await, ["3"]);
    opened.see("bob", "alice", u64::MAX).await;
    let seen = || async { opened.store.conversations(&name("bob"), 10).await.unwrap()[0].seen };
    assert_eq!(seen().await, 3);
    opened.say("alice", "bob", "4").await;
    assert_eq!(opened.unseen("bob", 10).await, ["4"], "what comes later was not seen in advance");
    opened.see("bob", "alice", 0).await;
    assert_eq!(seen().await, 3);
}

pub(crate) async fn cursors_of_strangers_and_of_nothing_do_nothing(bench: &Bench) {
    let opened = bench.open().await;
    opened.see("bob", "alice", 5).await;
    opened.say("alice", "bob", "first").await;
    assert_eq!(opened.unseen("bob", 10).await, ["first"]);
    opened.see("alice", "bob", 1).await;
    assert_eq!(opened.unseen("bob", 10).await, ["first"], "the other's cursor is the other's");
}

pub(crate) async fn every_device_may_move_the_users_cursor(bench: &Bench) {
    let opened = bench.open().await;
    for n in 1..=3 {
        opened.say("alice", "bob", &n.to_string()).await;
    }
    opened.try_see("bob", "alice", 2, Some("phone")).await.unwrap();
    opened.try_see("bob", "alice", 1, Some("laptop")).await.unwrap();
    assert_eq!(opened.unseen("bob", 10).await, ["3"]);
    // More devices than the maximum: the oldest are forgotten, and nothing else changes.
    for n in 0..DEVICES + 3 {
        opened.try_see("bob", "alice", 3, Some(&format!("device-{n}"))).await.unwrap();
    }
    assert!(opened.unseen("bob", 10).await.is_empty());
}

pub(crate) async fn many_cursors_move_at_once(bench: &Bench) {
    let opened = bench.open().await;
    let drafts = |n: usize| (1..=3).map(move |k| draft(&format!("friend{n}"), "bob", &format!("{n}.{k}")));
    for part in (0..600).collect::<Vec<_>>().chunks(100) {
        opened.append(part.iter().flat_map(|n| drafts(*n)).collect()).await;
    }
    opened.store.delete_up_to(&dm("bob", "friend0"), 2).await.unwrap();
    let to = |n: usize, seq, device: Option<&str>| CursorMove {
        user: name("bob"),
        device: device.map(|device| Device::parse(device).unwrap()),
        conversation: dm("bob", &format!("friend{n}")),
        seq,
    };
    // To an event, beyond the end, into a deleted part, into an empty conversation, and one of them several times.
    let mut moves: Vec<CursorMove> = (1..598).map(|n| to(n, 2, (n % 2 == 0).then_some("phone"))).collect();
    moves.extend([
        to(598, 900, None),
        to(0, 1, None),
        to(4000, 1, None),
        to(5, 3, None),
        to(5, 1, Some("tv")),
    ]);
    opened.store.move_cursors(moves).await.unwrap();
    let mut expected: Vec<String> = (0..600).map(|n| format!("{n}.3")).collect();
    expected.retain(|body| !["5.3", "598.3"].contains(&body.as_str()));
    expected.extend(["599.1".to_owned(), "599.2".to_owned()]);
    expected.sort();
    let mut unseen = opened.unseen("bob", 200).await;
    unseen.sort();
    assert_eq!(unseen, expected);
    let cursors = opened.store.cursors(&dm("bob", "friend5")).await.unwrap();
    let cursors: Vec<_> = cursors.iter().map(|at| (at.device.as_ref().map(|d| d.as_str()), at.seq)).collect();
    assert!(cursors.contains(&(None, 3)) && cursors.contains(&(Some("tv"), 1)), "{cursors:?}");
}

pub(crate) async fn what_one_says_to_oneself_is_unseen_once(bench: &Bench) {
    let opened = bench.open().await;
    opened.say("alice", "alice", "note").await;
    assert_eq!(opened.unseen("alice", 10).await, ["note"]);
    let summary = opened.store.conversations(&name("alice"), 10).await.unwrap().remove(0);
    assert_eq!((summary.with, summary.head, summary.unseen), (name("alice"), 1, 1));
    opened.see("alice", "alice", 1).await;
    assert!(opened.unseen("alice", 10).await.is_empty());
}

pub(crate) async fn a_page_token_of_somebody_else_is_refused(bench: &Bench) {
    let opened = bench.open().await;
    opened.say("alice", "bob", "x").await;
    for bad in ["", "x", "1-x", "99999999999999999999999999"] {
        let error = opened.store.unseen(&name("bob"), Some(bad), 10).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { field: "after", .. }), "{bad}: {error}");
    }
}

pub(crate) async fn conversations_come_most_recent_first(bench: &Bench) {
    let opened = bench.open().await;
    assert!(opened.store.conversations(&name("bob"), 10).await.unwrap().is_empty());
    opened.say("Alice", "bob", "a1").await;
    opened.say("bob", "carol", "c1").await;
    opened.say("dave", "erin", "none of bob's").await;
    opened.say("carol", "bob", "c2").await;
    opened.say("Alice", "bob", "a2").await;
    opened.say("bob", "Alice", "a3").await;
    opened.see("bob", "alice", 1).await;
    let summaries = opened.store.conversations(&name("bob"), 10).await.unwrap();
    let told: Vec<_> = summaries
        .iter()
        .map(|s| (s.with.as_str(), s.head, s.seen, s.unseen, s.last.as_ref().unwrap().body.as_str()))
        .collect();
    assert_eq!(told, [("Alice", 3, 1, 1, "a3"), ("carol", 2, 0, 1, "c2")]);
    assert_eq!(summaries[0].conversation, dm("alice", "bob"));
    let most_recent = opened.store.conversations(&name("bob"), 1).await.unwrap();
    assert_eq!(most_recent, summaries[..1]);
}

pub(crate) async fn a_conversation_is_read_in_both_directions(bench: &Bench) {
    let opened = bench.open().await;
    opened.append((1..=10).map(|n| draft("alice", "bob", &n.to_string())).collect()).await;
    let read = |range, limit| {
        let opened = opened.clone();
        async move {
            let page = opened.store.events(&dm("alice", "bob"), range, limit).await.unwrap();
            (page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), page.more)
        }
    };
    assert_eq!(read(Range::After(0), 3).await, (vec![1, 2, 3], true));
    assert_eq!(read(Range::After(7), 3).await, (vec![8, 9, 10], false));
    assert_eq!(read(Range::After(10), 3).await, (vec![], false));
    assert_eq!(read(Range::After(u64::MAX), 3).await, (vec![], false));
    assert_eq!(read(Range::Before(u64::MAX), 3).await, (vec![8, 9, 10], true));
    assert_eq!(read(Range::Before(4), 3).await, (vec![1, 2, 3], false));
    assert_eq!(read(Range::Before(1), 3).await, (vec![], false));
    let nothing = opened.store.events(&dm("alice", "nobody"), Range::After(0), 3).await.unwrap();
    assert!(nothing.events.is_empty() && !nothing.more);
}

pub(crate) async fn users_come_in_order_of_registration(bench: &Bench) {
    let opened = bench.open().await;
    opened.say("early", "bird", "who only writes is not registered").await;
    let register = |user: &str, address: Option<&str>| {
        opened.store.register(RegisterUser { name: name(user), address: address.map(str::to_owned) })
    };
    register("Zoe", Some("127.0.0.1:1")).await.unwrap();
    register("adam", None).await.unwrap();
    register("bird", None).await.unwrap();
    register("zoe", Some("127.0.0.1:2")).await.unwrap();
    register("ZOE", None).await.unwrap();
    let again = bench.open().await;
    let page = again.store.users(0, 2).await.unwrap();
    assert!(page.more && page.users.len() == 2);
    let rest = again.store.users(page.last, 2).await.unwrap();
    assert!(!rest.more && rest.users.len() == 1);
    assert_eq!(again.store.users(rest.last, 2).await.unwrap().users, []);
    let users = again.store.users(0, 9).await.unwrap().users;
    let told: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.address.as_deref())).collect();
    assert_eq!(told, [("Zoe", Some("127.0.0.1:2")), ("adam", None), ("bird", None)]);
    let asked = ["early", "zoe", "nobody", "bird"].map(name).to_vec();
    assert_eq!(opened.store.known(asked).await.unwrap(), ["zoe", "bird"].map(name));
    assert!(users[0].first_seen < users[0].last_seen);
    assert_eq!(users[1].first_seen, users[1].last_seen);
}

pub(crate) async fn a_registered_name_is_found_by_what_it_looks_like(bench: &Bench) {
    let opened = bench.open().await;
    opened.say("Bobl", "bob1", "who only writes is not registered").await;
    for who in ["Ann", "bob1", "BobI"] {
        opened.store.register(RegisterUser { name: name(who), address: None }).await.unwrap();
    }
    let again = bench.open().await;
    let lookalike = async |who: &str| {
        let found = again.store.lookalike(&name(who)).await.unwrap();
        found.map(|name| name.to_string())
    };
    assert_eq!(lookalike("bobl").await.as_deref(), Some("bob1"), "the first of them");
    assert_eq!(lookalike("bob1").await.as_deref(), Some("BobI"), "of the others");
    assert_eq!(lookalike("\u{430}nn").await.as_deref(), Some("Ann"));
    assert_eq!(lookalike("ANN").await, None, "itself");
    assert_eq!(lookalike("bobby").await, None);
}

pub(crate) async fn the_log_keeps_its_name(bench: &Bench) {
    let log = bench.open().await.store.log().await.unwrap();
    let opened = bench.open().await;
    opened.say("alice", "bob", "hi").await;
    assert_eq!(opened.store.log().await.unwrap(), log);
}

pub(crate) async fn state_is_kept_by_owner_and_key(bench: &Bench) {
    let opened = bench.open().await;
    let value = |n: u32| json!({"n": n, "text": "ü\n$", "list": [null, true]});
    let put = |owner: &str, key: &str, value: Option<serde_json::Value>| {
        opened.store.put_state(StatePut::new(name(owner), key, value.as_ref()).unwrap())
    };
    put("thermometer1", "alice", Some(value(1))).await.unwrap();
    put("thermometer1", "bob.$x", Some(value(2))).await.unwrap();
    put("Thermometer1", "alice", Some(value(3))).await.unwrap();
    put("openai", "alice", Some(value(4))).await.unwrap();
    put("openai", "gone", Some(value(5))).await.unwrap();
    put("openai", "gone", None).await.unwrap();
    put("openai", "never there", None).await.unwrap();
    let state =
        |owner: &'static str| async move { bench.open().await.store.state(&name(owner)).await.unwrap() };
    let expected = [("alice".to_owned(), value(3)), ("bob.$x".to_owned(), value(2))];
    assert_eq!(state("thermometer1").await, BTreeMap::from(expected));
    assert_eq!(state("openai").await, BTreeMap::from([("alice".to_owned(), value(4))]));
    assert!(state("nobody").await.is_empty());
    let long = "x".repeat(protocol::limits::METADATA_BYTES);
    assert!(StatePut::new(name("a"), "key", Some(&json!(long))).is_err());
    assert!(StatePut::new(name("a"), "", None).is_err());
    assert!(StatePut::new(name("a"), "a\nb", None).is_err());
}

pub(crate) async fn everything_can_be_listed_page_by_page(bench: &Bench) {
    let opened = bench.open().await;
    for from in ["alice", "carol", "dave"] {
        opened.append((0..3).map(|n| draft(from, "bob", &n.to_string())).collect()).await;
    }
    opened.see("bob", "alice", 2).await;
    opened.try_see("bob", "alice", 3, Some("phone")).await.unwrap();
    let mut after = None;
    for expected in ["dm:alice:bob", "dm:bob:carol", "dm:bob:dave"] {
        let page = opened.store.all_conversations(after.as_ref(), 1).await.unwrap();
        assert_eq!(page[0].as_str(), expected);
        after = page.into_iter().next();
    }
    assert!(opened.store.all_conversations(after.as_ref(), 1).await.unwrap().is_empty());
    let cursors = opened.store.cursors(&dm("alice", "bob")).await.unwrap();
    let cursors: Vec<_> =
        cursors.iter().map(|at| (at.user.as_str(), at.device.as_ref().map(|d| d.as_str()), at.seq)).collect();
    assert_eq!(cursors, [("bob", None, 3), ("bob", Some("phone"), 3)]);
    for (owner, key) in [("bot", "a"), ("bot", "b"), ("thermometer1", "a")] {
        opened.store.put_state(StatePut::new(name(owner), key, Some(&json!(key))).unwrap()).await.unwrap();
    }
    let first = opened.store.all_state(None, 2).await.unwrap();
    let last = (first[1].owner.clone(), first[1].key.clone());
    let rest = opened.store.all_state(Some(last), 2).await.unwrap();
    let listed: Vec<_> =
        first.iter().chain(&rest).map(|put| (put.owner.as_str(), put.key.as_str())).collect();
    assert_eq!(listed, [("bot", "a"), ("bot", "b"), ("thermometer1", "a")]);
}

pub(crate) async fn the_beginning_of_a_log_can_be_removed(bench: &Bench) {
    let opened = bench.open().await;
    opened.append((0..10).map(|n| draft("alice", "bob", &n.to_string())).collect()).await;
    opened.say("carol", "bob", "stays").await;
    assert_eq!(opened.store.delete_up_to(&dm("alice", "bob"), 7).await.unwrap(), 7);
    assert_eq!(opened.store.delete_up_to(&dm("alice", "bob"), 7).await.unwrap(), 0);
    assert_eq!(opened.store.delete_up_to(&dm("alice", "nobody"), 7).await.unwrap(), 0);
    let seqs = |events: Vec<Event>| events.iter().map(|event| event.seq).collect::<Vec<_>>();
    let page = opened.store.events(&dm("alice", "bob"), Range::After(0), 20).await.unwrap();
    assert_eq!(seqs(page.events), [8, 9, 10]);
    assert_eq!(opened.unseen("bob", 20).await, ["7", "8", "9", "stays"]);
    assert_eq!(opened.say("bob", "alice", "x").await.seq, 11, "places are not used again");
    opened.see("bob", "alice", 10).await;
    opened.store.delete_up_to(&dm("alice", "bob"), 10).await.unwrap();
    assert_eq!(opened.say("alice", "bob", "news").await.seq, 12);
    assert_eq!(opened.unseen("bob", 20).await, ["stays", "news"], "what comes later is found");
}

/// The rest of alice's and bob's log.
async fn left(opened: &Opened) -> Vec<u64> {
    let page = opened.store.events(&dm("alice", "bob"), Range::After(0), 500).await.unwrap();
    page.events.iter().map(|event| event.seq).collect()
}

pub(crate) async fn retention_lets_go_what_its_rule_says_and_nothing_else(bench: &Bench) {
    let opened = bench.open().await;
    let rule = |age: u64, count: u64, unseen: bool| {
        let config = StoreConfig {
            retention_age: Duration::from_secs(age),
            retention_count: count,
            retention_unseen: unseen,
            ..StoreConfig::default()
        };
        Rule::of(&config).unwrap()
    };
    let in_days = |days: i64| Timestamp::from_micros(Timestamp::now().micros() + days * 86_400_000_000);
    let sweep = async |rule, now| retention::sweep(&*opened.store, rule, now).await.unwrap();
    opened.append((1..=450).map(|n| draft("alice", "bob", &n.to_string())).collect()).await;
    opened.say("bob", "carol", "alone").await;
    assert_eq!(sweep(rule(60, 1, true), in_days(0)).await, 0, "nothing is old enough");
    assert_eq!(sweep(rule(60, 1, false), in_days(2)).await, 0, "nothing was seen");
    opened.see("bob", "alice", 440).await;
    assert_eq!(sweep(rule(0, 400, false), in_days(2)).await, 50);
    assert_eq!(left(&opened).await, (51..=450).collect::<Vec<_>>());
    assert_eq!(sweep(rule(86_400, 0, false), in_days(2)).await, 390, "in batches, up to what was seen");
    assert_eq!(left(&opened).await, (441..=450).collect::<Vec<_>>());
    assert_eq!(sweep(rule(86_400, 0, true), in_days(2)).await, 9);
    assert_eq!(left(&opened).await, [450], "the last one stays");
    assert_eq!(opened.say("alice", "bob", "on").await.seq, 451);
}

pub(crate) async fn a_closed_store_finishes_and_refuses(bench: &Bench) {
    let opened = bench.open().await;
    let pending = {
        let opened = opened.clone();
        tokio::spawn(async move {
            let ids = (0..100).map(|n| ClientId::parse(&format!("c{n}")).unwrap());
            opened
                .store
                .append(ids.map(|client_id| Draft { client_id, ..draft("a", "b", "x") }).collect())
                .await
        })
    };
    tokio::task::yield_now().await;
    opened.store.close().await.unwrap();
    let answered = pending.await.unwrap().is_ok();
    let again = bench.open().await;
    assert_eq!(again.unseen("b", 200).await.len(), if answered { 100 } else { 0 });
    assert!(opened.store.append(vec![draft("a", "b", "late")]).await.is_err());
    opened.store.close().await.unwrap();
}
