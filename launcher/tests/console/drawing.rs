//! What the page draws from answers that are known exactly (`pretended.js`), and what it asks for.

use serde_json::{Value, json};

use crate::support::{Launcher, free_address, wait_for};
use crate::webdriver::{Browser, Driver, ENTER, ESCAPE};

/// The page, without the launcher's answers.
struct Page {
    browser: Browser,
    _driver: Driver,
    _launcher: Launcher,
}

impl Page {
    /// Opens it once `more`, a script, has changed what is pretended.
    async fn open(more: &str) -> Option<Self> {
        let driver = Driver::start()?;
        let address = free_address();
        let settings = format!("[launcher]\nconsole-listen = \"{address}\"\n");
        let launcher = crate::home(&settings).start();
        wait_for("the console", || std::net::TcpStream::connect(address).ok());
        let browser = driver.open(1280, 900).await;
        browser.prefer("light").await;
        browser.run_first(&format!("{}\n{more}", include_str!("pretended.js"))).await;
        browser.go(&format!("http://{address}/")).await;
        browser.until("document.querySelector('.components tbody tr') !== null").await;
        Some(Self { browser, _driver: driver, _launcher: launcher })
    }

    async fn go(&self, view: &str) {
        self.browser.eval(&format!("location.hash = '#/{view}'")).await;
    }

    /// How often something was asked for.
    async fn asked(&self, request: &str) -> Value {
        self.browser.eval(&format!("pretended.asked.filter((it) => it === '{request}').length")).await
    }

    /// The text of each node that a selector finds.
    async fn texts(&self, selector: &str) -> Value {
        self.browser
            .eval(&format!("[...document.querySelectorAll('{selector}')].map((it) => it.textContent)"))
            .await
    }

    /// The lines of the log that are shown.
    async fn shows_lines(&self, lines: &[&str]) {
        let is_so = format!(
            "JSON.stringify([...document.querySelectorAll('.log-text')].map((it) => it.textContent)) === {}",
            json!(json!(lines).to_string())
        );
        self.browser.until(&is_so).await;
    }
}

/// Samples more than an hour ago, almost an hour ago, and just now; restarts in the first and in the last minute of the hour.
const HISTORY: &str = "pretended.answers['/history'] = { step_s: 10, components: { store: {
    at: [1_799_996_340, 1_799_996_460, 1_799_999_880], cpu_percent: [400, 50, 25], memory_bytes: [2 ** 30, 2 ** 24, 2 ** 25],
} }, restarts: { store: [1, ...Array(58).fill(0), 4] } };";

#[tokio::test]
async fn charts_show_the_values_of_the_last_hour() {
    let Some(page) = Page::open(HISTORY).await else { return };
    let browser = &page.browser;
    let line = |number: u8| {
        format!("document.querySelectorAll('[data-component=store] .line')[{number}]?.getAttribute('d')")
    };
    browser.until(&format!("({} ?? '') !== ''", line(0))).await;
    browser
        .eval(
            "pretended.become('store', { load: { cpu_percent: 100, memory_bytes: 2 ** 26, processes: 1 } })",
        )
        .await;
    // 120 wide for 3600 s, 28 high; what is older than an hour counts for nothing.
    browser.until(&format!("{} === 'M2.0 14.0h2M116.0 20.5L120.0 1.0'", line(0))).await;
    assert_eq!(browser.eval(&line(1)).await, "M2.0 20.5h2M116.0 14.0L120.0 1.0");
    assert_eq!(
        page.texts("[data-component=store] .figure").await,
        json!(["100 %", "64 MiB", "0"]),
        "in numbers"
    );
    let labels = "[...document.querySelectorAll('[data-component=store] .chart')].map((it) => it.getAttribute('aria-label'))";
    assert_eq!(
        browser.eval(labels).await,
        json!([
            "store: CPU of the last hour, at most 100 %",
            "store: memory of the last hour, at most 64 MiB",
            "store: 5 restarts in the last hour"
        ])
    );
    let bars = "[...document.querySelectorAll('[data-component=store] .bars rect')].map((it) => ['x', 'y', 'height'].map((name) => Number(it.getAttribute(name))))";
    assert_eq!(browser.eval(bars).await, json!([[0, 21.25, 6.75], [118, 1, 27]]));
    // A restart that is heard of is drawn with the next state.
    browser
        .eval("pretended.tell('event', { event: 'transition', component: 'store', from: 'ready', to: 'backoff', at: '2027-01-15T08:00:00Z' })")
        .await;
    browser.eval("pretended.become('store', {})").await;
    browser.until(&format!("{bars}[0][2] === 5.4")).await;
    page.go("component/store").await;
    browser.until("document.querySelectorAll('.charts .figure').length === 3").await;
    assert_eq!(page.texts(".charts .hint").await, json!(["at most 100 %", "at most 64 MiB", "by minute"]));
    assert_eq!(page.texts(".charts .figure").await, json!(["100 %", "64 MiB", "6"]));
}

/// What stands in the picture, by column, and who needs whom according to its lines: each begins at the right of a box, and ends at the
/// left of another.
const PICTURE: &str = "(() => {
    const place = (it) => it.getAttribute('transform').match(/[\\d.]+/g).map(Number);
    const boxes = [...document.querySelectorAll('.graph .node')].map((it) => ({
        name: it.querySelector('.name').textContent, x: place(it)[0], y: place(it)[1], width: Number(it.querySelector('rect').getAttribute('width')),
        height: Number(it.querySelector('rect').getAttribute('height')), look: it.getAttribute('class').replace('node ', ''),
    }));
    const columns = [...new Set(boxes.map((it) => it.x))].sort((one, other) => one - other);
    const at = (x, y, side) => boxes.find((it) => it.x + side * it.width === x && it.y + it.height / 2 === y)?.name ?? 'nobody';
    const edges = [...document.querySelectorAll('.graph .edge')].map((it) => {
        const numbers = it.querySelector('path').getAttribute('d').match(/[\\d.]+/g).map(Number);
        return `${at(numbers.at(-2) + 6, numbers.at(-1), 0)} needs ${at(numbers[0], numbers[1], 1)}${it.matches('.broken') ? ', broken' : ''}`;
    });
    const overlap = boxes.some((one) => boxes.some((other) => one !== other && one.x === other.x && Math.abs(one.y - other.y) < one.height));
    return { columns: columns.map((x) => boxes.filter((it) => it.x === x).map((it) => it.name).sort()), edges: edges.sort(), overlap,
        bad: boxes.filter((it) => it.look === 'bad').map((it) => it.name) };
})()";

#[tokio::test]
async fn the_picture_shows_who_needs_whom() {
    let Some(page) = Page::open("").await else { return };
    let browser = &page.browser;
    let picture = browser.eval(PICTURE).await;
    // What nobody needs is no part of it, and what follows from another line has none.
    assert_eq!(
        picture["columns"],
        json!([["alone", "database"], ["store"], ["server"], ["bot", "page"]]),
        "{picture}"
    );
    let needs = ["bot needs server", "page needs server", "server needs store", "store needs database"];
    assert_eq!(picture["edges"], json!(needs));
    assert_eq!((&picture["bad"], &picture["overlap"]), (&json!([]), &json!(false)));
    browser.eval("pretended.become('store', { state: 'backoff', reason: 'restarts in 2 s' })").await;
    browser.until("document.querySelector('.graph .node.bad') !== null").await;
    let picture = browser.eval(PICTURE).await;
    let needs =
        ["bot needs server", "page needs server", "server needs store, broken", "store needs database"];
    assert_eq!((&picture["bad"], &picture["edges"]), (&json!(["store"]), &json!(needs)));
    let label = "document.querySelector('.graph').getAttribute('aria-label')";
    let label = browser.eval(label).await;
    assert!(label.as_str().unwrap().contains("store is backoff and needs database."), "{label}");
    browser.picture("console-graph").await;
    browser.click(".graph a[aria-label^=\"store\"]").await;
    browser.until("location.hash === '#/component/store'").await;
}

/// What had happened before the page was opened.
const EVENTS: &str = "pretended.answers['/events'] = { events: [
    { event: 'launcher-started', at: '2027-01-15T07:00:00Z', version: '1.2.3', pid: 7 },
    { event: 'probe', component: 'bot', kind: 'liveness', at: '2027-01-15T07:00:01Z', error: 'no answer', took_ms: 3000 },
    { event: 'transition', component: 'store', at: '2027-01-15T07:00:02Z', from: 'ready', to: 'backoff', reason: 'exit code 3', ended: { lived_ms: 1590 } },
] };";

#[tokio::test]
async fn what_happened_is_listed_the_newest_first() {
    let Some(page) = Page::open(EVENTS).await else { return };
    let browser = &page.browser;
    page.go("events").await;
    browser.until("document.querySelectorAll('.event').length === 3").await;
    assert_eq!(page.texts(".event .component-name, .event b").await, json!(["store", "bot", "launcher"]));
    assert_eq!(page.texts(".event .pill").await, json!(["✓ready", "!backoff"]));
    let reasons =
        ["exit code 3, after 1.5 s", "liveness probe failed: no answer", "started, version 1.2.3, pid 7"];
    assert_eq!(page.texts(".event .reason").await, json!(reasons));
    browser.eval("pretended.tell('event', { event: 'probe', component: 'bot', kind: 'liveness', at: '2027-01-15T08:00:00Z', error: null, took_ms: 12 })").await;
    browser.until("document.querySelectorAll('.event').length === 4").await;
    let first = "document.querySelector('.event .reason').textContent";
    assert_eq!(browser.eval(first).await, "liveness probe passes again (12 ms)");
    browser.eval("(s => { s.value = 'bot'; s.dispatchEvent(new Event('change')); })(document.querySelector('#event-component'))").await;
    assert_eq!(page.texts(".event .component-name").await, json!(["bot", "bot"]));
    browser.eval("pretended.tell('event', { event: 'transition', component: 'page', from: 'ready', to: 'stopped', at: '2027-01-15T08:00:00Z' })").await;
    browser.eval("pretended.tell('event', { event: 'probe', component: 'bot', kind: 'liveness', at: '2027-01-15T08:00:01Z', error: 'late', took_ms: 12 })").await;
    browser.until(&format!("{first} === 'liveness probe failed: late'")).await;
    assert_eq!(page.texts(".event .component-name").await, json!(["bot", "bot", "bot"]));
}

#[tokio::test]
async fn nothing_is_changed_unless_the_answer_is_yes() {
    let Some(page) = Page::open("").await else { return };
    let browser = &page.browser;
    let stop = "[data-verb='stop'][data-component='page']";
    let changes = "pretended.asked.filter((it) => it.startsWith('POST'))";
    browser.click(stop).await;
    browser.click(".question .secondary").await;
    browser.until("document.querySelector('.question') === null").await;
    browser.click(stop).await;
    browser.type_into(".question .secondary", ESCAPE).await;
    browser.until("document.querySelector('.question') === null").await;
    // Whatever was sent would have been before this.
    browser.click("#restart-all").await;
    browser.click(".question .primary").await;
    browser.shows("Restarting 2 components").await;
    assert_eq!(browser.eval(changes).await, json!(["POST /restart"]));
    browser.click(stop).await;
    browser.click(".question .primary").await;
    browser.shows("Stopping page").await;
    assert_eq!(browser.eval(changes).await, json!(["POST /restart", "POST /stop"]));
    assert_eq!(
        browser.eval("pretended.sent").await,
        json!([{ "components": ["all"] }, { "components": ["page"] }])
    );
}

#[tokio::test]
async fn a_pause_delays_lines_and_a_search_disregards_case() {
    let Some(page) = Page::open("").await else { return };
    let browser = &page.browser;
    page.go("logs").await;
    browser.until("pretended.asked.includes('GET /logs')").await;
    browser.eval("pretended.log('store', 'one', 'two')").await;
    page.shows_lines(&["one", "two"]).await;
    browser.click("#pause").await;
    browser.eval("pretended.log('store', 'three')").await;
    browser.eval("pretended.log('page', 'four')").await;
    browser.shows("paused, 2 new lines").await;
    page.shows_lines(&["one", "two"]).await;
    browser.click("#pause").await;
    page.shows_lines(&["one", "two", "three", "four"]).await;
    browser.eval("pretended.log('store', 'five')").await;
    page.shows_lines(&["one", "two", "three", "four", "five"]).await;
    browser.eval("pretended.log('store', 'all is RED', 'Red, too', 'blue')").await;
    for (search, found, marked) in [
        ("rEd", vec!["all is RED", "Red, too"], vec!["RED", "Red"]),
        ("red", vec!["all is RED", "Red, too"], vec!["RED", "Red"]),
        ("BLUE", vec!["blue"], vec!["blue"]),
    ] {
        let typed = format!(
            "((s) => {{ s.value = '{search}'; s.dispatchEvent(new Event('input')); }})(document.querySelector('#log-search'))"
        );
        browser.eval(&typed).await;
        page.shows_lines(&found).await;
        assert_eq!(page.texts("mark").await, json!(marked), "{search}");
    }
    // Those that come now are searched, too.
    browser.eval("pretended.log('store', 'red', 'Blue again')").await;
    page.shows_lines(&["blue", "Blue again"]).await;
}

#[tokio::test]
async fn a_stream_that_ends_is_followed_again_and_what_was_missed_is_loaded() {
    let Some(page) = Page::open("").await else { return };
    let browser = &page.browser;
    browser.until("pretended.asked.includes('GET /events')").await;
    assert_eq!(page.asked("GET /stream").await, 1);
    browser.eval("pretended.answers['/events'] = { events: [{ event: 'launcher-started', at: '2027-01-15T08:00:00Z', version: '9', pid: 9 }] }").await;
    browser.eval("pretended.tell('lagged', {})").await;
    browser.eval("pretended.stream.close()").await;
    browser
        .until("pretended.asked.filter((it) => it === 'GET /stream').length === 2 && document.documentElement.dataset.connection === 'live'")
        .await;
    page.go("events").await;
    browser.shows("started, version 9, pid 9").await;
    assert_eq!(page.asked("GET /history").await, 2);
    // A launcher that does not answer is asked again.
    browser
        .eval("(() => { const fetch = window.fetch; let times = 2; window.fetch = (...request) => String(request[0]).includes('/stream') && times-- > 0 ? Promise.reject(new TypeError('refused')) : fetch(...request); pretended.stream.close(); })()")
        .await;
    browser.shows("The launcher does not answer. What is shown may be out of date").await;
    browser.until("document.documentElement.dataset.connection === 'live' && document.querySelector('#banner').hidden").await;
    assert_eq!(page.asked("GET /stream").await, 3);
}

/// Everything that a program, its operator or a server can name or say.
const HOSTILE: &str = "
const bad = '<img src=x onerror=\"window.hit = 1\">';
pretended.bad = bad;
Object.assign(pretended.status.components[4], { name: bad, reason: bad, last_error: bad, state: 'backoff', address: bad, needs: ['store'] });
pretended.status.components.push({ ...pretended.status.components[0], name: bad + '2', state: bad, status_text: bad });
pretended.status.dependencies[0] = { name: 'database', state: 'degraded', reason: bad };
pretended.status.healthy = false;
pretended.answers['/session'].version = bad;
pretended.answers['/events'].events = [
    { event: 'transition', component: bad, from: bad, to: bad, at: bad, reason: bad }, { event: 'probe', component: bad, kind: bad, error: bad, at: bad },
    { event: 'launcher-started', version: bad, pid: bad, at: bad }, { event: bad, at: bad },
];
pretended.answers['/logs'].lines = [{ component: bad, text: bad + ' \\u001b[31mred\\u001b[0m \\u202egnp' }];
const explained = { component: {}, causes: [{ name: bad, state: bad, reason: bad }], crash: bad, last_lines: [bad] };
pretended.answers['/components/' + encodeURIComponent(bad)] = explained;
pretended.answers['/crashes'] = { crashes: [{ id: bad, component: bad, at: bad, reason: bad, next: bad, same_in_a_row: 2, last_line: bad }] };
pretended.answers['/crashes/' + encodeURIComponent(bad)] = { id: bad, component: bad, at: bad, reason: bad, next: bad, exit: bad, lived_ms: 1, same_in_a_row: 1,
    run: bad, epoch: 1, config: bad, others: { [bad]: bad }, probes: [{ at: bad, kind: bad, error: bad, took_ms: 1 }], last_lines: [bad] };
pretended.answers['/doctor'] = { findings: [{ check: bad, verdict: 'ok', found: bad, advice: bad }] };
pretended.answers['/reload'] = { settings: [bad], restarted: [bad], started: [bad], stopped: [], changed: [], kept: [], consent: [bad] };
";

#[tokio::test]
async fn hostile_names_and_lines_are_text_everywhere() {
    let Some(page) = Page::open(HOSTILE).await else { return };
    let browser = &page.browser;
    let component = "component/${encodeURIComponent(pretended.bad)}";
    let crash = "crashes/${encodeURIComponent(pretended.bad)}";
    for (view, parts) in [
        ("", ".components .component-name, .components .remark, .dependencies .note"),
        (component, "h2, .facts dd, pre.lines"),
        ("logs", ".log-text"),
        ("events", ".event .component-name, .event .reason"),
        ("crashes", "#crashes .reason, #crashes .last-line"),
        (crash, ".reason, .facts dd, pre.lines"),
        ("doctor", ".finding b, .finding .found, .finding .advice"),
        ("configuration", ".settings code, .facts dd, .note.bad"),
    ] {
        browser.eval(&format!("location.hash = `#/{view}`")).await;
        if view == "doctor" {
            browser.click("#diagnose").await;
        }
        for part in parts.split(", ") {
            let said = format!(
                "[...document.querySelectorAll({})].some((it) => it.textContent.includes(pretended.bad))",
                json!(part)
            );
            browser.until(&said).await;
        }
        assert_eq!(browser.eval("document.querySelectorAll('img[src=x]').length").await, 0, "{view}");
    }
    browser.eval("location.hash = '#/'").await;
    let stop = "[data-verb=stop][data-component^=\"<img\"]";
    browser.click(stop).await;
    browser.until("document.querySelector('.question h2').textContent.includes(pretended.bad)").await;
    browser.eval("pretended.answers['/stop'] = { accepted: [], refused: [{ component: pretended.bad, reason: pretended.bad }] }").await;
    browser.type_into(".question .primary", ENTER).await;
    browser.until("document.querySelector('.toast:last-child')?.textContent.includes(pretended.bad)").await;
    assert_eq!(browser.eval("document.querySelectorAll('img[src=x]').length").await, 0);
    assert_eq!(browser.eval("window.hit ?? null").await, Value::Null);
    browser.eval("location.hash = '#/logs'").await;
    // What is meant for terminals is left out, or seen.
    browser.shows("red \u{fffd}gnp").await;
    let links = "[...document.querySelectorAll('a')].every((it) => ['http:', ''].includes(it.protocol))";
    assert_eq!(browser.eval(links).await, true);
}
