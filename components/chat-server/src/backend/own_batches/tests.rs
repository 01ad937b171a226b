use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use protocol::{Body, Timestamp};

use super::*;
use crate::sample::name;

const READER: Uuid = Uuid::from_u128(1);

fn batches() -> OwnBatches {
    let batches = OwnBatches::default();
    batches.set_reader(Some(READER));
    batches
}

fn drafts(bodies: &[&str]) -> Vec<Draft> {
    bodies.iter().map(|body| Draft::chat(name("ann"), &name("bob"), Body::parse(body).unwrap())).collect()
}

/// All stored, but for those that were before.
fn results(drafts: &[Draft], duplicates: &[usize]) -> Vec<Appended> {
    let result = |(n, draft): (usize, &Draft)| Appended {
        conversation: draft.conversation.clone(),
        seq: n as u64 + 1,
        id: Uuid::from_u128(n as u128),
        at: Timestamp::from_micros(5),
        duplicate: duplicates.contains(&n),
    };
    drafts.iter().enumerate().map(result).collect()
}

fn bodies(events: Option<Vec<Event>>) -> Option<Vec<String>> {
    Some(events?.iter().map(|event| format!("{} {}", event.seq, event.body)).collect())
}

fn stored(batches: &OwnBatches, drafts: &[Draft], duplicates: &[usize]) -> u64 {
    let begun = batches.begin().unwrap();
    let number = begun.own().number;
    begun.stored(drafts.iter(), &results(drafts, duplicates));
    number
}

#[tokio::test(start_paused = true)]
async fn what_became_of_the_drafts_is_taken_once() {
    let (batches, drafts) = (batches(), drafts(&["a", "b", "c", "d"]));
    let number = stored(&batches, &drafts, &[2]);
    assert_eq!(bodies(batches.take(number, 0, 2).await).unwrap(), ["1 a", "2 b"]);
    assert_eq!(batches.take(number, 1, 1).await, None, "taken before");
    assert_eq!(batches.take(number, 2, 2).await, None, "one was stored before");
    assert_eq!(batches.take(number, 3, 9).await, None, "there are not as many");
    assert_eq!(bodies(batches.take(number, 3, 1).await).unwrap(), ["4 d"]);
    assert!(batches.state().batches.is_empty() && batches.state().bytes == 0);
}

#[tokio::test(start_paused = true)]
async fn a_mark_waits_for_its_answer_and_not_forever() {
    let (batches, drafts) = (batches(), drafts(&["a"]));
    let begun = batches.begin().unwrap();
    let number = begun.own().number;
    let mut taking = pin!(batches.take(number, 0, 1));
    assert!(matches!(taking.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    begun.stored(drafts.iter(), &results(&drafts, &[]));
    assert_eq!(bodies(taking.await).unwrap(), ["1 a"]);
    let late = batches.begin().unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(batches.take(late.own().number, 0, 1).await, None);
    assert_eq!(before.elapsed(), ANSWER_WITHIN);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_ends_the_wait_at_once() {
    let batches = batches();
    let begun = batches.begin().unwrap();
    let before = tokio::time::Instant::now();
    let (taken, ()) = tokio::join!(batches.take(begun.own().number, 0, 1), async { drop(begun) });
    assert_eq!((taken, before.elapsed()), (None, Duration::ZERO));
    assert!(batches.state().batches.is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_reader_has_none_of_the_batches_before() {
    let (batches, drafts) = (batches(), drafts(&["a"]));
    let (held, begun) = (stored(&batches, &drafts, &[]), batches.begin().unwrap());
    batches.set_reader(Some(Uuid::from_u128(2)));
    let number = begun.own().number;
    begun.stored(drafts.iter(), &results(&drafts, &[]));
    assert_eq!((batches.take(held, 0, 1).await, batches.take(number, 0, 1).await), (None, None));
    assert!(stored(&batches, &drafts, &[]) > number, "a number is used once");
    batches.set_reader(None);
    assert!(batches.begin().is_none());
}

#[test]
fn repeated_batches_and_more_than_fits_take_no_memory() {
    let batches = batches();
    stored(&batches, &drafts(&["a", "b"]), &[0, 1]);
    assert!(batches.state().batches.is_empty(), "the feed will not mark it");
    let long = "x".repeat(10_000);
    let drafts = drafts(&[&long[..]; 100]);
    let numbers: Vec<u64> = (0..40).map(|_| stored(&batches, &drafts, &[])).collect();
    let state = batches.state();
    assert!(state.bytes <= BYTES && state.bytes > BYTES / 2);
    let held: Vec<u64> = state.batches.keys().copied().collect();
    assert_eq!(held, numbers[numbers.len() - held.len()..], "the newest are kept");
    assert_eq!(held.len(), BYTES / (100 * (10_000 + OVERHEAD)));
}
