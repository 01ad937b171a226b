//! What pages of unread messages cost on MongoDB, told by the server, which notes what each command looked at.

use bson::{Document, doc};
use futures_util::TryStreamExt;

use crate::bench::{Opened, draft};
use crate::mongo::bench;
use crate::mongod::Mongod;

/// What message-api asked of a database while something was done.
async fn asked_of(mongod: &Mongod, database: &str, doing: impl AsyncFnOnce()) -> Vec<Document> {
    let client = mongodb::Client::with_uri_str(mongod.url(database)).await.unwrap();
    let database = client.default_database().unwrap();
    // By itself the server would remember the last megabyte only.
    let notes = doc! { "create": "system.profile", "capped": true, "size": 256 << 20 };
    database.run_command(notes).await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    doing().await;
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let noted = database.collection::<Document>("system.profile");
    let ours = noted.find(doc! { "appName": "p2p-chat message-api" }).await.unwrap();
    let ours: Vec<_> = ours.try_collect().await.unwrap();
    noted.drop().await.unwrap();
    ours
}

/// How many of these are queries of a collection, the change stream's questions aside.
fn queries(asked: &[Document], of: &str) -> usize {
    let finds = |command: &Document| command.get_str("find").is_ok_and(|from| from == of);
    asked.iter().filter(|noted| noted.get_document("command").is_ok_and(finds)).count()
}

async fn say_all(opened: &Opened, all: &[(usize, usize)]) {
    for part in all.chunks(500) {
        let drafts = part.iter().map(|(n, k)| draft(&format!("friend{n}"), "bob", &format!("{n}.{k}")));
        opened.append(drafts.collect()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_pages_together_cost_in_proportion_to_what_is_unread() {
    let Some(mongod) = Mongod::start().await else { return };
    for (senders, more) in [(600, 0), (2400, 0), (100, 3000)] {
        let database = format!("pages{senders}");
        let opened = bench(mongod.url(&database)).open().await;
        let all: Vec<_> = (0..senders).map(|n| (n, 1)).chain((0..more).map(|n| (0, n + 2))).collect();
        say_all(&opened, &all).await;
        // Whatever else is known of them, that they are read is not looked up again.
        opened.published.at_least(all.len()).await;
        let expected: Vec<_> = all.iter().map(|(n, k)| format!("{n}.{k}")).collect();
        let noted =
            asked_of(&mongod, &database, async || assert_eq!(opened.unseen("bob", 100).await, expected))
                .await;
        let count = |field: &str| noted.iter().filter_map(|read| read.get_i32(field).ok()).sum::<i32>();
        let (looks, unread) =
            (count("keysExamined") + count("docsExamined"), i32::try_from(all.len()).unwrap());
        eprintln!("{unread} unread: {looks} keys and documents looked at with {} commands", noted.len());
        assert!(looks < 16 * unread, "{looks} for {unread}");
        assert!(noted.len() < 20 + all.len() / 20, "{} commands", noted.len());
        // The change stream asks for more all the time.
        let asks_again = |read: &&Document| {
            let first = read.get_document("originatingCommand");
            first.is_ok_and(|first| !first.to_string().contains("$changeStream"))
        };
        let again: Vec<_> = noted.iter().filter(asks_again).collect();
        assert!(again.is_empty(), "an answer in several parts: {}", again[0]);
    }
}

/// Friends who have said something: three queries tell in what order.
const FRIENDS: usize = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_page_of_many_conversations_reads_no_further_than_it_must() {
    let Some(mongod) = Mongod::start().await else { return };
    let opened = bench(mongod.url("first")).open().await;
    let all: Vec<_> = (1..=4).flat_map(|k| (0..FRIENDS).map(move |n| (n, k))).collect();
    say_all(&opened, &all).await;
    // What bob has seen of some, and says himself, is not unread.
    for n in (0..FRIENDS).step_by(10) {
        opened.see("bob", &format!("friend{n}"), 1 + n as u64 % 3).await;
        opened.say("bob", &format!("friend{n}"), "mine").await;
    }
    opened.published.at_least(all.len() + FRIENDS / 10).await;
    let is_unread = |(n, k): &&(usize, usize)| n % 10 != 0 || *k > 1 + n % 3;
    let expected: Vec<_> = all.iter().filter(is_unread).map(|(n, k)| format!("{n}.{k}")).collect();
    let bob = crate::bench::name("bob");
    let asked = asked_of(&mongod, "first", async || {
        let page = opened.store.unseen(&bob, None, 200).await.unwrap();
        let bodies: Vec<_> = page.events.iter().map(|event| event.body.to_string()).collect();
        assert!(page.more && bodies == expected[..200], "{bodies:?}");
    });
    let asked = asked.await;
    assert_eq!(queries(&asked, "events"), FRIENDS / 200 + 1, "queries, and one for the page itself");
    for page in [7, 200, 1000] {
        assert_eq!(opened.unseen("bob", page).await, expected, "pages of {page}");
    }
}

/// Another process, or this one after a restart, has not shown what was stored a moment ago, and asks the change stream whether it will.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_stored_before_a_restart_are_looked_up_once_for_all_pages() {
    let Some(mongod) = Mongod::start().await else { return };
    let opened = bench(mongod.url("restarted")).open().await;
    let all: Vec<_> = (1..=3).flat_map(|k| (0..FRIENDS).map(move |n| (n, k))).collect();
    say_all(&opened, &all).await;
    let expected: Vec<_> = all.iter().map(|(n, k)| format!("{n}.{k}")).collect();
    let again = bench(mongod.url("restarted")).open().await;
    let asked = asked_of(&mongod, "restarted", async || assert_eq!(again.unseen("bob", 100).await, expected));
    assert_eq!(queries(&asked.await, "counters"), 1, "questions about what the change stream has shown");
    // What comes later is asked again, and what is read is shown before.
    opened.say("friend0", "bob", "later").await;
    assert_eq!(again.unseen("bob", 100).await.last().unwrap(), "later");
    assert_eq!(again.published.events().last().unwrap().body.as_str(), "later");
}
