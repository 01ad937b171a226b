//! The page in a real Chromium, on the real binary with everything it starts.
//!
//! Screenshots are in `target/artefacts/`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;
mod together;
#[path = "../support/webdriver.rs"]
mod webdriver;

use serde_json::{Value, json};
use support::{Home, Launcher, kill};
use webdriver::{Browser, Driver, ENTER};

fn address(launcher: &Launcher) -> String {
    format!("http://{}/", launcher.home.page)
}

/// Opens the page and logs in.
async fn join(launcher: &Launcher, browser: &Browser, name: &str) {
    browser.prefer("light").await;
    browser.go(&address(launcher)).await;
    browser.type_into("#name", &format!("{name}{ENTER}")).await;
    browser.until("document.querySelector('.sidebar') !== null").await;
}

async fn open_conversation(browser: &Browser, name: &str) {
    browser.type_into("#search", &format!("{name}{ENTER}")).await;
    // Where nobody is known by the name, the page asks first.
    let is_open = format!(
        "(document.querySelector('dialog[open] .primary')?.click(), \
         document.querySelector('.partner h1')?.textContent.toLowerCase() === {})",
        Value::from(name.to_lowercase())
    );
    browser.until(&is_open).await;
}

async fn say(browser: &Browser, text: &str) {
    browser.type_into("#composer", &format!("{text}{ENTER}")).await;
}

/// How many messages the open conversation shows with this text.
fn count(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('.body')].filter((body) => body.firstChild.textContent === {}).length",
        Value::from(text)
    )
}

#[tokio::test]
async fn a_protected_name_is_asked_for_its_token_and_keeps_it() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().up();
    let accounts = |arguments: &[&str]| {
        let output = launcher.home.run(&[&["accounts"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let typed = accounts(&["add", "alice"]);
    let browser = driver.open(1280, 800).await;
    browser.go(&address(&launcher)).await;
    browser.type_into("#name", &format!("alice{ENTER}")).await;
    browser.until("document.querySelector('#name-error').textContent.includes('protected')").await;
    browser.picture("protected-name").await;
    browser.eval("document.querySelector('#name').value = ''").await;
    browser.type_into("#name", &format!("{typed}{ENTER}")).await;
    browser.until("document.querySelector('.sidebar') !== null").await;
    browser.until("!document.documentElement.outerHTML.includes('p2p_dev_')").await;
    // A reload needs no other login.
    browser.reload().await;
    browser.until("document.querySelector('.sidebar') !== null").await;
    accounts(&["revoke", "alice", "first"]);
    browser.until("document.querySelector('#name-error')?.textContent.includes('protected')").await;
}

#[tokio::test]
async fn two_people_talk_and_text_stays_text() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().up();
    let (alice, bob) = (driver.open(1280, 800).await, driver.open(390, 844).await);
    join(&launcher, &alice, "Alice").await;
    join(&launcher, &bob, "bob").await;

    alice.click("[data-key='bob']").await;
    say(&alice, "Hi bob, are you there?").await;
    alice.until("document.querySelector('.message.own.saved') !== null").await;
    bob.until("document.title.startsWith('(1)')").await;
    bob.click("[data-key='alice']").await;
    bob.shows("Hi bob, are you there?").await;
    alice.until("document.querySelector('.message.own.delivered') !== null").await;
    bob.until("!document.title.startsWith('(')").await;

    let hostile = "<img src=x onerror=\"document.title='owned'\"><script>alert(1)</script>";
    say(&bob, hostile).await;
    say(&bob, "see https://example.org/a?b=1. 🎉").await;
    alice.shows(hostile).await;
    alice.until("document.querySelector('.body a')?.href === 'https://example.org/a?b=1'").await;
    bob.click(".back").await;
    bob.until("document.querySelector('#composer') === null").await;
    assert_eq!(alice.eval("document.querySelectorAll('.body img, .body script').length").await, 0);
    assert_ne!(alice.eval("document.title").await, "owned");

    assert_eq!(alice.complaints().await, [""; 0]);
    assert_eq!(bob.complaints().await, [""; 0]);
}

#[tokio::test]
async fn what_was_said_to_somebody_away_waits_and_history_is_there_after_a_reload() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().up();
    let alice = driver.open(1280, 800).await;
    join(&launcher, &alice, "alice").await;
    open_conversation(&alice, "carol").await;
    for index in 1..=3 {
        say(&alice, &format!("kept {index}")).await;
    }
    alice.until("document.querySelectorAll('.message.own.saved').length === 3").await;

    let carol = driver.open(1280, 800).await;
    join(&launcher, &carol, "Carol").await;
    carol.until("document.querySelector(\"[data-key='alice'] .badge\")?.textContent === '3'").await;
    carol.picture("unseen").await;
    carol.click("[data-key='alice']").await;
    carol.shows("New messages").await;
    carol.shows("kept 3").await;
    carol.until("document.querySelector('.row .badge') === null").await;

    carol.reload().await;
    carol.shows("kept 1").await;
    assert_eq!(carol.eval("document.querySelectorAll('.row .badge').length").await, 0);
    assert_eq!(carol.eval("document.querySelectorAll('.message').length").await, 3);
    alice.click("#logout").await;
    alice.until("document.querySelector('#name')?.value === 'alice'").await;
    assert_eq!(alice.eval("localStorage.getItem('p2p-chat.tokens')").await, "[]");
}

#[tokio::test]
async fn older_messages_are_loaded_while_one_scrolls_back() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().up();
    let alice = driver.open(1280, 800).await;
    join(&launcher, &alice, "alice").await;
    open_conversation(&alice, "dave").await;
    // Typed key by key this would take a minute; Enter submits the form, too.
    alice
        .eval(
            "Array.from({ length: 130 }, (_, i) => { const c = document.querySelector('#composer'); c.value = `line ${i}`; \
             c.dispatchEvent(new Event('input')); c.form.requestSubmit(); }).length",
        )
        .await;
    // Only those near the view are drawn.
    alice
        .until(
            "[...document.querySelectorAll('.message.own.saved .body')].at(-1)?.firstChild.textContent === 'line 129' \
             && document.querySelector('.message.waiting') === null",
        )
        .await;
    alice.reload().await;
    alice.shows("line 129").await;
    let loaded = alice.eval("document.querySelectorAll('.message').length").await.as_u64().unwrap();
    assert!(loaded < 130, "{loaded} were loaded at once");
    alice
        .until("(document.querySelector('.scroller').scrollTop = 0, document.querySelectorAll('.message').length === 130)")
        .await;
    alice.shows("This is where your conversation with dave begins.").await;
    let firsts = alice
        .eval("[...document.querySelectorAll('.body')].map((body) => body.firstChild.textContent)")
        .await;
    let lines: Vec<Value> = (0..130).map(|i| Value::from(format!("line {i}"))).collect();
    assert_eq!(firsts, Value::Array(lines));
    alice.click("#jump").await;
    alice
        .until(
            "(s => s.scrollHeight - s.scrollTop - s.clientHeight < 2)(document.querySelector('.scroller'))",
        )
        .await;
}

#[tokio::test]
async fn the_thermometer_is_asked_with_buttons() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().up();
    let alice = driver.open(1280, 800).await;
    join(&launcher, &alice, "alice").await;
    alice.click("[data-key='service:thermometer1']").await;
    alice.click("[data-command='range']").await;
    alice.until("document.querySelectorAll('.chart .bar').length === 5").await;
    alice.click("[data-command='subscribe']").await;
    alice.shows("Subscription confirmed.").await;
    alice.picture("thermometer").await;
    alice.click("[data-command='unsubscribe']").await;
    alice.shows("Unsubscribed.").await;
    alice.click("#check").await;
    alice.shows("No unread messages").await;
    assert_eq!(alice.complaints().await, [""; 0]);
}

#[tokio::test]
async fn a_killed_chat_server_costs_nothing_and_doubles_nothing() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().up();
    let (alice, bob) = (driver.open(1280, 800).await, driver.open(1280, 800).await);
    join(&launcher, &alice, "alice").await;
    join(&launcher, &bob, "bob").await;
    alice.click("[data-key='bob']").await;
    bob.click("[data-key='alice']").await;
    for round in 0..3 {
        let (before, during) = (format!("before {round}"), format!("during {round}"));
        say(&alice, &before).await;
        kill(launcher.component_pid("chat-server").unwrap(), "-KILL");
        say(&alice, &during).await;
        bob.shows(&during).await;
        alice.until("document.querySelectorAll('.message.waiting').length === 0").await;
        for text in [&before, &during] {
            assert_eq!(bob.until(&count(text)).await, 1, "{text}");
            assert_eq!(alice.until(&count(text)).await, 1, "{text}");
        }
    }
    bob.until("document.documentElement.dataset.connection === 'live'").await;
    say(&bob, "and back").await;
    alice.shows("and back").await;
}

#[tokio::test]
async fn while_the_web_adapter_is_away_the_page_says_so_and_keeps_what_is_written() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().up();
    let alice = driver.open(1280, 800).await;
    join(&launcher, &alice, "alice").await;
    open_conversation(&alice, "bob").await;
    let tell = |verb: &str| assert!(launcher.home.run(&[verb, "web-adapter"]).status.success());
    tell("stop");
    alice.shows("Reconnecting").await;
    say(&alice, "written meanwhile").await;
    alice.until("document.querySelector('.message.waiting') !== null && !document.querySelector('#banner').hidden").await;
    alice.picture("reconnecting").await;
    tell("start");
    alice
        .until(
            "document.querySelector('.message.saved') !== null && document.querySelector('#banner').hidden",
        )
        .await;
    assert_eq!(alice.eval(&count("written meanwhile")).await, 1);
}

#[tokio::test]
async fn the_login_says_what_is_wrong() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().up();
    let (alice, other) = (driver.open(1280, 800).await, driver.open(390, 844).await);
    join(&launcher, &alice, "alice").await;
    other.prefer("dark").await;
    other.go(&address(&launcher)).await;
    for (name, problem) in [
        ("two words", "A name cannot contain a space"),
        ("Alice", "This name is in use"),
        ("thermometer1", "belongs to a service"),
    ] {
        other.eval("document.querySelector('#name').value = ''").await;
        other.type_into("#name", &format!("{name}{ENTER}")).await;
        other.shows(problem).await;
    }
    other.picture("login-error").await;
    // The same user in a second tab of the same browser joins; a token proves the identity.
    alice.eval("sessionStorage.clear()").await;
    alice.reload().await;
    alice.until("document.querySelector('#name')?.value === 'alice'").await;
    alice.picture("login").await;
    alice.click("#join").await;
    alice.until("document.querySelector('.sidebar') !== null").await;
}

/// What somebody else posts through the REST API.
fn post(launcher: &Launcher, sender: &str, message: &str) {
    let body = json!({ "sender": sender, "destination": "Alice", "message": message }).to_string();
    assert_eq!(support::http::post(launcher.home.api, "/messages/", &body).status, 200);
}

#[tokio::test]
async fn it_looks_as_it_should_on_a_desk_and_in_a_hand_in_light_and_dark() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().up();
    post(&launcher, "grace", "The compiler is done. Have a look when you find the time.");
    post(&launcher, "Ada.Lovelace", "Tea at four?");
    post(&launcher, "Ada.Lovelace", "I found the mistake in the third table ✨");
    let (alice, bob) = (driver.open(1280, 800).await, driver.open(1280, 800).await);
    join(&launcher, &alice, "Alice").await;
    join(&launcher, &bob, "bob").await;
    alice.click("[data-key='bob']").await;
    bob.click("[data-key='alice']").await;
    let talk = [
        (&bob, "Morning! Is the new chat server up?"),
        (&alice, "Yes, since eight. One command, and everything was there."),
        (&alice, "I pulled the plug on it in the middle of a sentence 🔌"),
        (&bob, "And?"),
        (&alice, "Not a word lost. Notes are at https://example.org/notes/restart"),
        (&bob, "Then `launcher status` must look dull now"),
        (&bob, "🎉"),
    ];
    for (index, (who, text)) in talk.into_iter().enumerate() {
        say(who, text).await;
        let all = format!("document.querySelectorAll('.message').length === {}", index + 1);
        alice.until(&all).await;
        bob.until(&all).await;
    }
    alice.until("document.querySelectorAll('.message.own.delivered').length === 3").await;
    for (scheme, width, height, name) in [
        ("light", 1280, 800, "desktop-light"),
        ("dark", 1280, 800, "desktop-dark"),
        ("dark", 390, 844, "phone-dark"),
        ("light", 390, 844, "phone-light"),
    ] {
        alice.prefer(scheme).await;
        alice.resize(width, height).await;
        let overflow = "document.documentElement.scrollWidth > innerWidth";
        assert_eq!(alice.eval(overflow).await, false, "{name} is wider than its window");
        alice.picture(name).await;
    }
    alice.click(".back").await;
    alice.until("document.querySelector('#composer') === null").await;
    alice.picture("phone-light-list").await;
    assert_eq!(alice.complaints().await, [""; 0]);
}
