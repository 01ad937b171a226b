//! A process that outlives the launcher: when the launcher ends in whatever way, it ends every process of the run.
//!
//! It is our own program in another role (`guard`). Its standard input is a pipe whose other end only we hold, so end of file means that we
//! have ended. A guard that ends earlier is replaced. It is isolated from us: a session of its own, no mark of the run, and no environment.

use std::io::{self, PipeWriter};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::cgroup::Realm;
use crate::children::Started;

/// The pause before a guard that has ended is replaced.
const PAUSE: Duration = Duration::from_secs(1);

/// The guard of a run; released when dropped, after which it ends by itself.
#[derive(Debug)]
pub(super) struct Guard(JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Guard {
    /// Starts a guard, and replaces it whenever it ends.
    pub(super) fn start(program: &Path, run_id: Uuid, realm: Option<&Realm>) -> Self {
        let (program, realm) = (program.to_owned(), realm.map(|realm| realm.path().to_owned()));
        let mut guard = spawn(&program, run_id, realm.as_deref());
        Self(tokio::spawn(async move {
            loop {
                match guard {
                    Ok((mut child, _lifeline, _registered)) => {
                        let status = child.wait().await;
                        tracing::warn!(?status, "the guard process exited; restarting it");
                    }
                    // The next start of the launcher also ends remaining processes.
                    Err(error) => tracing::warn!(%error, "cannot start the guard process; retrying"),
                }
                tokio::time::sleep(PAUSE).await;
                guard = spawn(&program, run_id, realm.as_deref());
            }
        }))
    }
}

fn spawn(
    program: &Path,
    run_id: Uuid,
    realm: Option<&Path>,
) -> io::Result<(Child, PipeWriter, Option<Started>)> {
    let (stdin, lifeline) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(["guard", &run_id.to_string()]).env_clear().stdin(stdin).process_group(0);
    command.args(realm);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn()?;
    let registered = child.id().map(Started::helper);
    Ok((child, lifeline, registered))
}
