#!/usr/bin/env python3
"""Compares the launcher with supervisord and pm2 as supervisors of other people's programs, on this machine, in turns.

bench/supervisors.py LAUNCHER [--supervisord PATH] [--pm2 PATH] [--rounds N] [--programs N]

Measured for each, the median of N rounds:

* start: from the command until 100 programs run (`sleep`, known by an argument of theirs);
* memory: the proportional share (PSS) of the supervisor's own processes with 100 programs, idle;
* idle: their processor time over 20 s, in percent of one processor;
* log: the time in which a program gets rid of 100 MB in lines of 100 bytes, and the supervisor's processor time for it;
* restart: from `kill -9` of a program that has run for 2 s until it runs again.

The supervisor's own processes are those that it starts for itself; the launcher's own components, which run beside, are not counted.
Everything runs in temporary directories, and only processes that were started here are ended.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

LINES, LINE = 1_000_000, "x" * 99
WRITER = f"import os,sys,time\nb=({LINE!r}+'\\n').encode()*1000\nt=time.monotonic()\n" + (
    f"for _ in range({LINES}//1000):\n  v=memoryview(b)\n  while v: v=v[os.write(1,v):]\n"
    "open(sys.argv[1],'w').write(str(time.monotonic()-t))\ntime.sleep(100000)\n"
)
CRASHER = "import sys,time,os\nopen(sys.argv[1],'a').write(f'{time.monotonic()} {os.getpid()}\\n')\ntime.sleep(100000)\n"


def processes():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            yield int(pid), words
        except OSError:
            pass


def running(mark):
    mark = mark.encode()
    return sum(1 for _, words in processes() if words[0].endswith(b"sleep") and mark in words)


def pss_kib(pids):
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total


def processor_seconds(pids):
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def until(what, found, seconds=60):
    end = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.002)
    return value


class Launcher:
    name = "launcher"

    def __init__(self, program):
        self.program = program

    def start(self, dir, programs):
        config = []
        for name, command in programs.items():
            config += [f"[components.{name}]", f"command = {json.dumps(command)}", "needs = []"]
        (dir / "launcher.toml").write_text("\n".join(config))
        ports = [f"{key}=127.0.0.1:{port}" for key, port in zip(
            ("chat-server.listen", "chat-server.book-listen", "message-api.listen"), free_ports(3))]
        command = [self.program, "--config", dir / "launcher.toml", "--data", dir / "data", "--logs", dir / "logs"]
        command += ["--no-web", "--no-thermometer", "--no-openai"]
        for port in ports:
            command += ["--set", port]
        self.child = subprocess.Popen([*command, "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def own(self):
        guards = [pid for pid, words in processes() if b"guard" in words[1:2] and parent(pid) == self.child.pid]
        return [self.child.pid, *guards]

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()


class Supervisord:
    name = "supervisord"

    def __init__(self, program):
        self.program = program

    def start(self, dir, programs):
        (dir / "logs").mkdir()
        config = f"[supervisord]\nnodaemon=true\nlogfile={dir}/s.log\npidfile={dir}/s.pid\nchildlogdir={dir}/logs\n"
        for name, command in programs.items():
            quoted = " ".join(json.dumps(word) for word in command).replace("%", "%%")
            config += f"[program:{name}]\ncommand={quoted}\nautorestart=true\nstartsecs=1\n"
            config += f"stdout_logfile={dir}/logs/{name}.log\nredirect_stderr=true\n"
        (dir / "s.conf").write_text(config)
        self.child = subprocess.Popen([self.program, "-c", dir / "s.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def own(self):
        return [self.child.pid]

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()


class Pm2:
    name = "pm2"

    def __init__(self, program):
        self.program = program

    def start(self, dir, programs):
        self.environment = {**os.environ, "PM2_HOME": str(dir / "pm2")}
        apps = [{"name": name, "script": shutil.which(command[0]), "args": command[1:], "interpreter": "none"}
                for name, command in programs.items()]
        (dir / "apps.json").write_text(json.dumps({"apps": apps}))
        self.home = dir / "pm2"
        subprocess.run([self.program, "start", dir / "apps.json"], env=self.environment, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def own(self):
        return [int((self.home / "pm2.pid").read_text())]

    def stop(self):
        subprocess.run([self.program, "kill"], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def parent(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])
    except OSError:
        return 0


def free_ports(count):
    import socket
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def many(supervisor, count):
    """Start, memory and idle processor time with so many programs."""
    with tempfile.TemporaryDirectory() as directory:
        dir = pathlib.Path(directory)
        mark = f"10000{os.getpid()}"
        begun = time.monotonic()
        supervisor.start(dir, {f"p{n}": ["sleep", mark] for n in range(count)})
        try:
            until("the programs", lambda: running(mark) >= count)
            started = time.monotonic() - begun
            time.sleep(10)
            before = processor_seconds(supervisor.own())
            time.sleep(20)
            idle = (processor_seconds(supervisor.own()) - before) / 20 * 100
            return {"start s": started, "memory MiB PSS": pss_kib(supervisor.own()) / 1024, "idle %": idle}
        finally:
            supervisor.stop()


def logs(supervisor):
    """How long a program takes to get rid of its lines."""
    with tempfile.TemporaryDirectory() as directory:
        dir = pathlib.Path(directory)
        (dir / "writer.py").write_text(WRITER)
        supervisor.start(dir, {"writer": [sys.executable, str(dir / "writer.py"), str(dir / "took")]})
        try:
            took = float(until("the lines", lambda: (dir / "took").exists() and (dir / "took").read_text(), 300))
            return {"log MB/s": LINES * 100 / 1e6 / took, "log cpu s": processor_seconds(supervisor.own())}
        finally:
            supervisor.stop()


def restart(supervisor):
    """How long a program that was killed is away."""
    with tempfile.TemporaryDirectory() as directory:
        dir = pathlib.Path(directory)
        (dir / "crasher.py").write_text(CRASHER)
        starts = dir / "starts"
        supervisor.start(dir, {"crasher": [sys.executable, str(dir / "crasher.py"), str(starts)]})
        try:
            lines = until("the program", lambda: starts.exists() and starts.read_text().splitlines())
            time.sleep(2)
            killed = time.monotonic()
            os.kill(int(lines[-1].split()[1]), signal.SIGKILL)
            lines = until("the restart", lambda: len(starts.read_text().splitlines()) > 1 and starts.read_text().splitlines())
            return {"restart s": float(lines[-1].split()[0]) - killed}
        finally:
            supervisor.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("launcher")
    parser.add_argument("--supervisord")
    parser.add_argument("--pm2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--programs", type=int, default=100)
    arguments = parser.parse_args()
    supervisors = [Launcher(arguments.launcher)]
    supervisors += [Supervisord(arguments.supervisord)] if arguments.supervisord else []
    supervisors += [Pm2(arguments.pm2)] if arguments.pm2 else []
    found = {}
    for _ in range(arguments.rounds):
        for supervisor in supervisors:
            for measured in (many(supervisor, arguments.programs), logs(supervisor), restart(supervisor)):
                for figure, value in measured.items():
                    found.setdefault(figure, {}).setdefault(supervisor.name, []).append(value)
    print("".ljust(18) + "".join(supervisor.name.rjust(14) for supervisor in supervisors))
    for figure, by_name in found.items():
        print(figure.ljust(18) + "".join(f"{statistics.median(by_name[one.name]):14.3f}" for one in supervisors))


if __name__ == "__main__":
    main()
