//! The task of one incarnation of a component: it owns the process and reports to the driver.
//!
//! * The driver starts it with [`start`] and keeps an [`Incarnation`], through which it requests signals.
//! * It reports [`Report::Notified`] for each message of the child, [`Report::MainExited`] when the main process has ended and others of it
//!   have not, and [`Report::Exited`] once none is left.
//! * It reports [`Report::Answered`] for each result of its probes.
//! * Then it waits briefly for the child's last lines, and reports the last of them.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::daemon::Forks;
use super::farewell::Farewell;
use super::notify::{NotifyMessage, Socket};
use super::probe::{Probes, awaited_line};
use super::process::{Followed, Process, Start};
use super::report::{Report, Reported, Reporter};
use super::sockets::Sockets;
use crate::cgroup::{Group, Realm};
use crate::listeners::Listeners;
use crate::lock::Claim;
use crate::logs::{Awaited, LastLines, Logs};
use crate::proc;
use crate::spec::{ComponentSpec, Launch, Readiness};
use crate::status::LimitStatus;

/// Time limit for a killed process to end when no driver waits for it any more.
const ABANDONED: Duration = Duration::from_secs(1);

/// A process that still runs this long after SIGKILL cannot be killed by us: it is another user's, or blocked in the kernel.
const UNKILLABLE: Duration = Duration::from_secs(1);

/// The first interval of checks whether a process has become its program, which takes a few milliseconds, and the longest one.
const FIRST_POLL: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// The interval of checks of a pid file.
const FORK_LOOK: Duration = Duration::from_millis(20);

/// An order for the process.
#[derive(Debug)]
enum Order {
    /// End it in the way of this component.
    Terminate(Box<ComponentSpec>, Uuid),
    Kill,
    /// Its socket was deleted: bind it again.
    Renew,
}

/// A running incarnation, as the driver sees it.
#[derive(Debug)]
pub(super) struct Incarnation {
    pub(super) epoch: u64,
    pub(super) pid: u32,
    /// The machine requests one TERM and now and then a KILL, so a few places are enough; if they are taken, the same order is already
    /// pending.
    orders: mpsc::Sender<Order>,
    /// How its limits are enforced.
    pub(super) limits: Vec<LimitStatus>,
    started: Instant,
    probes: Probes,
    reporter: Reporter,
}

impl Incarnation {
    /// Replaces its probes by those of this spec.
    pub(super) fn probe(&mut self, spec: &ComponentSpec, run_id: Uuid) {
        self.probes.set(spec, run_id, self.started, &self.reporter);
    }

    /// The component is ready.
    pub(super) fn serves(&self) {
        self.probes.serves();
    }

    /// Terminates it, and stops its probes.
    pub(super) fn terminate(&mut self, spec: Box<ComponentSpec>, run_id: Uuid) {
        self.probes.end();
        let _ = self.orders.try_send(Order::Terminate(spec, run_id));
    }

    /// Binds its socket again.
    pub(super) fn renew(&self) {
        let _ = self.orders.try_send(Order::Renew);
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        self.probes.end();
        let _ = self.orders.try_send(Order::Kill);
    }
}

/// The environment of an incarnation.
pub(super) struct Environment<'a> {
    pub(super) run_id: Uuid,
    pub(super) claim: &'a Claim,
    pub(super) realm: Option<&'a Realm>,
    pub(super) sockets: &'a mut Sockets,
    pub(super) listeners: &'a mut Listeners,
    pub(super) logs: &'a mut Logs,
    pub(super) reports: &'a mpsc::Sender<Reported>,
}

/// Starts a process and its task.
pub(super) fn start(
    spec: &ComponentSpec,
    epoch: u64,
    environment: Environment<'_>,
) -> io::Result<Incarnation> {
    let socket = environment.sockets.socket(&spec.name, epoch, spec.is_of_other_user)?;
    let sockets = environment.listeners.inheritance(&spec.listen)?;
    let (awaited, found) = awaited_line(spec).map(Awaited::new).unzip();
    let (output, last_lines) = environment.logs.attach(&spec.name, awaited)?;
    let realm = environment.realm.filter(|_| spec.control_group);
    let group = realm.and_then(|realm| group(realm, &spec.name, epoch));
    let limits = limit(spec, environment.realm, group.as_ref());
    let start = Start {
        run_id: environment.run_id,
        claim: environment.claim,
        group,
        own_limits: spec.limits.for_child(&limits),
        notify: socket.path(),
        output,
        sockets,
    };
    let process = Process::start(spec, start)?;
    let (orders, ordered) = mpsc::channel(4);
    let pid = process.id();
    let reporter = Reporter { name: spec.name.clone(), epoch, reports: environment.reports.clone() };
    let forks = Forks::of(spec.pid_file.clone());
    tokio::spawn(live(process, forks, socket, ordered, last_lines, reporter.clone()));
    let started = Instant::now();
    let mut probes = Probes::default();
    if let Some(found) = found {
        probes.listen(found, started, &reporter);
    }
    let mut incarnation = Incarnation { epoch, pid, orders, limits, started, probes, reporter };
    if spec.readiness == Readiness::Executed {
        tokio::spawn(wait_for_program(spec.launch.clone(), pid, incarnation.reporter.clone()));
    }
    incarnation.probe(spec, environment.run_id);
    Ok(incarnation)
}

/// Creates a control group. Without one, the processes are tracked by other means.
fn group(realm: &Realm, name: &str, epoch: u64) -> Option<Group> {
    let group = realm.group(name, epoch);
    group.inspect_err(|error| tracing::warn!(component = name, %error, "it has no control group")).ok()
}

/// Limits the group, and returns which limits are enforced and how.
fn limit(spec: &ComponentSpec, realm: Option<&Realm>, group: Option<&Group>) -> Vec<LimitStatus> {
    let wanted = [("memory", spec.limits.memory.is_some()), ("cpu", spec.limits.cpu.is_some())];
    let mut wanted = wanted.into_iter().filter(|(_, is_wanted)| *is_wanted);
    let group = match (realm, group) {
        (Some(realm), Some(group)) => {
            wanted.try_for_each(|(controller, _)| realm.enable(controller)).map(|()| group)
        }
        _ => Err("the launcher may make none".to_owned()),
    };
    let limits = spec.limits.apply(group.as_ref().copied().map_err(String::as_str));
    for limit in limits.iter().filter(|limit| limit.remark.is_some()) {
        tracing::warn!(component = spec.name, "{limit}");
    }
    limits
}

/// Reports readiness once the process has executed its program. A process that cannot do so ends.
async fn wait_for_program(launch: Launch, pid: u32, reporter: Reporter) {
    let Launch::Command { program, args, .. } = launch else { return };
    let words = std::iter::once(program.as_os_str()).chain(args.iter().map(OsString::as_os_str));
    let first: Vec<u8> = words.flat_map(|word| [word.as_bytes(), &[0]].concat()).collect();
    let mut wait = FIRST_POLL;
    loop {
        match proc::command_line(pid) {
            Some(line) if line.is_empty() && proc::entry(pid).is_none() => return,
            // During `execve` the command line is briefly empty.
            Some(line) if line.is_empty() || line == first => {}
            Some(_) | None => return reporter.tell(Report::Notified(NotifyMessage::Ready)).await,
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_LOOK);
    }
}

async fn live(
    mut process: Process,
    mut forks: Forks,
    mut socket: Socket,
    mut ordered: mpsc::Receiver<Order>,
    last_lines: LastLines,
    reporter: Reporter,
) {
    let mut termination = Termination::default();
    let mut farewell = Farewell::default();
    let mut is_named = false;
    loop {
        tokio::select! {
            biased;
            () = process.ended(), if forks.awaited().is_none() => {
                if termination.is_ordered_to_end() || !forks.first_has_ended(process.exit()) {
                    break;
                }
            }
            () = tokio::time::sleep(FORK_LOOK), if forks.awaited().is_some() => {
                if look_for_daemon(&mut process, &mut forks, &reporter).await.is_none() {
                    break;
                }
            }
            order = ordered.recv(), if termination.abandoned.is_none() => termination.obey(order, &mut process, &mut socket, &mut farewell),
            said = socket.receive(process.group()) => reporter.said(said.unwrap_or_default()).await,
            signal = farewell.signal() => process.terminate(signal),
            () = termination.overdue(), if !is_named => {
                is_named = true;
                reporter.tell(Report::Unkillable(process.describe())).await;
            }
        }
    }
    if !termination.is_ordered_to_end() {
        process.expect_successor();
    }
    // Messages sent before the end are reported before the end.
    while let Some(said) = socket.receive_now(process.group()) {
        reporter.said(said).await;
    }
    let (exit, lived) = (process.exit(), process.age());
    let mut is_told = false;
    while process.has_others() && !termination.is_given_up() {
        if let Some(since) = termination.killed {
            process.kill();
            if since.elapsed() >= UNKILLABLE {
                reporter.tell(Report::Unkillable(process.describe_others())).await;
            }
        } else if !is_told {
            is_told = true;
            reporter.tell(Report::MainExited(exit)).await;
        }
        tokio::select! {
            order = ordered.recv(), if termination.abandoned.is_none() => termination.obey(order, &mut process, &mut socket, &mut farewell),
            said = socket.receive(process.group()) => reporter.said(said.unwrap_or_default()).await,
            signal = farewell.signal() => process.terminate(signal),
            () = process.others_ended() => {}
        }
    }
    drop(socket);
    let (death, group) = process.reap(lived);
    reporter.tell(Report::Exited(death)).await;
    let lines = last_lines.get().await;
    reporter.tell(Report::LastLines { exit: death.exit, lines }).await;
    if let Some(group) = group {
        // The kernel may let whoever removes it wait, see `Group::take`.
        drop(tokio::task::spawn_blocking(|| drop(group)));
    }
}

/// `None` if no process of the component is running, and none will be found.
async fn look_for_daemon(process: &mut Process, forks: &mut Forks, reporter: &Reporter) -> Option<()> {
    let pid_file = forks.awaited()?;
    match process.follow(pid_file)? {
        Followed::NotYet => {}
        Followed::Found(pid) => {
            forks.end();
            reporter.tell(Report::Follows(pid)).await;
            reporter.tell(Report::Notified(NotifyMessage::Ready)).await;
        }
    }
    Some(())
}

/// What was requested of a process.
#[derive(Debug, Default)]
struct Termination {
    killed: Option<Instant>,
    /// It was asked to end.
    is_ordered: bool,
    /// Since when there is no driver, and the process must end.
    abandoned: Option<Instant>,
}

impl Termination {
    fn obey(
        &mut self,
        order: Option<Order>,
        process: &mut Process,
        socket: &mut Socket,
        farewell: &mut Farewell,
    ) {
        self.is_ordered |= !matches!(order, Some(Order::Renew));
        match order {
            Some(Order::Renew) => {
                if let Err(error) = socket.renew(proc::user_of(process.main())) {
                    tracing::warn!(%error, "cannot make the notification socket of a component again");
                }
            }
            // A stop command is for a running process; its remaining descendants get the signal.
            Some(Order::Terminate(spec, _)) if process.has_ended() => {
                process.terminate(spec.stop.signal.signal())
            }
            Some(Order::Terminate(spec, run_id)) => {
                if let Some(signal) = farewell.begin(spec, run_id, process.main()) {
                    process.terminate(signal);
                }
            }
            Some(Order::Kill) => {
                farewell.end();
                self.killed.get_or_insert_with(Instant::now);
                process.kill();
            }
            None => {
                farewell.end();
                self.killed.get_or_insert_with(Instant::now);
                self.abandoned = Some(Instant::now());
                process.kill();
            }
        }
    }

    fn is_ordered_to_end(&self) -> bool {
        self.is_ordered
    }

    /// Waits until a killed process should have ended.
    async fn overdue(&self) {
        match self.killed {
            Some(since) => tokio::time::sleep_until(since + UNKILLABLE).await,
            None => std::future::pending().await,
        }
    }

    fn is_given_up(&self) -> bool {
        self.abandoned.is_some_and(|since| since.elapsed() >= ABANDONED)
    }
}
