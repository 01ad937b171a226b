//! Measures how many drafts a store acknowledges per second: `cargo run --release -p message-api --example append -- sqlite:/tmp/x.db 200
//! 4` appends for five seconds, 200 drafts per batch, four callers concurrently.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use message_api::StoreConfig;
use message_api::feed::Feed;
use message_api::store::{self, Store};
use protocol::{Body, Draft, UserName};

const TIME: Duration = Duration::from_secs(5);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for a person's terminal")]
async fn main() -> Result<(), kit::Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| StoreConfig::default().url);
    let mut number = |default| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (size, callers) = (number(200), number(4));
    let config = StoreConfig { url, ..StoreConfig::default() };
    let store = store::open(&config, Path::new("."), Arc::new(Feed::default()), store::no_progress())
        .await
        .map_err(store::OpenError::into_failure)?;
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| tokio::spawn(append(Arc::clone(&store), Arc::clone(&count), caller, size)))
        .collect();
    for task in tasks {
        task.await?;
    }
    let rate = f64::from(u32::try_from(count.load(Ordering::Relaxed))?) / begun.elapsed().as_secs_f64();
    println!("{rate:.0} drafts a second, {size} a batch, {callers} callers");
    store.close().await?;
    Ok(())
}

async fn append(store: Arc<dyn Store>, count: Arc<AtomicU64>, caller: usize, size: usize) {
    let name =
        |n: usize| UserName::parse(&format!("user{}", n % 1000)).expect("letters and digits are a name");
    let body = Body::parse(&"hello ".repeat(20)).expect("short and not empty");
    let begun = Instant::now();
    for batch in 0.. {
        if begun.elapsed() > TIME {
            return;
        }
        let first = (caller * 31 + batch) * size;
        let draft = |n: usize| Draft::chat(name(first + n), &name(first + n * 7 + 1), body.clone());
        let results = store.append((0..size).map(draft).collect()).await;
        count.fetch_add(results.expect("the store works").len() as u64, Ordering::Relaxed);
    }
}
