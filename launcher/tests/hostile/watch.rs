//! Runs an attack on the whole system, watches it, and reports which promise was broken.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attack::Attack;
use super::innocent::{self, Account};
use super::operator::{self, Console};
use super::process;
use crate::support::dice::is_long;
use crate::support::{Home, Launcher, free_address, http, kill, stall, wait_for};

/// The maximum private memory of a process above its idle state.
const MOST_MEMORY_KIB: u64 = 64 * 1024;
/// The minimum progress of two innocent users during an attack.
const LEAST_ROUNDS: u32 = 3;
/// The launcher itself, whose console is attacked.
pub const LAUNCHER: &str = "launcher";
/// A component that is asked to end must end within this time, whatever happens to it.
const ENDS_WITHIN: Duration = Duration::from_secs(8);
/// Time limit of an HTTP request to one of our servers, on a machine that the attackers share; with a debug build, also with other tests.
const ANSWERS_WITHIN: Duration = Duration::from_millis(if cfg!(debug_assertions) { 3000 } else { 1500 });
/// The maximum CPU usage of an idle process, in a debug build, over [`IDLE_FOR`].
const IDLE_SHARE: u32 = 5;
const IDLE_FOR: Duration = Duration::from_millis(400);
/// The interval of checks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The complete system, ready, with its idle state measured.
pub struct System {
    pub launcher: Launcher,
    /// Address of the chat server's metrics.
    pub chat_http: SocketAddr,
    console: Option<Console>,
    most_memory_kib: u64,
    owes_what_came: bool,
    /// The bound on the target's counter: its name, and the maximum increase.
    takes_at_most: Option<(&'static str, u64)>,
    idle: Vec<(&'static str, u64)>,
}

/// The measurements during an attack.
#[derive(Debug, Default)]
struct Seen {
    stall: Vec<(&'static str, Duration)>,
    memory: Vec<(&'static str, u64)>,
}

impl System {
    /// The usual components, with changed addresses only.
    pub fn start() -> Self {
        Self::with(Home::new())
    }

    /// Like [`Self::start`], with settings.
    pub fn with(home: Home) -> Self {
        let chat_http = free_address();
        let home = home.set(&format!("chat-server.http-listen={chat_http}")).argument("--no-thermometer");
        Self::of(home.up(), chat_http, None)
    }

    /// Like [`Self::with`], with a console, which is watched, too.
    pub fn with_console(home: Home) -> Self {
        let (address, chat_http) = (free_address(), free_address());
        let home = home.set(&format!("chat-server.http-listen={chat_http}")).argument("--no-thermometer");
        let launcher = home.set(&format!("launcher.console-listen={address}")).up();
        let console = Console::of(&launcher, address);
        Self::of(launcher, chat_http, Some(console))
    }

    fn of(launcher: Launcher, chat_http: SocketAddr, console: Option<Console>) -> Self {
        let mut system = Self {
            launcher,
            chat_http,
            console,
            most_memory_kib: MOST_MEMORY_KIB,
            owes_what_came: false,
            takes_at_most: None,
            idle: Vec::new(),
        };
        // Uses everything once, so that what is allocated at the first use counts as idle.
        let once = Attack::default();
        std::thread::scope(|scope| {
            scope.spawn(|| innocent::talk(system.launcher.home.chat, &once));
            scope.spawn(|| system.operate(&once));
            std::thread::sleep(Duration::from_millis(200));
            once.stop();
        });
        let memory = |(name, pid)| (name, process::memory(pid).unwrap());
        system.idle = system.watched().into_iter().map(memory).collect();
        system
    }

    /// The console; only in [`Self::with_console`].
    pub fn console(&self) -> &Console {
        self.console.as_ref().expect("the system has a console")
    }

    fn operate(&self, attack: &Attack) -> Option<operator::Account> {
        self.console.as_ref().map(|console| operator::work(&self.launcher, console, attack))
    }

    /// The processes that are watched.
    fn watched(&self) -> Vec<(&'static str, u32)> {
        let servers = self.servers().map(|(name, _)| name).into_iter();
        servers.chain(self.console.as_ref().map(|_| LAUNCHER)).map(|name| (name, self.pid(name))).collect()
    }

    /// With a narrower memory bound, if three seconds of an attack take less than the usual one. In the long form the usual one applies:
    /// what is stored in half a minute fills the message API's feed and its page cache, each of which has a bound of its own.
    #[must_use]
    pub fn within_mib(mut self, most: u64) -> Self {
        if !is_long() {
            self.most_memory_kib = most * 1024;
        }
        self
    }

    /// Adds this many KiB per connection that [`hold`](crate::http::hold) holds: the memory of a connection that sends nothing.
    #[must_use]
    pub fn beside(mut self, kib_each: u64) -> Self {
        self.most_memory_kib += kib_each * u64::try_from(crate::http::held()).expect("some thousands");
        self
    }

    /// What the attackers sent before they left is handled within their rate limit (`docs/protocol.md`), so the processes are not idle
    /// soon.
    #[must_use]
    pub fn that_owes_what_came(mut self) -> Self {
        self.owes_what_came = true;
        self
    }

    /// In the short form the target's counter of this name must not grow by more than this: it shows unwanted work where memory and time
    /// show nothing because the machine is fast enough.
    #[must_use]
    pub fn that_takes_at_most(mut self, most: u64, counter: &'static str) -> Self {
        self.takes_at_most = (!is_long()).then_some((counter, most));
        self
    }

    /// The components with metrics, and their addresses.
    fn servers(&self) -> [(&'static str, SocketAddr); 3] {
        let Home { api, page, .. } = self.launcher.home;
        [("chat-server", self.chat_http), ("message-api", api), ("web-adapter", page)]
    }

    pub fn pid(&self, name: &str) -> u32 {
        if name == LAUNCHER {
            return self.launcher.pid();
        }
        wait_for("the component", || self.launcher.component_pid(name))
    }

    /// Attacks while everything is watched; `target` is asked to end during the attack.
    pub fn withstands(self, target: &'static str, attacker: impl Fn(&Self, &Attack) + Sync) {
        let attack = Attack::default();
        let (system, attacker) = (&self, &attacker);
        let lasts = Duration::from_secs(if is_long() { 30 } else { 3 });
        std::thread::scope(|scope| {
            // The attackers stop, however this ends.
            let _end = StopOnDrop(&attack);
            scope.spawn(|| from_elsewhere(|| attacker(system, &attack)));
            let talking = scope.spawn(|| innocent::talk(system.launcher.home.chat, &attack));
            let operating = scope.spawn(|| system.operate(&attack));
            let (stolen, taken) = (process::stolen(), system.taken(target));
            let seen = system.look(lasts);
            let (stolen, taken) = (process::stolen() - stolen, system.taken(target) - taken);
            attack.stop();
            let account = talking.join().expect("others are served while the attack goes on");
            let operator = operating.join().expect("the operator is served while the attack goes on");
            println!(
                "{target}: {} bytes, {account:?}, {operator:?}, {seen:?}, {taken} taken, stolen {stolen:?}",
                attack.bytes()
            );
            assert!(attack.bytes() > 0, "nothing was done");
            if let Some((counter, most)) = system.takes_at_most {
                assert!((1..=most).contains(&taken), "{counter} grew by {taken}");
            }
            self.judge(&account, &seen, stolen);
            operator.iter().for_each(judge_operator);
        });
        if !self.owes_what_came {
            self.falls_idle();
        }
        self.honours_term(target, attacker);
    }

    /// The increase of the target's bounded counter.
    fn taken(&self, target: &str) -> u64 {
        let Some((counter, _)) = self.takes_at_most else { return 0 };
        let (_, address) = self.servers().into_iter().find(|(name, _)| *name == target).expect("a server");
        let value = |line: &str| line.strip_prefix(counter)?.trim().parse().ok();
        let metrics = metrics(address);
        metrics.lines().find_map(value).unwrap_or_else(|| panic!("no {counter} in {metrics}"))
    }

    fn look(&self, lasts: Duration) -> Seen {
        let pids = self.watched();
        let mut memory: Vec<_> = pids.iter().map(|(name, _)| (*name, 0)).collect();
        let until = Instant::now() + lasts;
        // By then the attackers hold all that they can, and nothing has timed out by itself.
        let mut asks_at = Some(until - lasts / 3);
        while Instant::now() < until {
            if asks_at.take_if(|at| Instant::now() >= *at).is_some() {
                self.servers().into_iter().for_each(|(_, address)| drop(metrics(address)));
            }
            for ((_, most), (name, pid)) in memory.iter_mut().zip(&pids) {
                let now = process::memory(*pid).unwrap_or_else(|| panic!("{name} ended"));
                *most = now.max(*most);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let stall = self.servers().map(|(name, address)| (name, worst_stall(address))).to_vec();
        Seen { stall, memory }
    }

    fn judge(&self, account: &Account, seen: &Seen, stolen: Duration) {
        for (name, held) in &seen.stall {
            assert!(*held <= stall::MOST + stolen, "{name}: a task held a worker for {held:?}");
        }
        for ((name, idle), (_, most)) in self.idle.iter().zip(&seen.memory) {
            let grown = most.saturating_sub(*idle);
            assert!(
                grown <= self.most_memory_kib,
                "{name} took {grown} KiB more than the {idle} of an idle one"
            );
        }
        // Attacks send a debug build more than it can read while a message waits to be stored.
        assert!(
            cfg!(debug_assertions) || account.again == 0,
            "others' messages were not stored in time: {account:?}"
        );
        assert!(account.rounds >= LEAST_ROUNDS, "others were hardly served: {account:?}");
    }

    /// Nothing that the attack left keeps a processor busy.
    fn falls_idle(&self) {
        for (name, pid) in self.watched() {
            wait_for(&format!("{name} to fall idle"), || {
                let before = process::time_on_processors(pid)?;
                std::thread::sleep(IDLE_FOR);
                (process::time_on_processors(pid)? - before < IDLE_FOR / IDLE_SHARE).then_some(())
            });
        }
    }

    /// Asked to end during the attack, it ends.
    fn honours_term(&self, target: &str, attacker: &(impl Fn(&Self, &Attack) + Sync)) {
        let (attack, pid) = (Attack::default(), self.pid(target));
        std::thread::scope(|scope| {
            let _end = StopOnDrop(&attack);
            scope.spawn(|| from_elsewhere(|| attacker(self, &attack)));
            wait_for("the attack to begin again", || (attack.bytes() > 0).then_some(()));
            kill(pid, "-TERM");
            let asked = Instant::now();
            while process::is_alive(pid) {
                assert!(asked.elapsed() < ENDS_WITHIN, "{target} does not end when it is told to");
                std::thread::sleep(Duration::from_millis(10));
            }
        });
    }
}

fn judge_operator(operator: &operator::Account) {
    assert!(operator.rounds >= LEAST_ROUNDS, "the operator was hardly served: {operator:?}");
    assert!(operator.worst <= ANSWERS_WITHIN, "the operator waited too long: {operator:?}");
}

/// Real attackers have machines of their own; here they share ours. So in the long form, which measures how long others wait, they run at
/// low priority: others must wait for the server's work, and not for the attackers'. Threads of this one inherit the priority (`nice(2)`).
fn from_elsewhere(attack: impl FnOnce()) {
    if is_long() {
        rustix::process::nice(19).expect("nobody is refused to be nicer");
    }
    attack();
}

/// Ends the attack also if an assertion fails, because a scope waits for its threads.
struct StopOnDrop<'a>(&'a Attack);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// `runtime_stall_seconds` of the server at this address. One that does not answer counts as stalled.
fn worst_stall(address: SocketAddr) -> Duration {
    stall::worst(&metrics(address))
}

fn metrics(address: SocketAddr) -> String {
    let asked = Instant::now();
    // A server without a free place may close this connection for another.
    let answer = wait_for("the metrics", || http::try_request(address, "GET", "/metrics", &[], "").ok());
    let took = asked.elapsed();
    assert!(took <= ANSWERS_WITHIN, "{address} answered a stranger after {took:?}");
    answer.body
}
