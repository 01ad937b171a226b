//! A chat of all kinds of clients: a plain TCP client, the page, the terminal client and a REST client.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use super::support::http::post;
use super::support::line_client::LineClient;
use super::support::{Home, Launcher, PATIENCE};
use super::webdriver::{Browser, Driver};
use super::{count, join, open_conversation, say};

/// `launcher chat` between pipes.
struct Terminal {
    child: Child,
    said: mpsc::Receiver<String>,
    notes: mpsc::Receiver<String>,
}

/// The lines of a pipe, as they come.
fn lines(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let mut read = BufReader::new(pipe).lines().map_while(Result::ok);
    std::thread::spawn(move || read.try_for_each(|line| sender.send(line)));
    lines
}

impl Terminal {
    fn open(launcher: &Launcher, name: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_launcher"))
            .args(["chat", "--name", name, "--server", &launcher.home.chat.to_string()])
            .current_dir(launcher.home.dir.path())
            .env("HOME", launcher.home.dir.path())
            .env_remove("P2P_CONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, notes) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, said, notes }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next message without its time.
    fn said(&self) -> String {
        let line = self.said.recv_timeout(PATIENCE).expect("a message");
        line.split_once(' ').unwrap_or_else(|| panic!("no time in {line:?}")).1.to_owned()
    }

    /// Waits for a note of the client itself.
    fn notes(&self, wanted: &str) {
        while self.notes.recv_timeout(PATIENCE).expect("a note") != wanted {}
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn post_message(launcher: &Launcher, to: &str, text: &str) {
    let body = serde_json::json!({"sender": "poster", "destination": to, "message": text}).to_string();
    assert_eq!(post(launcher.home.api, "/messages/", &body).body, r#"{"status":"stored"}"#);
}

/// A live line of the text dialect without its time: sender and text.
fn live(client: &mut LineClient) -> (String, String) {
    let line = client.line();
    let (who, rest) = line.strip_prefix('[').unwrap().split_once("][").unwrap();
    (who.to_owned(), rest.split_once("] ").unwrap().1.trim_end().to_owned())
}

async fn everybody_hears_everybody(
    launcher: &Launcher,
    liner: &mut LineClient,
    web: &Browser,
    terminal: &mut Terminal,
) {
    liner.send("web: from nc\nterm: from nc\n");
    open_conversation(web, "liner").await;
    web.shows("from nc").await;
    assert_eq!(terminal.said(), "liner: from nc");

    say(web, "from the page").await;
    assert_eq!(live(liner), ("web".to_owned(), "from the page".to_owned()));
    open_conversation(web, "term").await;
    say(web, "from the page").await;
    assert_eq!(terminal.said(), "web: from the page");

    terminal.say("liner: from the terminal");
    assert_eq!(live(liner), ("term".to_owned(), "from the terminal".to_owned()));
    terminal.say("web: from the terminal");
    web.shows("from the terminal").await;

    post_message(launcher, "liner", "from REST");
    assert_eq!(live(liner), ("poster".to_owned(), "from REST".to_owned()));
    post_message(launcher, "term", "from REST");
    assert_eq!(terminal.said(), "poster: from REST");
    post_message(launcher, "web", "from REST");
    open_conversation(web, "poster").await;
    web.shows("from REST").await;
}

/// To an offline user: one message from each kind of client, and one more from the first, in this order.
async fn say_to_the_absent(
    launcher: &Launcher,
    to: &str,
    liner: &mut LineClient,
    terminal: &mut Terminal,
    web: &Browser,
) {
    let saved = format!("User '{to}' is offline. Message saved.\n");
    liner.send(&format!("{to}: first\n"));
    assert_eq!(liner.line(), saved);
    open_conversation(web, to).await;
    say(web, "second").await;
    web.until(&format!("{} === 1 && document.querySelector('.message.own.saved') !== null", count("second")))
        .await;
    terminal.say(&format!("{to}: third"));
    terminal.notes(&format!("{to} is offline; saved"));
    post_message(launcher, to, "fourth");
    liner.send(&format!("{to}: fifth\n"));
    assert_eq!(liner.line(), saved);
}

const KEPT: [&str; 5] = ["liner: first", "web: second", "term: third", "poster: fourth", "liner: fifth"];

fn a_text_user_gets_what_was_kept(launcher: &Launcher, who: &str) {
    let (mut client, _) = LineClient::login(launcher.home.chat, who);
    for kept in KEPT {
        let line = client.line();
        let (sender, text) = kept.split_once(": ").unwrap();
        assert!(
            line.starts_with("[Stored] [CHAT][") && line.ends_with(&format!("][{sender}] {text} \n")),
            "{line}"
        );
    }
    assert!(client.has_nothing_more());
}

fn a_terminal_user_gets_what_was_kept(launcher: &Launcher, who: &str) {
    let terminal = Terminal::open(launcher, who);
    for kept in KEPT {
        assert_eq!(terminal.said(), kept);
    }
    post_message(launcher, who, "live");
    assert_eq!(terminal.said(), "poster: live", "nothing came twice");
}

async fn a_page_user_gets_what_was_kept(launcher: &Launcher, driver: &Driver, who: &str) {
    let page = driver.open(1280, 800).await;
    join(launcher, &page, who).await;
    for (sender, unseen) in [("liner", 2), ("web", 1), ("term", 1), ("poster", 1)] {
        let badge = format!("document.querySelector(\"[data-key='{sender}'] .badge\")?.textContent");
        page.until(&format!("{badge} === '{unseen}'")).await;
    }
    page.click("[data-key='liner']").await;
    // The list of conversations shows the last message, too, before the conversation is open.
    let shown = "[...document.querySelectorAll('.body')].map((body) => body.firstChild.textContent)";
    page.until(&format!(r#"JSON.stringify({shown}) === '["first","fifth"]'"#)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_clients_the_page_the_terminal_and_scripts_hear_each_other() {
    let Some(driver) = Driver::start() else { return };
    let launcher = Home::new().argument("--no-thermometer").up();
    let (mut liner, _) = LineClient::login(launcher.home.chat, "liner");
    let mut terminal = Terminal::open(&launcher, "term");
    let web = driver.open(1280, 800).await;
    join(&launcher, &web, "web").await;
    terminal.say("liner: here");
    assert_eq!(live(&mut liner), ("term".to_owned(), "here".to_owned()));
    everybody_hears_everybody(&launcher, &mut liner, &web, &mut terminal).await;

    for absent in ["away-nc", "away-term", "away-web"] {
        say_to_the_absent(&launcher, absent, &mut liner, &mut terminal, &web).await;
    }
    a_text_user_gets_what_was_kept(&launcher, "away-nc");
    a_terminal_user_gets_what_was_kept(&launcher, "away-term");
    a_page_user_gets_what_was_kept(&launcher, &driver, "away-web").await;
    assert_eq!(web.complaints().await, [""; 0]);
}
