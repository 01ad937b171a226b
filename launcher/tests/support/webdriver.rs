//! Drives a real Chromium through chromedriver (W3C WebDriver over HTTP), as far as tests of the page need it.
#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Time limit of an action on the page.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often a chromedriver is started anew. It takes a free IPv6 port from the system and then ends if the IPv4 port of the same number is in
/// use, which connections of other tests can cause.
const START_ATTEMPTS: u32 = 10;

/// The code of a key in WebDriver.
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";

/// A chromedriver on a port of its own; killed when dropped.
pub(crate) struct Driver {
    process: Child,
    port: u16,
    client: reqwest::Client,
}

/// A browser with a new profile; closed when dropped.
pub(crate) struct Browser {
    port: u16,
    client: reqwest::Client,
    session: String,
    _profile: TempDir,
}

impl Driver {
    /// Starts a chromedriver, or returns `None` if browsers are skipped.
    ///
    /// # Panics
    /// If there is no chromedriver: a test that is silently skipped proves nothing.
    pub(crate) fn start() -> Option<Self> {
        if std::env::var("P2P_TEST_SKIP_BROWSER").is_ok_and(|value| value == "1") {
            say_left_out();
            return None;
        }
        kit::context::install_tls();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let (process, port) =
            (0..START_ATTEMPTS).find_map(|_| start_chromedriver()).expect("chromedriver says its port");
        Some(Self { process, port, client })
    }

    /// Opens a browser with a window of this size in CSS pixels.
    pub(crate) async fn open(&self, width: u32, height: u32) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            // Servers with TLS have certificates that were made for the test.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = ask(&self.client, self.port, "POST", "/session", capabilities).await;
        let session = made["sessionId"].as_str().expect("a session has an id").to_owned();
        let browser = Browser { port: self.port, client: self.client.clone(), session, _profile: profile };
        browser.resize(width, height).await;
        browser
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn say_left_out() {
    println!("NOT TESTED: P2P_TEST_SKIP_BROWSER=1, so the page is not opened in a browser");
}

/// `ChromeDriver was started successfully on port 38467.`
/// Starts a chromedriver and reads its port; `None` if it ended before it said one.
fn start_chromedriver() -> Option<(Child, u16)> {
    let spawned =
        Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut process = spawned.unwrap_or_else(|error| {
        panic!("chromedriver cannot be started ({error}); install Debian's chromium and chromium-driver, or set P2P_TEST_SKIP_BROWSER=1")
    });
    let stdout = process.stdout.take().expect("it was asked for");
    let port = BufReader::new(stdout).lines().map_while(Result::ok).find_map(|line| port_in(&line));
    if port.is_none() {
        process.wait().expect("a process that closed its output can be awaited");
    }
    Some((process, port?))
}

fn port_in(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
}

async fn ask(client: &reqwest::Client, port: u16, method: &str, path: &str, body: Value) -> Value {
    let answer = attempt(client, port, method, path, &body).await;
    answer.unwrap_or_else(|error| panic!("{path} {body}: {}: {}", error["error"], error["message"]))
}

/// Like [`ask`], for requests that the driver may reject.
async fn attempt(
    client: &reqwest::Client,
    port: u16,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Value, Value> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let request = match method {
        "GET" => client.get(url),
        _ => client.post(url).json(body),
    };
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let value = answer["value"].clone();
    if value["error"].is_string() { Err(value) } else { Ok(value) }
}

impl Browser {
    async fn post(&self, command: &str, body: Value) -> Value {
        ask(&self.client, self.port, "POST", &format!("/session/{}{command}", self.session), body).await
    }

    pub(crate) async fn go(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    pub(crate) async fn reload(&self) {
        self.post("/refresh", json!({})).await;
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn eval(&self, expression: &str) -> Value {
        self.post("/execute/sync", json!({ "script": format!("return ({expression});"), "args": [] })).await
    }

    /// Waits until a JavaScript expression is true, and returns its value.
    pub(crate) async fn until(&self, expression: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.eval(expression).await;
            if !matches!(value, Value::Null | Value::Bool(false)) && value != json!(0) && value != json!("") {
                return value;
            }
            if Instant::now() > deadline {
                self.picture("failed").await;
                panic!("never true: {expression}\n{}", self.eval("document.body.innerText").await);
            }
            // A page is observed from outside; there is nothing to wait for.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the page shows a text somewhere.
    pub(crate) async fn shows(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    async fn element(&self, selector: &str) -> String {
        self.until(&format!("document.querySelector({}) !== null", json!(selector))).await;
        let found = self.post("/element", json!({ "using": "css selector", "value": selector })).await;
        let id = found.as_object().and_then(|object| object.values().next()).and_then(Value::as_str);
        id.expect("an element has an id").to_owned()
    }

    /// Acts on an element; if the page has replaced it since it was found, on the new one.
    async fn act_on(&self, selector: &str, action: &str, body: Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let element = self.element(selector).await;
            let path = format!("/session/{}/element/{element}/{action}", self.session);
            match attempt(&self.client, self.port, "POST", &path, &body).await {
                Ok(_) => return,
                Err(error) if error["error"] == "stale element reference" && Instant::now() < deadline => {}
                Err(error) => panic!("{action} {selector}: {}: {}", error["error"], error["message"]),
            }
        }
    }

    /// Clicks where the element is; nothing may cover it.
    pub(crate) async fn click(&self, selector: &str) {
        self.act_on(selector, "click", json!({})).await;
    }

    /// Types into an element, key by key.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        self.act_on(selector, "value", json!({ "text": text })).await;
    }

    /// The size of the window, in CSS pixels.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Whether the system prefers `light` or `dark`.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }, { "name": "prefers-reduced-motion", "value": "reduce" }] });
        self.cdp("Emulation.setEmulatedMedia", features).await;
    }

    /// Runs a script in each page that is opened from now on, before the page's own.
    pub(crate) async fn run_first(&self, script: &str) {
        self.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    async fn cdp(&self, command: &str, parameters: Value) {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await;
    }

    /// The browser's error log: script errors, violations of the Content-Security-Policy.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.post("/se/log", json!({ "type": "browser" })).await;
        let severe = entries.as_array().into_iter().flatten().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }

    /// Saves a screenshot of the page as `target/artefacts/NAME.png`.
    pub(crate) async fn picture(&self, name: &str) {
        let path = format!("/session/{}/screenshot", self.session);
        let data = ask(&self.client, self.port, "GET", &path, Value::Null).await;
        let folder = artefacts();
        std::fs::create_dir_all(&folder).unwrap();
        let bytes = base64(data.as_str().expect("a picture is a text"));
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    /// Without this, Chromium outlives its driver. It must work during a panic, too, so it is plain blocking I/O.
    fn drop(&mut self) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let request = format!(
            "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            self.session
        );
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read(&mut [0; 64]);
    }
}

fn artefacts() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    target.parent().expect("the folder for tests lies in the target folder").join("artefacts")
}

/// Decodes what chromedriver encodes (RFC 4648 §4).
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter_map(|byte| ALPHABET.iter().position(|digit| *digit == byte));
    let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, Vec::with_capacity(text.len() * 3 / 4));
    for digit in digits {
        bits = (bits << 6) | u32::try_from(digit).expect("a digit is below 64");
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    bytes
}
