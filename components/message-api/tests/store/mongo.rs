//! The contract on MongoDB, and what may be wrong with a server. One server for all of it, a fresh database for each case.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kit::Exit;
use message_api::StoreConfig;
use message_api::store;

use crate::bench::{Bench, Published, draft};
use crate::contract;
use crate::mongod::Mongod;

fn bench(url: String) -> Bench {
    Bench { config: StoreConfig { url, ..StoreConfig::default() }, data: PathBuf::new() }
}

macro_rules! run_all {
    ($($case:ident)*) => {
        async fn run_all(mongod: &Mongod) {
            $(
                let name = stringify!($case);
                eprintln!("{name}");
                // A database's name has at most 63 bytes.
                contract::$case(&bench(mongod.url(&name[..name.len().min(60)]))).await;
            )*
        }
    };
}
contract::cases!(run_all);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_mongodb() {
    let Some(mongod) = Mongod::start().await else { return };
    run_all(&mongod).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let Some(mut mongod) = Mongod::start().await else { return };
    let bench = bench(mongod.url("killed"));
    let opened = bench.open().await;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let opened = opened.clone();
            tokio::spawn(async move {
                let from = format!("writer{writer}");
                for n in 0..150 {
                    let message = draft(&from, "bob", &format!("{from} {n}"));
                    // The outbox of a real sender: the same draft until it is acknowledged.
                    while opened.store.append(vec![message.clone()]).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            })
        })
        .collect();
    while opened.published.events().len() < 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    mongod.kill_and_restart();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut unseen = bench.open().await.unseen("bob", 200).await;
    let mut expected: Vec<_> =
        (0..4).flat_map(|writer| (0..150).map(move |n| format!("writer{writer} {n}"))).collect();
    unseen.sort();
    expected.sort();
    assert_eq!(unseen, expected, "each exactly once");
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    // Answers like a web server to whatever it is sent.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(
                &mut &stream,
                b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            );
        }
    });
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, exit, says) in [
        (format!("mongodb://me:hunter2@{free}/x"), Exit::Unavailable, "is unreachable; is it running?"),
        (format!("mongodb://me:hunter2@{taken}/x"), Exit::Unavailable, "is not MongoDB"),
        ("mongodb://me:hunter2@no-such-host.invalid/x".to_owned(), Exit::Unavailable, "no such host"),
        ("mongodb://me:hunter2@h:99999/x".to_owned(), Exit::Config, "not a URL of MongoDB"),
    ] {
        let config = StoreConfig { url, ..StoreConfig::default() };
        let error =
            store::open(&config, &PathBuf::new(), Arc::new(Published::default())).await.err().unwrap();
        let failure = error.into_failure();
        assert!(failure.to_string().contains(says), "{failure}");
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
        assert_eq!(failure.exit(), exit, "{failure}");
    }
}
