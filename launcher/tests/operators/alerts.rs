//! A program and a webhook are told what happens to the components, and hold up nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::home;
use crate::support::processes::files;
use crate::support::{Launcher, own_ip, wait_for};

/// Crashes, comes back for so long that it is ready, and is given up.
const FLAPPING: &str = "[components.flapping]\ncommand = ['sh', '-c', 'sleep 0.5; echo last words; exit 3']\nneeds = []\nbackoff = '1ms'\nintensity = 1\nrequired = false\n";

/// The processes whose command line has this text.
fn processes(text: &str) -> usize {
    files("cmdline").filter(|(_, line)| String::from_utf8_lossy(line).contains(text)).count()
}

fn events(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn log(launcher: &Launcher) -> String {
    std::fs::read_to_string(launcher.home.logs().join("launcher.log")).unwrap_or_default()
}

#[test]
fn a_program_gets_each_event_on_its_standard_input() {
    let script = "cat >> told; echo $LAUNCHER_EVENT $LAUNCHER_COMPONENT $OPENAI_API_KEY >> words";
    let config = format!("[launcher]\non-event = ['sh', '-c', '{script}']\n{FLAPPING}");
    let launcher = home(&config).variable("OPENAI_API_KEY", "sk-hunter2").start();
    let file = launcher.home.dir.path().join("told");
    let of_flapping = || events(&file).into_iter().filter(|it| it["component"] == "flapping");
    wait_for("three events", || (of_flapping().count() == 3).then_some(()));
    let [crashed, recovered, failed] = of_flapping().collect::<Vec<_>>().try_into().unwrap();
    let kinds = [&crashed, &recovered, &failed].map(|it| it["event"].as_str().unwrap());
    assert_eq!(kinds, ["crashed", "recovered", "failed"]);
    assert_eq!((&crashed["state"], &crashed["exit"]["code"]), (&"backoff".into(), &3.into()), "{crashed}");
    assert_eq!(crashed["last_lines"], serde_json::json!(["last words"]), "{crashed}");
    assert!(failed["reason"].as_str().unwrap().starts_with("gave up after 1 restarts"), "{failed}");
    let words = launcher.home.dir.path().join("words");
    wait_for("the variables", || {
        let words = std::fs::read_to_string(&words).ok()?;
        assert!(!words.contains("hunter2"), "{words}");
        words.contains("failed flapping\n").then_some(())
    });
}

#[test]
fn a_program_that_hangs_holds_up_nothing_and_ends_with_the_launcher() {
    let config = format!("[launcher]\non-event = ['sh', '-c', 'sleep 98765; true']\n{FLAPPING}");
    let mut launcher = home(&config).start();
    wait_for("the program to hang", || (processes("98765") > 0).then_some(()));
    wait_for("the chat server", || (launcher.component("chat-server")?["state"] == "ready").then_some(()));
    let restarted = launcher.home.run(&["restart", "chat-server"]);
    assert!(restarted.status.success(), "{restarted:?}");
    let begin = Instant::now();
    assert!(launcher.end("-TERM").success());
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    assert_eq!(processes("98765"), 0);
    launcher.start_again();
    wait_for("the program to hang again", || (processes("98765") > 0).then_some(()));
    launcher.end("-KILL");
    wait_for("nothing to be left", || (processes("98765") == 0).then_some(()));
}

#[test]
fn failures_are_logged_once() {
    let config = format!(
        "[launcher]\non-event = ['sh', '-c', 'echo I am out of order; echo x >> ran; exit 9']\n{FLAPPING}"
    );
    let launcher = home(&config).start();
    let ran = launcher.home.dir.path().join("ran");
    wait_for("two runs", || (std::fs::read_to_string(&ran).ok()?.lines().count() >= 2).then_some(()));
    let said = wait_for("the failure to be logged", || {
        Some(log(&launcher)).filter(|log| log.contains("out of order"))
    });
    assert_eq!(said.matches("launcher.on-event: sh exited with code 9: I am").count(), 1, "{said}");
}

/// Answers one request after the other with these statuses, and gives what it was asked.
fn serve(listener: &TcpListener, statuses: &[u16]) -> Vec<(String, Value)> {
    let answer = |status: &u16| {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut line, mut length) = (String::new(), String::new(), 0);
        while reader.read_line(&mut line).unwrap() > 2 {
            let line = std::mem::take(&mut line);
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        (head, serde_json::from_slice(&body).unwrap())
    };
    statuses.iter().map(answer).collect()
}

#[test]
fn a_webhook_is_posted_each_event_and_tried_again() {
    let listener = TcpListener::bind((own_ip(), 0)).unwrap();
    let url = format!("http://{}/hook?key=hunter2", listener.local_addr().unwrap());
    let webhook = format!("webhook = '{url}'\nwebhook-token = '${{HOOK_TOKEN}}'");
    let config = format!("[launcher]\n{webhook}\n{FLAPPING}");
    let launcher = home(&config).variable("HOOK_TOKEN", "tok-hunter3").start();
    let asked = serve(&listener, &[503, 200, 200, 400]);
    let kinds: Vec<&str> = asked.iter().map(|(_, body)| body["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["crashed", "crashed", "recovered", "failed"]);
    let (head, _) = &asked[0];
    assert!(head.starts_with("POST /hook?key=hunter2 HTTP/1.1"), "{head}");
    assert!(head.to_ascii_lowercase().contains("authorization: bearer tok-hunter3"), "{head}");
    let said = wait_for("the refusal to be logged", || {
        Some(log(&launcher)).filter(|log| log.contains("status 400"))
    });
    assert!(!said.contains("hunter2") && !said.contains("hunter3"), "{said}");
}

#[test]
fn mistakes_are_told_without_the_secrets_in_them() {
    let config =
        "[launcher]\non-event = ['']\nwebhook = 'ftp://hunter2'\n[components.x]\ncommand = ['true']\n";
    let output = home(config).run(&["check"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(text.contains("launcher.on-event: names no program"), "{text}");
    assert!(text.contains("launcher.webhook: must be a URL") && !text.contains("hunter2"), "{text}");
    let config = "[launcher]\nwebhook-token = 'hunter2'\non-event = ['no-such-program']\n";
    let output = home(config).run(&["check"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(text.contains("launcher.webhook is not; set both") && !text.contains("hunter2"), "{text}");
    let config = "[launcher]\non-event = ['no-such-program']\n";
    let output = home(config).run(&["check"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(text.contains("launcher.on-event: cannot run 'no-such-program'"), "{text}");
}
