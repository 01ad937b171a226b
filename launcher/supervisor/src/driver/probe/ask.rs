//! Probes a component once: over HTTP or TCP, by a program, or by a call. Failures are returned as text.

use std::ffi::OsString;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::driver::process::set_environment;
use crate::driver::program::run;
use crate::spec::{ComponentSpec, ProbeMethod, ProbeResult, ProbeSpec};

/// Longer than any status line; a server that sends more does not speak HTTP.
const MAX_STATUS_LINE: usize = 1024;

/// Probes once. The caller enforces the timeout by dropping the future, which ends everything that it started.
pub(super) async fn ask(probe: &ProbeSpec, spec: &ComponentSpec, run_id: Uuid) -> ProbeResult {
    match &probe.ask {
        ProbeMethod::Http { authority, path } => http(authority, path).await.map(|()| None),
        ProbeMethod::Tcp(address) => connect(address).await.map(|_| None),
        ProbeMethod::Exec(command) => exec(command, spec, run_id).await.map(|()| None),
        ProbeMethod::Call(call) => (call.ask)(probe.timeout).await,
        // Log probes wait for a line instead.
        ProbeMethod::Log(_) => std::future::pending().await,
    }
}

async fn connect(address: &str) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("refuses connections on {address}"),
        _ => format!("cannot be reached on {address}: {error}"),
    })
}

async fn http(authority: &str, path: &str) -> Result<(), String> {
    let broken = |error: io::Error| format!("breaks the connection on {authority}: {error}");
    let mut stream = connect(authority).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: p2p-chat-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut head = Vec::with_capacity(MAX_STATUS_LINE);
    while !head.contains(&b'\n') && head.len() < MAX_STATUS_LINE {
        if stream.read_buf(&mut head).await.map_err(broken)? == 0 {
            break;
        }
    }
    match status(&head) {
        Some(200..=399) => Ok(()),
        Some(code) => Err(format!("answers {path} with status {code}")),
        None => Err(format!("does not speak HTTP on {authority}")),
    }
}

/// The status code of `HTTP/1.1 200 OK` (RFC 9112, section 4).
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line.trim_ascii_end()).ok()?;
    let code = line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    code.parse().ok().filter(|_| code.len() == 3)
}

async fn exec(command: &[OsString], spec: &ComponentSpec, run_id: Uuid) -> Result<(), String> {
    let unstartable = |error: io::Error| format!("its probe cannot be started: {error}");
    let (program, args) = command.split_first().ok_or("its probe names no program")?;
    let prepared = set_environment(program.as_ref(), args, spec, run_id).map_err(unstartable)?;
    run(prepared, None).await.map_err(|what| format!("its probe {what}"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::machine::testing::component;

    /// A server that answers one connection with these bytes and closes it.
    async fn server(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        });
        address
    }

    async fn get(answer: &'static [u8]) -> Result<(), String> {
        http(&server(answer).await, "/healthz").await
    }

    async fn run_probe(command: &[&str]) -> Result<(), String> {
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        exec(&command, &component("web", &[]), Uuid::nil()).await
    }

    #[tokio::test]
    async fn a_status_from_200_to_399_is_well_and_nothing_else_is() {
        for answer in
            [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"HTTP/1.0 204 \r\n", b"HTTP/1.1 301 Moved\n", b"HTTP/1.1 399"]
        {
            assert_eq!(get(answer).await, Ok(()), "{answer:?}");
        }
        assert_eq!(get(b"HTTP/1.1 503 No\r\n").await.unwrap_err(), "answers /healthz with status 503");
        for answer in [
            &b""[..],
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1 20 OK\r\n",
            b"HTTP/1.1 2000 OK\r\n",
            b"HTTP/1.1\r\n",
            &[b'x'; 9000],
        ] {
            let error = get(answer).await.unwrap_err();
            assert!(
                error.contains("does not speak HTTP") || error.contains("breaks the connection"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_said_to_refuse() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(connect(&address).await.is_ok());
        drop(listener);
        assert_eq!(connect(&address).await.unwrap_err(), format!("refuses connections on {address}"));
    }

    #[tokio::test]
    async fn a_program_says_by_its_code_and_its_last_line() {
        assert_eq!(run_probe(&["true"]).await, Ok(()));
        assert_eq!(
            run_probe(&["sh", "-c", "test $P2P_RUN = 00000000-0000-0000-0000-000000000000/web"]).await,
            Ok(())
        );
        assert_eq!(
            run_probe(&["sh", "-c", "echo no >&2; exit 3"]).await.unwrap_err(),
            "its probe exited with code 3: no"
        );
        let flood = "yes | head -c 1000000; (sleep 600)& exit 0";
        assert_eq!(
            run_probe(&["sh", "-c", flood]).await,
            Ok(()),
            "neither a flood nor a descendant is waited for"
        );
        assert!(run_probe(&["/nonexistent"]).await.unwrap_err().starts_with("its probe cannot be started"));
    }

    #[tokio::test]
    async fn a_program_that_is_given_up_is_killed_with_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", path.display());
        let command = ["sh", "-c", &script];
        let asked = run_probe(&command);
        let written = async {
            while !path.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = asked => panic!("{answer:?}"),
            () = written => {}
        }
        let sleeper = std::fs::read_to_string(&path).unwrap();
        let stat = format!("/proc/{}/stat", sleeper.trim());
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    }
}
