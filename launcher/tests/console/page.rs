//! The page in a real Chromium. Pictures of what was seen are kept in `target/artefacts/`.

use crate::support::{kill, wait_for};
use crate::webdriver::{Browser, Driver, ENTER};
use crate::{Console, printed};

/// Opens the page with a login link.
async fn enter(console: &Console, browser: &Browser) {
    browser.prefer("light").await;
    browser.go(&printed(&console.launcher, &["console"])).await;
    browser.until("document.querySelector('.components tbody tr') !== null").await;
}

async fn go(browser: &Browser, view: &str) {
    browser.eval(&format!("location.hash = '#/{view}'")).await;
}

#[tokio::test]
async fn a_link_logs_in_once_and_a_token_always() {
    let Some(driver) = Driver::start() else { return };
    let console = Console::start("");
    let browser = driver.open(1280, 800).await;
    let link = printed(&console.launcher, &["console"]);
    browser.prefer("light").await;
    browser.go(&link).await;
    browser.shows("All is well").await;
    assert_eq!(browser.eval("location.hash").await, "");
    assert_eq!(browser.eval("document.cookie").await, "");
    browser.reload().await;
    browser.shows("All is well").await;
    browser.click("#leave").await;
    browser.until("document.querySelector('#token') !== null").await;
    browser.reload().await;
    browser.until("document.querySelector('#token') !== null").await;
    // The link was used.
    browser.go("about:blank").await;
    browser.go(&link).await;
    browser.shows("was used already").await;
    browser.picture("console-login").await;
    browser.type_into("#token", &format!("wrong{ENTER}")).await;
    browser.shows("missing or wrong").await;
    browser.eval("document.querySelector('#token').value = ''").await;
    browser.type_into("#token", &format!("{}{ENTER}", console.token)).await;
    browser.shows("All is well").await;
    // A token that was replaced ends it.
    printed(&console.launcher, &["console", "--renew"]);
    browser.shows("not valid any more").await;
}

#[tokio::test]
async fn the_components_are_shown_and_stopped_after_a_question() {
    let Some(driver) = Driver::start() else { return };
    let console = Console::start("");
    let browser = driver.open(1280, 800).await;
    enter(&console, &browser).await;
    assert_eq!(browser.eval("document.querySelectorAll('.graph .node').length").await, 8);
    browser.until("document.querySelectorAll('.components .chart .line[d^=M]').length > 4").await;
    browser.click("[data-verb='stop'][data-component='talker']").await;
    browser.shows("Who needs it keeps running: listener").await;
    browser.picture("console-question").await;
    browser.click(".question .secondary").await;
    assert_eq!(console.component("talker")["state"], "ready", "no was the answer");
    browser.click("[data-verb='stop'][data-component='talker']").await;
    browser.click(".question .primary").await;
    browser
        .until("document.querySelector('[data-component=talker] .pill').textContent.includes('stopped')")
        .await;
    browser.until("document.querySelector('#health').textContent === 'talker is stopped'").await;
    browser.click("#health").await;
    browser.until("location.hash === '#/component/talker'").await;
    go(&browser, "").await;
    browser.click("[data-verb='start'][data-component='talker']").await;
    browser.click(".question .primary").await;
    browser.shows("All is well").await;
    // By the keyboard alone.
    let button = "document.querySelector('[data-verb=restart][data-component=listener]')";
    browser.eval(&format!("(window.asked = {button}).focus()")).await;
    let pid = console.component("listener")["pid"].clone();
    browser.type_into("[data-verb='restart'][data-component='listener']", ENTER).await;
    browser.until("document.querySelector('.question') !== null").await;
    // Meanwhile the table is drawn anew.
    browser.until("!asked.isConnected").await;
    browser.type_into(".question .primary", ENTER).await;
    wait_for("the restart", || {
        let listener = console.component("listener");
        (listener["state"] == "ready" && listener["pid"] != pid).then_some(())
    });
    browser.until("document.activeElement.dataset.component === 'listener'").await;
    let pid = console.component("talker")["pid"].clone();
    browser.click("#restart-all").await;
    browser.shows("In the order of their dependencies").await;
    browser.click(".question .primary").await;
    wait_for("the restart", || (console.component("talker")["pid"] != pid).then_some(()));
    browser.shows("All is well").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn a_component_is_explained_with_charts_and_the_end_of_its_log() {
    let Some(driver) = Driver::start() else { return };
    let console = Console::start("");
    let browser = driver.open(1280, 800).await;
    enter(&console, &browser).await;
    browser.click("[data-component='talker'] a.component-name").await;
    browser.until("document.querySelector('pre.lines')?.textContent.includes('tick')").await;
    browser.until("document.querySelectorAll('.charts .line[d^=M]').length === 2").await;
    let pid = u32::try_from(console.component("talker")["pid"].as_u64().unwrap()).unwrap();
    kill(pid, "-SEGV");
    browser.shows("Newest crash report").await;
    browser.until("document.querySelectorAll('.charts rect').length === 1").await;
    browser.picture("console-component").await;
    browser.click(".links a:last-child").await;
    browser.shows("Last lines of its log").await;
    let rest =
        "(it => it.scrollHeight - it.scrollTop - it.clientHeight)(document.querySelector('pre.lines'))";
    assert_eq!(browser.eval(&format!("{rest} < 2")).await, true, "the end is what matters");
    browser.shows("SIGSEGV").await;
    browser.picture("console-crash").await;
    go(&browser, "crashes").await;
    browser.until("document.querySelectorAll('#crashes .event').length === 1").await;
    go(&browser, "events").await;
    browser
        .until(
            "[...document.querySelectorAll('.event')].some((event) => event.textContent.includes('backoff'))",
        )
        .await;
    browser.picture("console-events").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn logs_are_followed_searched_and_paused() {
    let Some(driver) = Driver::start() else { return };
    let talk = "
[components.hostile]
command = ['sh', '-c', 'echo \"<img src=x onerror=document.title=1> \\033[31mred\\033[0m\"; sleep 600']
needs = []
";
    let console = Console::start(talk);
    let browser = driver.open(1280, 800).await;
    enter(&console, &browser).await;
    go(&browser, "logs").await;
    let lines = "document.querySelectorAll('.log-line').length";
    browser
        .until(
            "[...document.querySelectorAll('.log-line')].some((line) => line.textContent.includes('tick'))",
        )
        .await;
    browser.shows("<img src=x onerror=document.title=1>").await;
    assert_eq!(browser.eval("document.querySelectorAll('.log-lines img').length").await, 0);
    browser.picture("console-logs").await;
    let before = browser.eval(lines).await.as_u64().unwrap();
    browser.until(&format!("{lines} > {}", before + 3)).await;
    browser.click("#pause").await;
    browser.shows("paused").await;
    let paused = browser.eval(lines).await;
    browser.until("/paused, [3-9] new lines/.test(document.querySelector('#log-count').textContent)").await;
    assert_eq!(browser.eval(lines).await, paused);
    browser.click("#pause").await;
    browser.until(&format!("{lines} > {}", paused.as_u64().unwrap() + 2)).await;
    // The slash leads to the search.
    browser.eval("document.querySelector('#log-lines').focus()").await;
    browser.type_into("#log-lines", "/").await;
    browser.until("document.activeElement.id === 'log-search'").await;
    browser.type_into("#log-search", "ONERROR").await;
    browser.until(&format!("{lines} === 1")).await;
    assert_eq!(browser.eval("document.querySelector('mark').textContent").await, "onerror");
    browser.type_into("#log-search", ENTER).await;
    browser.shows("1 line found").await;
    browser.click("#back-to-live").await;
    browser.eval("(s => { s.value = 'talker'; s.dispatchEvent(new Event('change')); })(document.querySelector('#log-component'))").await;
    browser.eval("(s => { s.value = ''; s.dispatchEvent(new Event('input')); })(document.querySelector('#log-search'))").await;
    browser.until("document.querySelectorAll('.log-line').length > 3 && document.querySelector('.log-name') === null").await;
    assert_eq!(browser.eval("location.hash").await, "#/logs/talker");
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn a_launcher_that_is_away_is_said_and_found_again() {
    let Some(driver) = Driver::start() else { return };
    let mut console = Console::start("");
    let browser = driver.open(1280, 800).await;
    enter(&console, &browser).await;
    console.launcher.end("-TERM");
    browser.shows("may be out of date").await;
    browser.picture("console-away").await;
    console.launcher.up_again();
    browser.until("document.documentElement.dataset.connection === 'live' && document.querySelector('#banner').hidden").await;
    browser.shows("All is well").await;
}

#[tokio::test]
async fn a_changed_configuration_is_shown_and_applied_and_the_doctor_answers() {
    let Some(driver) = Driver::start() else { return };
    let console = Console::start("watch = false\n");
    let browser = driver.open(1280, 800).await;
    enter(&console, &browser).await;
    go(&browser, "configuration").await;
    browser.shows("is the one in force").await;
    let file = console.launcher.home.dir.path().join("console.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("sleep 0.2", "sleep 0.3")).unwrap();
    browser.click("#look-again").await;
    browser.shows("components.talker").await;
    browser.picture("console-configuration").await;
    browser.click("#apply").await;
    browser.shows("Restarted or stopped: talker").await;
    browser.click(".question .primary").await;
    browser.shows("is the one in force").await;
    go(&browser, "doctor").await;
    browser.click("#diagnose").await;
    browser.until("document.querySelectorAll('.finding').length > 8").await;
    browser.picture("console-doctor").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn a_read_only_page_has_no_buttons_that_change_anything() {
    let Some(driver) = Driver::start() else { return };
    let console = Console::start("console-read-only = true\n");
    let browser = driver.open(1280, 800).await;
    enter(&console, &browser).await;
    browser.shows("read-only").await;
    assert_eq!(browser.eval("document.querySelectorAll('[data-verb], #restart-all').length").await, 0);
    go(&browser, "component/talker").await;
    browser.until("document.querySelector('pre.lines') !== null").await;
    assert_eq!(browser.eval("document.querySelectorAll('[data-verb]').length").await, 0);
}

#[tokio::test]
async fn what_is_refused_is_said() {
    let Some(driver) = Driver::start() else { return };
    let console = Console::start("watch = false\n");
    let browser = driver.open(1280, 800).await;
    enter(&console, &browser).await;
    let file = console.launcher.home.dir.path().join("console.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("watch = false", "watch = false\nconsole-read-only = true")).unwrap();
    printed(&console.launcher, &["reload"]);
    browser.click("[data-verb='stop'][data-component='talker']").await;
    browser.click(".question .primary").await;
    browser.shows("the console is read-only").await;
    assert_eq!(console.component("talker")["state"], "ready");
}

/// What a keyboard or a screen reader would stumble over: controls without a name, and parts that lie beyond the window's edge.
const NAMELESS: &str = "[...document.querySelectorAll('button, a, input, select, [role=img], [role=region]')].filter((node) => \
    !(node.getAttribute('aria-label') || node.textContent.trim() || node.labels?.length)).map((node) => node.outerHTML)";

#[tokio::test]
async fn it_looks_as_it_should_on_a_desk_and_in_a_hand_in_light_and_dark() {
    let Some(driver) = Driver::start() else { return };
    let console = Console::start("");
    let browser = driver.open(1280, 900).await;
    enter(&console, &browser).await;
    let pid = u32::try_from(console.component("listener")["pid"].as_u64().unwrap()).unwrap();
    kill(pid, "-KILL");
    browser.until("document.querySelectorAll('.components .bars rect').length === 1").await;
    assert!(console.post("/api/v1/stop", r#"{"components": ["web-adapter"]}"#).status == 202);
    browser
        .until("document.querySelector('[data-component=web-adapter] .pill').textContent.includes('stopped')")
        .await;
    for (scheme, width, height, name) in [
        ("light", 1280, 900, "desktop-light"),
        ("dark", 1280, 900, "desktop-dark"),
        ("dark", 390, 844, "phone-dark"),
        ("light", 390, 844, "phone-light"),
    ] {
        browser.prefer(scheme).await;
        browser.resize(width, height).await;
        for view in ["", "component/chat-server", "logs", "events", "crashes", "doctor", "configuration"] {
            go(&browser, view).await;
            browser.until("document.querySelector('.page') !== null").await;
            let overflow = "document.documentElement.scrollWidth > innerWidth || document.querySelector('.console-stage').scrollWidth > document.querySelector('.console-stage').clientWidth";
            assert_eq!(browser.eval(overflow).await, false, "{view} is wider than its window at {width}");
            assert_eq!(browser.eval(NAMELESS).await, serde_json::json!([]), "{view}");
        }
        go(&browser, "logs").await;
        browser.until("document.querySelectorAll('.log-line').length > 5").await;
        browser.picture(&format!("console-{name}-logs")).await;
        go(&browser, "").await;
        browser.until("document.querySelector('.components') !== null").await;
        browser.picture(&format!("console-{name}")).await;
    }
    assert_eq!(browser.complaints().await, [""; 0]);
}
