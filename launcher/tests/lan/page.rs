//! The page in a real Chromium on the node's own host. Screenshots are in `target/artefacts/`.

use serde_json::{Value, json};

use crate::network::Network;
use crate::node::{Node, page, until_linked};
use crate::old_peer::OldPeer;
use crate::webdriver::{Browser, Driver, ENTER};

/// The text under a peer's name in its row.
fn note(key: &str) -> String {
    format!("document.querySelector(\"[data-key='{key}'] .note\")?.textContent")
}

async fn says(browser: &Browser, key: &str, text: &str) {
    browser.until(&format!("{}?.includes({})", note(key), json!(text))).await;
}

async fn fill(browser: &Browser, selector: &str, text: &str) {
    browser.eval(&format!("document.querySelector({}).value = ''", json!(selector))).await;
    browser.type_into(selector, &format!("{text}{ENTER}")).await;
}

async fn pictures(browser: &Browser, what: &str) {
    for (size, width, height) in [("desk", 1280, 800), ("phone", 390, 844)] {
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            browser.resize(width, height).await;
            let overflow = "document.documentElement.scrollWidth > innerWidth";
            assert_eq!(browser.eval(overflow).await, false, "{what} is wider than a {size}");
            browser.picture(&format!("lan-{what}-{size}-{scheme}")).await;
        }
    }
    browser.resize(1280, 800).await;
}

async fn in_a_browser(network: &Network, one: &Node) {
    let Some(driver) = Driver::start() else { return };
    let browser = driver.open(1280, 800).await;
    browser.go(&format!("http://{}/", page())).await;
    browser.shows("Nobody else was heard").await;
    pictures(&browser, "nobody").await;

    let mut other = Node::start(network.host(2), &["lan-peer.name=bert"]);
    let mut old = OldPeer::start(&network.host(3));
    let id = other.id();
    says(&browser, &id, "online · encrypted, not verified").await;
    says(&browser, "old:10.77.0.3", "online · unverified, unencrypted").await;
    talk(&browser, one, &other, &mut old).await;
    prove(&browser, &other, &id).await;

    other.kill();
    says(&browser, &id, "offline").await;
    browser.type_into("#text", &format!("Read this when you are back{ENTER}")).await;
    browser.until("document.querySelector('.own.queued') !== null").await;
    says(&browser, &id, "1 waiting").await;
    pictures(&browser, "conversation").await;
    browser.resize(390, 844).await;
    browser.click(".back").await;
    browser.until("document.querySelector('nav').checkVisibility()").await;
    browser.picture("lan-people-phone-dark").await;
    browser.resize(1280, 800).await;

    let twin = Node::start(network.host(4), &["lan-peer.name=BERT"]);
    until_linked(one, &twin);
    let twin_id = twin.id();
    says(&browser, &twin_id, "KEY CHANGED").await;
    browser.click(&format!("[data-key='{twin_id}'] button")).await;
    browser.shows("This is not the device that had this name before").await;
    assert_eq!(browser.eval("document.querySelector('#composer').checkVisibility()").await, false);
    pictures(&browser, "another-key").await;
    browser.click(".acts .block").await;
    says(&browser, &twin_id, "blocked").await;
    assert_eq!(one.peer(&twin_id).unwrap()["trust"], "blocked");
    // An incomplete fingerprint was tried, and then a wrong one.
    let complaints = browser.complaints().await;
    let is_tried = |(text, status): (&String, &str)| text.contains("/api/v1/trust") && text.contains(status);
    assert!(complaints.len() == 2 && complaints.iter().zip(["422", "409"]).all(is_tried), "{complaints:?}");
}

/// Both ways, with history, live, and as text.
async fn talk(browser: &Browser, one: &Node, other: &Node, old: &mut OldPeer) {
    let (one_id, id) = (one.id(), other.id());
    other.say(&one_id, "Are you on the same network, too?");
    browser
        .until(&format!("document.querySelector(\"[data-key='{id}'] .badge\")?.textContent === '1'"))
        .await;
    browser.until("document.title.startsWith('(1)')").await;
    browser.click(&format!("[data-key='{id}'] button")).await;
    browser.shows("Are you on the same network, too?").await;
    browser.until("document.querySelector('.badge') === null").await;
    browser.type_into("#text", &format!("Yes, since this morning{ENTER}")).await;
    browser
        .until("document.querySelector('.own.delivered')?.textContent.includes('since this morning')")
        .await;
    assert_eq!(other.texts(), ["Yes, since this morning"]);
    let hostile = "<img src=x onerror=\"document.title='owned'\"><script>alert(1)</script>";
    other.say(&one_id, hostile);
    browser.shows(hostile).await;
    assert_eq!(browser.eval("document.querySelectorAll('#messages img, #messages script').length").await, 0);
    other.say(&one_id, "No server, no cloud 🎉\nand it is all encrypted");
    browser.shows("and it is all encrypted").await;

    old.send_to("10.77.0.1", "hello from the old program");
    browser.click("[data-key='old:10.77.0.3'] button").await;
    browser.shows("hello from the old program").await;
    browser.shows("Not private").await;
    browser.type_into("#text", &format!("and hello to you{ENTER}")).await;
    assert_eq!(old.wait_for("message"), "and hello to you");
    browser.until("document.querySelector('.own.sent') !== null").await;
    pictures(browser, "old").await;
    browser.click(&format!("[data-key='{id}'] button")).await;
    browser.reload().await;
    browser.click(&format!("[data-key='{id}'] button")).await;
    browser.until("document.querySelectorAll('#messages .theirs, #messages .own').length === 4").await;
}

/// Fingerprints and names.
async fn prove(browser: &Browser, other: &Node, id: &str) {
    browser.click("#own").await;
    browser.until("document.querySelector('#mine img').naturalWidth > 100").await;
    browser.until("/^(\\d{5} ?){8}$/.test(document.querySelector('#mine .digits').textContent)").await;
    pictures(browser, "fingerprint").await;
    browser.click("#mine [data-close]").await;

    browser.click(".acts .verify").await;
    browser.type_into("#verify-proof", &format!("00000 11111 22222 33333{ENTER}")).await;
    browser.shows("expected 40 digits, got 20").await;
    fill(browser, "#verify-proof", "00000 11111 22222 33333 44444 55555 66666 77777").await;
    browser.shows("This is not their fingerprint").await;
    pictures(browser, "verify").await;
    let Value::String(fingerprint) = other.get("/api/v1/overview")["me"]["fingerprint"].clone() else {
        panic!()
    };
    fill(browser, "#verify-proof", &fingerprint).await;
    says(browser, id, "online · encrypted, verified").await;
    browser.until("document.querySelector('dialog[open]') === null").await;

    browser.click(".acts .rename").await;
    fill(browser, "#rename-name", "Bert (kitchen)").await;
    browser.until("document.querySelector('#with h2').textContent === 'Bert (kitchen)'").await;
}

#[test]
fn people_talk_verify_and_rename_on_the_page() {
    let Some(network) = Network::of(4) else { return };
    let one = Node::start(network.host(1), &["lan-peer.name=anna"]);
    // The browser, its driver and the driver's client are programs of this host.
    network.host(1).within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(in_a_browser(&network, &one));
    });
}
