//! Runs an attack on the whole system, watches it, and says which promise was broken.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attack::Attack;
use super::innocent::{self, Account};
use super::process;
use crate::support::dice::is_long;
use crate::support::{Home, Launcher, free_address, http, kill, stall, wait_for};

/// No process takes more memory of its own than this above what it takes when idle.
const MOST_MEMORY_KIB: u64 = 64 * 1024;
/// The least that two innocent people get done during an attack.
const LEAST_ROUNDS: u32 = 3;
/// A component that is told to end is gone within this time, whatever is done to it.
const ENDS_WITHIN: Duration = Duration::from_secs(8);
/// Whoever asks one of our servers over HTTP is answered within this time, on a machine that the attackers share; and where it is a debug
/// build, other tests, too.
const ANSWERS_WITHIN: Duration = Duration::from_millis(if cfg!(debug_assertions) { 3000 } else { 1500 });
/// An idle process takes less than this share of one processor, in a debug build, over [`IDLE_FOR`].
const IDLE_SHARE: u32 = 5;
const IDLE_FOR: Duration = Duration::from_millis(400);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Everything in one place, ready, and known from its idle side.
pub struct System {
    pub launcher: Launcher,
    /// Where the chat server tells its metrics.
    pub chat_http: SocketAddr,
    most_memory_kib: u64,
    owes_what_came: bool,
    /// What the target may take of its clients meanwhile: the counter, and how much of it.
    takes_at_most: Option<(&'static str, u64)>,
    idle: Vec<(&'static str, u64)>,
}

/// What was seen during an attack.
#[derive(Debug, Default)]
struct Seen {
    stall: Vec<(&'static str, Duration)>,
    memory: Vec<(&'static str, u64)>,
}

impl System {
    /// The usual components, with nothing changed but addresses.
    pub fn start() -> Self {
        Self::with(Home::new())
    }

    /// As [`Self::start`], with settings.
    pub fn with(home: Home) -> Self {
        let chat_http = free_address();
        let home = home.set(&format!("chat-server.http-listen={chat_http}")).argument("--no-thermometer");
        let launcher = home.up();
        let mut system = Self {
            launcher,
            chat_http,
            most_memory_kib: MOST_MEMORY_KIB,
            owes_what_came: false,
            takes_at_most: None,
            idle: Vec::new(),
        };
        // Once round, so that what is set up at the first use counts as idle.
        let once = Attack::default();
        std::thread::scope(|scope| {
            scope.spawn(|| innocent::talk(system.launcher.home.chat, &once));
            std::thread::sleep(Duration::from_millis(200));
            once.stop();
        });
        let memory = |(name, _)| (name, process::memory(system.pid(name)).unwrap());
        system.idle = system.servers().map(memory).to_vec();
        system
    }

    /// With a narrower bound for memory, where three seconds of an attack take less than the usual one. In the long form the usual one
    /// holds: what is stored in half a minute fills the message API's feed and its page cache, each of which has its own bound.
    #[must_use]
    pub fn within_mib(mut self, most: u64) -> Self {
        if !is_long() {
            self.most_memory_kib = most * 1024;
        }
        self
    }

    /// Beside so many KiB for each connection that [`hold`](crate::http::hold) holds: what one takes that sends nothing.
    #[must_use]
    pub fn beside(mut self, kib_each: u64) -> Self {
        self.most_memory_kib += kib_each * u64::try_from(crate::http::held()).expect("some thousands");
        self
    }

    /// What the attackers sent before they left is handled at their pace (`docs/protocol.md`), so nothing falls idle soon.
    #[must_use]
    pub fn that_owes_what_came(mut self) -> Self {
        self.owes_what_came = true;
        self
    }

    /// The target's counter of this name grows by no more in the short form: where memory and time show nothing, since the machine does
    /// what it should not do fast enough, this shows that it does it.
    #[must_use]
    pub fn that_takes_at_most(mut self, most: u64, counter: &'static str) -> Self {
        self.takes_at_most = (!is_long()).then_some((counter, most));
        self
    }

    /// Those that tell how they are, and where.
    fn servers(&self) -> [(&'static str, SocketAddr); 3] {
        let Home { api, page, .. } = self.launcher.home;
        [("chat-server", self.chat_http), ("message-api", api), ("web-adapter", page)]
    }

    pub fn pid(&self, name: &str) -> u32 {
        wait_for("the component", || self.launcher.component_pid(name))
    }

    /// Attacks while everything is watched; `target` is told to end while the attack goes on.
    pub fn withstands(self, target: &'static str, attacker: impl Fn(&Self, &Attack) + Sync) {
        let attack = Attack::default();
        let (system, attacker) = (&self, &attacker);
        let lasts = Duration::from_secs(if is_long() { 30 } else { 3 });
        std::thread::scope(|scope| {
            // However this ends, the attackers end.
            let _end = StopOnDrop(&attack);
            scope.spawn(|| from_elsewhere(|| attacker(system, &attack)));
            let talking = scope.spawn(|| innocent::talk(system.launcher.home.chat, &attack));
            let (stolen, taken) = (process::stolen(), system.taken(target));
            let seen = system.look(lasts);
            let (stolen, taken) = (process::stolen() - stolen, system.taken(target) - taken);
            attack.stop();
            let account = talking.join().expect("others are served while the attack goes on");
            println!(
                "{target}: {} bytes, {account:?}, {seen:?}, {taken} taken, stolen {stolen:?}",
                attack.bytes()
            );
            assert!(attack.bytes() > 0, "nothing was done");
            if let Some((counter, most)) = system.takes_at_most {
                assert!((1..=most).contains(&taken), "{counter} grew by {taken}");
            }
            self.judge(&account, &seen, stolen);
        });
        if !self.owes_what_came {
            self.falls_idle();
        }
        self.honours_term(target, attacker);
    }

    /// How far the target's counter is that has a bound.
    fn taken(&self, target: &str) -> u64 {
        let Some((counter, _)) = self.takes_at_most else { return 0 };
        let (_, address) = self.servers().into_iter().find(|(name, _)| *name == target).expect("a server");
        let value = |line: &str| line.strip_prefix(counter)?.trim().parse().ok();
        let metrics = metrics(address);
        metrics.lines().find_map(value).unwrap_or_else(|| panic!("no {counter} in {metrics}"))
    }

    fn look(&self, lasts: Duration) -> Seen {
        let pids = self.servers().map(|(name, _)| (name, self.pid(name)));
        let mut memory = pids.map(|(name, _)| (name, 0));
        let until = Instant::now() + lasts;
        // By then the attackers hold all that they can, and nothing has timed out by itself.
        let mut asks_at = Some(until - lasts / 3);
        while Instant::now() < until {
            if asks_at.take_if(|at| Instant::now() >= *at).is_some() {
                self.servers().into_iter().for_each(|(_, address)| drop(metrics(address)));
            }
            for ((_, most), (name, pid)) in memory.iter_mut().zip(pids) {
                let now = process::memory(pid).unwrap_or_else(|| panic!("{name} ended"));
                *most = now.max(*most);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let stall = self.servers().map(|(name, address)| (name, worst_stall(address))).to_vec();
        Seen { stall, memory: memory.to_vec() }
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
        // Attacks send a debug build more than it can take in while a message waits to be stored.
        assert!(
            cfg!(debug_assertions) || account.again == 0,
            "others' messages were not stored in time: {account:?}"
        );
        assert!(account.rounds >= LEAST_ROUNDS, "others were hardly served: {account:?}");
    }

    /// What was left behind keeps no processor busy.
    fn falls_idle(&self) {
        for (name, _) in self.servers() {
            let pid = self.pid(name);
            wait_for(&format!("{name} to fall idle"), || {
                let before = process::time_on_processors(pid)?;
                std::thread::sleep(IDLE_FOR);
                (process::time_on_processors(pid)? - before < IDLE_FOR / IDLE_SHARE).then_some(())
            });
        }
    }

    /// Told to end while the attack goes on, it ends.
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

/// Attackers have machines of their own; here they share ours. So in the long form, which asks how long others wait, they run when nobody
/// else wants to: what others wait for is the server's work, and not the attackers'. Threads that this one makes inherit that (`nice(2)`).
fn from_elsewhere(attack: impl FnOnce()) {
    if is_long() {
        rustix::process::nice(19).expect("nobody is refused to be nicer");
    }
    attack();
}

/// Ends the attack also where an assertion fails, for a scope waits for its threads.
struct StopOnDrop<'a>(&'a Attack);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// `runtime_stall_seconds` of the server at this address. One that does not answer is stalled.
fn worst_stall(address: SocketAddr) -> Duration {
    stall::worst(&metrics(address))
}

fn metrics(address: SocketAddr) -> String {
    let asked = Instant::now();
    // A server without a free place may give up this connection for another.
    let answer = wait_for("the metrics", || http::try_request(address, "GET", "/metrics", &[], "").ok());
    let took = asked.elapsed();
    assert!(took <= ANSWERS_WITHIN, "{address} answered a stranger after {took:?}");
    answer.body
}
