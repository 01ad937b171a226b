//! Measures the cost of a login: `cargo run --release -p message-api --example login -- sqlite:/tmp/x.db 2000 50` fills an empty store with
//! 50 messages from each of 2000 users to one, and reads all of them in pages. A store that has messages is only read.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use message_api::StoreConfig;
use message_api::feed::Feed;
use message_api::store::{self, Store, StoreError};
use protocol::{Body, Draft, UserName};

/// As many as the chat server requests.
const PAGE: usize = 200;
/// Drafts per batch.
const BATCH: usize = 200;
/// The number of runs of which the median is reported.
const ROUNDS: usize = 5;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for a person's terminal")]
async fn main() -> Result<(), kit::Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| StoreConfig::default().url);
    let mut number = |default| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (friends, each) = (number(1000), number(20));
    let config = StoreConfig { url, ..StoreConfig::default() };
    let store = store::open(&config, Path::new("."), Arc::new(Feed::default()), store::no_progress())
        .await
        .map_err(store::OpenError::into_failure)?;
    let user = name("reader");
    if store.unseen(&user, None, 1).await?.events.is_empty() {
        let begun = Instant::now();
        fill(&*store, &user, friends, each).await?;
        let rate = f64::from(u32::try_from(friends * each)?) / begun.elapsed().as_secs_f64();
        println!("{rate:.0} messages/s stored, {BATCH} a batch");
    }
    let (mut lists, mut firsts, mut wholes) = (Vec::new(), Vec::new(), Vec::new());
    let mut count = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        store.conversations(&user, PAGE).await?;
        lists.push(begun.elapsed());
        let begun = Instant::now();
        let (mut after, mut pages) = (None, 0);
        count = 0;
        loop {
            let page = store.unseen(&user, after.as_deref(), PAGE).await?;
            if pages == 0 {
                firsts.push(begun.elapsed());
            }
            (pages, count) = (pages + 1, count + page.events.len());
            if !page.more {
                break;
            }
            after = Some(page.end);
        }
        wholes.push(begun.elapsed());
    }
    let [lists, first, whole] = [lists, firsts, wholes].map(median);
    println!(
        "{count} unread: conversations {lists:.1?}, first page {first:.1?}, all pages {whole:.1?} (median of {ROUNDS})"
    );
    store.close().await?;
    Ok(())
}

async fn fill(store: &dyn Store, user: &UserName, friends: usize, each: usize) -> Result<(), StoreError> {
    let body = Body::parse(&"hello ".repeat(20)).expect("short and not empty");
    let all: Vec<usize> = (0..friends * each).collect();
    for batch in all.chunks(BATCH) {
        let draft = |n: &usize| Draft::chat(name(&format!("friend{}", n % friends)), user, body.clone());
        store.append(batch.iter().map(draft).collect()).await?;
    }
    Ok(())
}

fn name(text: &str) -> UserName {
    UserName::parse(text).expect("letters and digits are a name")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
