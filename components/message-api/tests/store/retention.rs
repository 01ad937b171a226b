//! Writers while expired messages are deleted.

use std::time::Duration;

use message_api::StoreConfig;
use message_api::retention::{self, Rule};
use protocol::Timestamp;

use crate::bench::{Bench, draft};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_are_not_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench { config: StoreConfig::default(), data: directory.path().to_owned() };
    let opened = bench.open().await;
    for from in 0..10 {
        let drafts = (0..1000).map(|n| draft(&format!("u{from}"), "bob", &n.to_string()));
        opened.append(drafts.collect()).await;
    }
    let config = StoreConfig { retention_count: 10, retention_unseen: true, ..StoreConfig::default() };
    let (rule, sweeper) = (Rule::of(&config).unwrap(), opened.clone());
    let tomorrow = Timestamp::from_micros(Timestamp::now().micros() + 86_400_000_000);
    let sweeping = tokio::spawn(async move { retention::sweep(&*sweeper.store, rule, tomorrow).await });
    let (mut slowest, mut written) = (Duration::ZERO, 0);
    while !sweeping.is_finished() {
        let begun = std::time::Instant::now();
        opened.say("alice", "carol", "x").await;
        slowest = slowest.max(begun.elapsed());
        written += 1;
    }
    let removed = sweeping.await.unwrap().unwrap();
    assert!(removed >= 9900, "{removed}");
    assert!(written > 50, "{written} were written meanwhile");
    assert!(slowest < Duration::from_millis(500), "the slowest took {slowest:?}");
}

#[tokio::test]
async fn what_a_sweep_would_delete_is_counted_before() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench { config: StoreConfig::default(), data: directory.path().to_owned() };
    let opened = bench.open().await;
    opened.append((0..450).map(|n| draft("alice", "bob", &n.to_string())).collect()).await;
    opened.append((0..3).map(|n| draft("carol", "bob", &n.to_string())).collect()).await;
    let config = StoreConfig { retention_count: 10, retention_unseen: true, ..StoreConfig::default() };
    let rule = Rule::of(&config).unwrap();
    let tomorrow = Timestamp::from_micros(Timestamp::now().micros() + 86_400_000_000);
    let planned = retention::plan(&*opened.store, rule, tomorrow).await.unwrap();
    assert_eq!((planned.messages, planned.expired), (453, 440));
    assert_eq!(retention::sweep(&*opened.store, rule, tomorrow).await.unwrap(), 440);
    let after = retention::plan(&*opened.store, rule, tomorrow).await.unwrap();
    assert_eq!((after.messages, after.expired), (13, 0));
}
