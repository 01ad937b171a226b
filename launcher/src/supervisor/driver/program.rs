//! Runs a program that is asked something of a component, does something to it, or is told of it: a probe, a command that stops it, the
//! operator's own.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::report::last_line;
use super::watch::Watch;
use crate::supervisor::children::Started;
use crate::supervisor::exit::ProcessExit;

/// So many bytes of what a program writes are looked at; the rest is read and forgotten.
const MAX_OUTPUT: usize = 4096;

/// Runs it to its end; well is an exit with 0. What is wrong comes back in words that fit after its name, with the last line that it wrote.
/// Its standard input is `input`, or nothing. It and its group are killed when this is dropped.
pub(crate) async fn run(mut command: Command, input: Option<Vec<u8>>) -> Result<(), String> {
    let unstartable = |error: io::Error| format!("cannot be started: {error}");
    let (output, writer) = io::pipe().map_err(unstartable)?;
    let mut output = pipe::Receiver::from_owned_fd(output.into()).map_err(unstartable)?;
    command.stderr(writer.try_clone().map_err(unstartable)?).stdout(writer);
    let feed = feed(&mut command, input).map_err(unstartable)?;
    let mut program = Program::start(command).map_err(unstartable)?;
    let mut text = Vec::new();
    let status = tokio::select! {
        status = program.ended() => status.map_err(unstartable)?,
        never = collect(&mut output, &mut text) => never,
        never = write(feed) => never,
    };
    // What it wrote just before its end.
    let _ = tokio::time::timeout(Duration::ZERO, collect(&mut output, &mut text)).await;
    if status.success() {
        return Ok(());
    }
    let lines: Vec<String> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    let said = last_line(&lines).map(|line| format!(": {line}")).unwrap_or_default();
    Err(format!("{}{said}", ProcessExit::of(status)))
}

/// Its standard input, and what is to be written to it.
fn feed(command: &mut Command, input: Option<Vec<u8>>) -> io::Result<Option<(pipe::Sender, Vec<u8>)>> {
    let Some(input) = input else {
        command.stdin(Stdio::null());
        return Ok(None);
    };
    let (reader, writer) = io::pipe()?;
    command.stdin(reader);
    Ok(Some((pipe::Sender::from_owned_fd(writer.into())?, input)))
}

/// A program that does not read its input is no reason to end.
async fn write(feed: Option<(pipe::Sender, Vec<u8>)>) -> ExitStatus {
    if let Some((mut feed, input)) = feed {
        let _ = feed.write_all(&input).await;
    }
    std::future::pending().await
}

/// Reads on and on, and keeps the beginning; a descendant may hold the pipe open for ever.
async fn collect(output: &mut pipe::Receiver, text: &mut Vec<u8>) -> ExitStatus {
    let mut buffer = [0; MAX_OUTPUT];
    loop {
        match output.read(&mut buffer).await {
            Ok(count) if count > 0 => {
                let room = MAX_OUTPUT.saturating_sub(text.len());
                text.extend_from_slice(&buffer[..count.min(room)]);
            }
            Ok(_) | Err(_) => std::future::pending().await,
        }
    }
}

/// A program with its group; both are killed when this is dropped.
struct Program {
    child: Child,
    group: Option<Pid>,
    _registered: Option<Started>,
}

impl Program {
    fn start(mut command: Command) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(true).spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let registered = child.id().map(Started::helper);
        Ok(Self { child, group, _registered: registered })
    }

    /// Its end; what it leaves of its group is killed while it is a zombie that holds the group's number.
    async fn ended(&mut self) -> io::Result<ExitStatus> {
        if let Some(group) = self.group {
            Watch::on(group)?.ended().await;
            self.kill();
        }
        self.child.wait().await
    }

    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
