//! A slow and lossy link: a TUN device at each end, each in a network namespace, and between them a thread that delays or drops packets.
//! TCP's behaviour is the kernel's own: Nagle's algorithm, delayed acknowledgements, retransmission.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::network::Host;
use crate::support::dice::Dice;

const TUN: &str = include_str!("tun.py");
/// Packets in flight in one direction; further ones are dropped.
const QUEUE: usize = 65_536;
/// Packets read from one end before the other has its turn.
const TURN: usize = 256;

/// The quality of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// Added to the round trip, in milliseconds.
    pub delay: u64,
    /// Lost packets per hundred in each direction.
    pub loss: u64,
}

/// A running link; carries nothing after it is dropped.
pub struct Link {
    pub quality: Quality,
    /// The address at which clients at their end reach the server, which listens on this port.
    pub server: SocketAddr,
    pub clients: Host,
    stop: Option<UnixStream>,
    forwarder: Option<JoinHandle<()>>,
}

impl Link {
    /// Creates the link with this index between two hosts.
    pub fn lay(number: u8, server: &Host, port: u16, clients: Host, quality: Quality, dice: Dice) -> Self {
        let ends = [end(server, number, 1), end(&clients, number, 2)];
        let (stop, stopped) = UnixStream::pair().unwrap();
        let mut forwarder = Forwarder::new(ends, quality, dice);
        Self {
            quality,
            server: ([10, 99, number, 1], port).into(),
            clients,
            stop: Some(stop),
            forwarder: Some(std::thread::spawn(move || forwarder.run(&stopped))),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.forwarder.take().map(JoinHandle::join);
    }
}

/// One end of a link on a host.
fn end(host: &Host, number: u8, side: u8) -> File {
    let name = format!("t{number}");
    let (ours, theirs) = UnixStream::pair().unwrap();
    host.within(|| {
        let mut python = Command::new("python3");
        let made = python.args(["-c", TUN, &name]).stdin(Stdio::from(OwnedFd::from(theirs))).status();
        assert!(made.expect("this test needs python3").success(), "{name} cannot be made");
        for command in [
            format!("addr add 10.99.{number}.{side}/24 dev {name}"),
            format!("link set {name} txqueuelen 10000 up"),
        ] {
            assert!(Command::new("ip").args(command.split(' ')).status().unwrap().success(), "ip {command}");
        }
    });
    take_descriptor(&ours).into()
}

fn take_descriptor(socket: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let handed = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    handed.expect("a descriptor comes with the byte")
}

/// The thread in the middle.
struct Forwarder {
    ends: [File; 2],
    /// The packets in flight to each end, with their time of arrival. All have the same delay, so the first is due first.
    on_the_way: [VecDeque<(Instant, Vec<u8>)>; 2],
    one_way: Duration,
    loss: u64,
    dice: Dice,
}

impl Forwarder {
    fn new(ends: [File; 2], quality: Quality, dice: Dice) -> Self {
        let one_way = Duration::from_micros(quality.delay * 1000 / 2);
        Self { ends, on_the_way: Default::default(), one_way, loss: quality.loss, dice }
    }

    fn run(&mut self, stopped: &UnixStream) {
        loop {
            let next = self.on_the_way.iter().filter_map(|queue| queue.front()).map(|(at, _)| *at).min();
            let wait = next.map(|at| {
                Timespec::try_from(at.saturating_duration_since(Instant::now()))
                    .expect("it is less than a second")
            });
            let [one, other] = &self.ends;
            let mut ready = [
                PollFd::new(one, PollFlags::IN),
                PollFd::new(other, PollFlags::IN),
                PollFd::new(stopped, PollFlags::IN),
            ];
            poll(&mut ready, wait.as_ref()).unwrap();
            if !ready[2].revents().is_empty() {
                return;
            }
            self.take(0);
            self.take(1);
            self.hand_over(0);
            self.hand_over(1);
        }
    }

    /// Reads the packets sent at one end, and drops random ones.
    fn take(&mut self, from: usize) {
        let mut buffer = [0; 2048];
        for _ in 0..TURN {
            let count = match self.ends[from].read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the link is broken: {error}"),
            };
            let queue = &mut self.on_the_way[1 - from];
            if self.dice.roll(100) >= self.loss && queue.len() < QUEUE {
                queue.push_back((Instant::now() + self.one_way, buffer[..count].to_vec()));
            }
        }
    }

    /// Delivers the packets that are due.
    fn hand_over(&mut self, to: usize) {
        let now = Instant::now();
        while self.on_the_way[to].front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, packet)) = self.on_the_way[to].pop_front()
        {
            // Packets that an end does not take are lost, as on any link.
            let _ = self.ends[to].write(&packet);
        }
    }
}
