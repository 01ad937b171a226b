//! The task of one incarnation: it owns the process, hears what it says, and tells the driver.
//!
//! * The driver starts it with [`start`] and keeps an [`Incarnation`], through which it asks for signals.
//! * It reports [`Report::Said`] for each thing the child says, [`Report::MainExited`] when its main process has ended and others of
//!   it have not, and [`Report::Exited`] once nothing of it is left.
//! * It reports [`Report::Answered`] for each answer of its probes.
//! * Then it waits shortly for the child's last lines, and reports the last of them.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::daemon::Forks;
use super::farewell::Farewell;
use super::notify::{Directory, Said, Socket};
use super::probe::{Probes, awaited_line};
use super::process::{Followed, Process, Start};
use super::report::{Report, Reported, Reporter};
use crate::supervisor::cgroup::{Group, Realm};
use crate::supervisor::listeners::Listeners;
use crate::supervisor::lock::Claim;
use crate::supervisor::logs::{Awaited, LastLines, Logs};
use crate::supervisor::proc;
use crate::supervisor::spec::{ComponentSpec, Launch, Readiness};
use crate::supervisor::status::LimitStatus;

/// How long a process that nobody waits for may take to be gone once it is killed.
const FORSAKEN: Duration = Duration::from_secs(1);

/// What runs so long after it was killed cannot be killed by us: it is another user's, or stuck in the kernel.
const UNKILLABLE: Duration = Duration::from_secs(1);

/// How often it is looked whether a process has become its program: at first, which takes some milliseconds, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// How often it is looked whether a pid file names a process.
const FORK_LOOK: Duration = Duration::from_millis(20);

/// What the process is sent.
#[derive(Debug)]
enum Order {
    /// As this says.
    Terminate(Box<ComponentSpec>, Uuid),
    Kill,
    /// Its socket was deleted.
    Renew,
}

/// A running incarnation, as the driver has it.
#[derive(Debug)]
pub(super) struct Incarnation {
    pub(super) epoch: u64,
    pub(super) pid: u32,
    /// The machine asks for one TERM and now and then a KILL, so these few places are enough; when they are taken the process is
    /// about to be sent the same already.
    orders: mpsc::Sender<Order>,
    /// By what it is limited.
    pub(super) limits: Vec<LimitStatus>,
    started: Instant,
    probes: Probes,
    reporter: Reporter,
}

impl Incarnation {
    /// Asks it from now on what this spec says.
    pub(super) fn probe(&mut self, spec: &ComponentSpec, run_id: Uuid) {
        self.probes.set(spec, run_id, self.started, &self.reporter);
    }

    /// It serves.
    pub(super) fn serves(&self) {
        self.probes.serves();
    }

    /// Asks it to end, and asks it nothing more.
    pub(super) fn terminate(&mut self, spec: Box<ComponentSpec>, run_id: Uuid) {
        self.probes.end();
        let _ = self.orders.try_send(Order::Terminate(spec, run_id));
    }

    /// Makes its socket again.
    pub(super) fn renew(&self) {
        let _ = self.orders.try_send(Order::Renew);
    }

    /// Ends it.
    pub(super) fn kill(&mut self) {
        self.probes.end();
        let _ = self.orders.try_send(Order::Kill);
    }
}

/// What an incarnation is started with.
pub(super) struct Surroundings<'a> {
    pub(super) run_id: Uuid,
    pub(super) claim: &'a Claim,
    pub(super) realm: Option<&'a Realm>,
    pub(super) sockets: &'a Directory,
    pub(super) listeners: &'a mut Listeners,
    pub(super) logs: &'a mut Logs,
    pub(super) reports: &'a mpsc::Sender<Reported>,
}

/// Starts a process and its task.
pub(super) fn start(spec: &ComponentSpec, epoch: u64, around: Surroundings<'_>) -> io::Result<Incarnation> {
    let socket = around.sockets.socket(&spec.name, epoch)?;
    let sockets = around.listeners.bequeath(&spec.listen)?;
    let (awaited, found) = awaited_line(spec).map(Awaited::new).unzip();
    let (output, last_lines) = around.logs.attach(&spec.name, awaited)?;
    let group = around.realm.and_then(|realm| group(realm, &spec.name, epoch));
    let limits = limit(spec, around.realm, group.as_ref());
    let start = Start {
        run_id: around.run_id,
        claim: around.claim,
        group,
        own_limits: spec.limits.for_child(&limits),
        notify: socket.path(),
        output,
        sockets,
    };
    let process = Process::start(spec, start)?;
    let (orders, ordered) = mpsc::channel(4);
    let pid = process.id();
    let reporter = Reporter { name: spec.name.clone(), epoch, reports: around.reports.clone() };
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
    incarnation.probe(spec, around.run_id);
    Ok(incarnation)
}

/// Without one its processes are known by other means.
fn group(realm: &Realm, name: &str, epoch: u64) -> Option<Group> {
    let group = realm.group(name, epoch);
    group.inspect_err(|error| tracing::warn!(component = name, %error, "it has no control group")).ok()
}

/// Limits what is in the group, and says what of it is in force and by what.
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

/// Says that it serves once the process has become another program than it was started with. One that cannot become it ends.
async fn wait_for_program(launch: Launch, pid: u32, reporter: Reporter) {
    let Launch::Command { program, args, .. } = launch else { return };
    let words = std::iter::once(program.as_os_str()).chain(args.iter().map(OsString::as_os_str));
    let first: Vec<u8> = words.flat_map(|word| [word.as_bytes(), &[0]].concat()).collect();
    let mut wait = FIRST_LOOK;
    loop {
        match proc::command_line(pid) {
            Some(line) if line.is_empty() && proc::entry(pid).is_none() => return,
            // Between two programs it is empty for a moment.
            Some(line) if line.is_empty() || line == first => {}
            Some(_) | None => return reporter.tell(Report::Said(Said::Ready)).await,
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
    let mut fate = Fate::default();
    let mut farewell = Farewell::default();
    let mut is_named = false;
    loop {
        tokio::select! {
            biased;
            () = process.ended(), if forks.awaited().is_none() => {
                if fate.is_ordered_to_end() || !forks.first_has_ended(process.exit()) {
                    break;
                }
            }
            () = tokio::time::sleep(FORK_LOOK), if forks.awaited().is_some() => {
                if look_for_daemon(&mut process, &mut forks, &reporter).await.is_none() {
                    break;
                }
            }
            order = ordered.recv(), if fate.forsaken.is_none() => fate.obey(order, &mut process, &mut socket, &mut farewell),
            said = socket.receive(process.group()) => reporter.said(said.unwrap_or_default()).await,
            signal = farewell.signal() => process.terminate(signal),
            () = fate.overdue(), if !is_named => {
                is_named = true;
                reporter.tell(Report::Unkillable(process.describe())).await;
            }
        }
    }
    // What it said before its end comes before its end.
    while let Some(said) = socket.receive_now(process.group()) {
        reporter.said(said).await;
    }
    let (exit, lived) = (process.exit(), process.age());
    let mut is_told = false;
    while process.has_others() && !fate.is_given_up() {
        if let Some(since) = fate.killed {
            process.kill();
            if since.elapsed() >= UNKILLABLE {
                reporter.tell(Report::Unkillable(process.describe_others())).await;
            }
        } else if !is_told {
            is_told = true;
            reporter.tell(Report::MainExited(exit)).await;
        }
        tokio::select! {
            order = ordered.recv(), if fate.forsaken.is_none() => fate.obey(order, &mut process, &mut socket, &mut farewell),
            said = socket.receive(process.group()) => reporter.said(said.unwrap_or_default()).await,
            signal = farewell.signal() => process.terminate(signal),
            () = process.others_ended() => {}
        }
    }
    drop(socket);
    let death = process.reap(lived);
    reporter.tell(Report::Exited(death)).await;
    let lines = last_lines.get().await;
    reporter.tell(Report::LastLines { exit: death.exit, lines }).await;
}

/// None where nothing of the component runs any more, and none will be found.
async fn look_for_daemon(process: &mut Process, forks: &mut Forks, reporter: &Reporter) -> Option<()> {
    let pid_file = forks.awaited()?;
    match process.follow(pid_file)? {
        Followed::NotYet => {}
        Followed::Found(pid) => {
            forks.end();
            reporter.tell(Report::Follows(pid)).await;
            reporter.tell(Report::Said(Said::Ready)).await;
        }
    }
    Some(())
}

/// What was ordered of a process.
#[derive(Debug, Default)]
struct Fate {
    killed: Option<Instant>,
    /// It was asked to end.
    is_ordered: bool,
    /// Since when there is no driver any more, and with it no reason to live.
    forsaken: Option<Instant>,
}

impl Fate {
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
                if let Err(error) = socket.renew() {
                    tracing::warn!(%error, "cannot make the notification socket of a component again");
                }
            }
            // Its command is for a process that runs; what that has left behind gets the signal.
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
                self.forsaken = Some(Instant::now());
                process.kill();
            }
        }
    }

    fn is_ordered_to_end(&self) -> bool {
        self.is_ordered
    }

    /// Waits until what was killed should have ended.
    async fn overdue(&self) {
        match self.killed {
            Some(since) => tokio::time::sleep_until(since + UNKILLABLE).await,
            None => std::future::pending().await,
        }
    }

    fn is_given_up(&self) -> bool {
        self.forsaken.is_some_and(|since| since.elapsed() >= FORSAKEN)
    }
}
