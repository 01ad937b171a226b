//! Reads from a newly elected primary that does not know yet what a majority has.

use std::time::Duration;

use bson::doc;
use message_api::store::{Range, StoreError};

use crate::bench::{Opened, dm, name};
use crate::mongo::bench;
use crate::mongod::{Mongod, until};

/// With this set, a server's knowledge of the majority does not advance.
const LEARNS_NOTHING: &str = "disableSnapshotting";

/// Bob's unread messages, the log of alice and bob, and its end in bob's list of conversations.
type Read = (Vec<String>, Vec<String>, u64);

async fn read(opened: Opened) -> Result<Read, StoreError> {
    let (bob, log) = (name("bob"), dm("alice", "bob"));
    let (unseen, events, conversations) = tokio::join!(
        opened.store.unseen(&bob, None, 10),
        opened.store.events(&log, Range::After(0), 10),
        opened.store.conversations(&bob, 10),
    );
    let bodies = |events: &[protocol::Event]| events.iter().map(|event| event.body.to_string()).collect();
    Ok((bodies(&unseen?.events), bodies(&events?.events), conversations?[0].head))
}

/// Reads once the server is waiting for what it does not know yet, which it then learns.
async fn read_when_it_has_learnt(primary: &Mongod, opened: &[Opened]) -> Vec<Read> {
    let reading: Vec<_> = opened.iter().map(|opened| tokio::spawn(read(opened.clone()))).collect();
    let waiting = doc! { "currentOp": 1, "command.readConcern.afterClusterTime": { "$exists": true } };
    until("all reads wait", async || {
        let waiting = primary.run(waiting.clone()).await.unwrap();
        waiting.get_array("inprog").unwrap().len() >= 3 * opened.len()
    })
    .await;
    primary.switch(LEARNS_NOTHING, false).await;
    // It learns with the next entry of its log.
    primary.run(doc! { "appendOplogNote": 1, "data": {} }).await.unwrap();
    let reads = futures_util::future::join_all(reading).await;
    reads.into_iter().map(|read| read.unwrap().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_new_primary_has_not_learnt_of_is_waited_for_and_never_left_out() {
    let Some([first, next, third]) = Mongod::start_three().await else { return };
    let hosts = [&first, &next, &third].map(Mongod::host).join(",");
    let bench = bench(format!("mongodb://{hosts}/elected?replicaSet=test"));
    let opened = bench.open().await;
    opened.say("alice", "bob", "one").await;
    next.switch(LEARNS_NOTHING, true).await;
    opened.say("alice", "bob", "two").await;
    opened.published.at_least(2).await;
    // One has published all of it, the other started afterwards and has published nothing.
    let opened = [opened, bench.open().await];
    next.step_up().await;

    let begun = std::time::Instant::now();
    for answer in futures_util::future::join_all(opened.clone().map(read)).await {
        let error = kit::failure::chain(&answer.unwrap_err());
        assert!(error.contains("MaxTimeMSExpired"), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "whoever waits is told in time");
    for (unseen, log, head) in read_when_it_has_learnt(&next, &opened).await {
        assert_eq!(
            (unseen, log, head),
            (vec!["one".into(), "two".into()], vec!["one".into(), "two".into()], 2)
        );
    }

    // Unconfirmed writes count as well: read messages are not shown again.
    third.switch(LEARNS_NOTHING, true).await;
    opened[1].see("bob", "alice", 1).await;
    third.step_up().await;
    let (unseen, ..) = read_when_it_has_learnt(&third, &opened[1..]).await.remove(0);
    assert_eq!(unseen, ["two"]);
    assert_eq!(opened[1].say("alice", "bob", "three").await.seq, 3);
}
