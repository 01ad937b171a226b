//! Hosts on a network: namespaces, connected by a bridge in a namespace of its own. The machine's own network is not touched, and
//! concurrent tests do not meet.
#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A switch and its hosts; removed when dropped.
pub struct Network {
    prefix: String,
    subnet: u8,
    hosts: u32,
}

/// One machine.
#[derive(Debug, Clone)]
pub struct Host {
    pub ip: String,
    namespace: PathBuf,
}

static NETWORKS: AtomicU32 = AtomicU32::new(0);

impl Network {
    /// This many hosts; `None` where namespaces cannot be created.
    pub fn of(hosts: u32) -> Option<Self> {
        Self::with_subnet(77, hosts)
    }

    /// As [`Network::of`], with addresses that begin with `10.SUBNET`.
    pub fn with_subnet(subnet: u8, hosts: u32) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !has_ip() {
            eprintln!("SKIPPED: making hosts needs root and iproute2; nothing is tested here");
            return None;
        }
        let prefix = format!("p2p{}-{}-", std::process::id(), NETWORKS.fetch_add(1, Ordering::Relaxed));
        let network = Self { prefix, subnet, hosts };
        network.make();
        Some(network)
    }

    /// Unplugs a host permanently: it neither sends nor receives anything any more.
    #[allow(dead_code, reason = "not each test that has a network pulls cables")]
    pub fn unplug(&self, host: u32) {
        ip(&["-n", &self.name(0)], &format!("link del p{host}\n"));
    }

    fn make(&self) {
        let switch = self.name(0);
        let mut outside = format!("netns add {switch}\n");
        let mut bridge =
            "link add br0 type bridge forward_delay 0 mcast_snooping 0\nlink set br0 up\n".to_owned();
        for n in 1..=self.hosts {
            let name = self.name(n);
            outside += &format!(
                "netns add {name}\nlink add e0 netns {name} type veth peer name p{n} netns {switch}\n"
            );
            bridge += &format!("link set p{n} master br0 up\n");
        }
        ip(&[], &outside);
        ip(&["-n", &switch], &bridge);
        for n in 1..=self.hosts {
            let address = self.address(n);
            // Without a default route a legacy program cannot broadcast.
            let inside = format!(
                "link set lo up\naddr add {address}/16 brd + dev e0\nlink set e0 up\nroute add default dev e0\n"
            );
            ip(&["-n", &self.name(n)], &inside);
        }
    }

    /// A host, counted from 1.
    pub fn host(&self, n: u32) -> Host {
        assert!((1..=self.hosts).contains(&n));
        Host { ip: self.address(n), namespace: Path::new("/run/netns").join(self.name(n)) }
    }

    /// Unplugs a host, or plugs it in again.
    pub fn plug(&self, n: u32, is_in: bool) {
        let state = if is_in { "up" } else { "down" };
        ip(&["-n", &self.name(0)], &format!("link set p{n} {state}\n"));
    }

    /// Blocks a host's link without changing its state, or unblocks it.
    pub fn silence(&self, n: u32, is_silent: bool) {
        // The state of the bridge's port: 0 is disabled, 3 is forwarding. A port that was just plugged in cannot be changed for a moment.
        let (switch, port, state) = (self.name(0), format!("p{n}"), if is_silent { "0" } else { "3" });
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut command = Command::new("bridge");
        command.args(["-n", &switch, "link", "set", "dev", &port, "state", state]).stderr(Stdio::null());
        while !command.status().unwrap().success() {
            assert!(Instant::now() < deadline, "the state of {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Gives a host another address.
    pub fn move_host(&self, n: u32, to: u32) -> Host {
        let (before, after) = (self.address(n), self.address(to));
        let commands = format!(
            "addr del {before}/16 dev e0\naddr add {after}/16 brd + dev e0\nroute add default dev e0\n"
        );
        ip(&["-n", &self.name(n)], &commands);
        Host { ip: after, ..self.host(n) }
    }

    /// Moves a host to another network by changing its only address; the cable is the same.
    pub fn readdress(&self, n: u32, address: &str) {
        let commands =
            format!("addr flush dev e0\naddr add {address}/16 brd + dev e0\nroute add default dev e0\n");
        ip(&["-n", &self.name(n)], &commands);
    }

    /// Adds addresses of the network to a host.
    pub fn also_at(&self, n: u32, more: std::ops::Range<u32>) {
        let commands: String =
            more.map(|other| format!("addr add {}/16 dev e0\n", self.address(other))).collect();
        ip(&["-n", &self.name(n)], &commands);
    }

    /// Removes a host's address.
    pub fn unaddress(&self, n: u32) {
        ip(&["-n", &self.name(n)], "addr flush dev e0\n");
    }

    /// Packets and bytes that a host has sent.
    pub fn sent(&self, n: u32) -> (u64, u64) {
        let output = Command::new("ip")
            .args(["-n", &self.name(n), "-s", "-j", "link", "show", "e0"])
            .output()
            .unwrap();
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |what: &str| links[0]["stats64"]["tx"][what].as_u64().unwrap();
        (of("packets"), of("bytes"))
    }

    /// Connects a host to another network, too; returns its address there.
    pub fn also_wire(&self, n: u32, other: &Self) -> String {
        self.also_wire_as("e1", n, other)
    }

    /// The same, with this interface name.
    pub fn also_wire_as(&self, interface: &str, n: u32, other: &Self) -> String {
        let (switch, address) = (other.name(0), other.address(200 + n));
        let name = self.name(n);
        ip(&[], &format!("link add {interface} netns {name} type veth peer name x{n} netns {switch}\n"));
        ip(&["-n", &switch], &format!("link set x{n} master br0 up\n"));
        let inside = format!("addr add {address}/16 brd + dev {interface}\nlink set {interface} up\n");
        ip(&["-n", &name], &inside);
        address
    }

    /// Removes a host's default route.
    pub fn unroute(&self, n: u32) {
        ip(&["-n", &self.name(n)], "route del default\n");
    }

    /// Leaves a host only IPv6.
    pub fn only_ipv6(&self, n: u32) {
        self.only_link_local(n);
        ip(&["-n", &self.name(n)], &format!("addr add fd77::{n}/64 dev e0 nodad\n"));
    }

    /// Leaves a host only the IPv6 address that its interface assigns itself, once duplicate address detection has finished.
    pub fn only_link_local(&self, n: u32) {
        ip(&["-n", &self.name(n), "-4"], "addr flush dev e0\n");
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut command = Command::new("ip");
        command.args(["-n", &self.name(n), "-6", "addr", "show", "dev", "e0", "tentative"]);
        while !command.output().unwrap().stdout.is_empty() {
            assert!(Instant::now() < deadline, "the link-local address of host {n}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn address(&self, n: u32) -> String {
        format!("10.{}.{}.{}", self.subnet, n / 250, n % 250)
    }

    fn name(&self, n: u32) -> String {
        format!("{}{n}", self.prefix)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let names: String = (0..=self.hosts).map(|n| format!("netns del {}\n", self.name(n))).collect();
        ip(&[], &names);
    }
}

impl Host {
    /// Runs `work` as this host: sockets that it opens and processes that it starts belong to the host.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            let namespace = File::open(&self.namespace).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().unwrap())
    }
}

fn has_ip() -> bool {
    Command::new("ip").arg("-Version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs many `ip` commands at once.
fn ip(options: &[&str], commands: &str) {
    let mut child =
        Command::new("ip").args(options).args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success() || std::thread::panicking(), "ip {options:?} failed on\n{commands}");
}
