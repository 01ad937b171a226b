"""Begins connections from all of its addresses, so many a second, says nothing in them, and holds as many as it may."""
import collections, resource, socket, subprocess, sys, time

target, rate, seconds, ports = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), [int(port) for port in sys.argv[4].split(",")]
own = [line.split()[3].split("/")[0] for line in subprocess.check_output(["ip", "-4", "-o", "addr", "show", "dev", "e0"], text=True).splitlines()]
limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 8192)
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
held = collections.deque()
begun, made = time.monotonic(), 0
while (elapsed := time.monotonic() - begun) < seconds:
    while made < elapsed * rate:
        stream = socket.socket()
        stream.setblocking(False)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind((own[made % len(own)], 0))
        stream.connect_ex((target, ports[made % len(ports)]))
        held.append(stream)
        made += 1
        if len(held) > limit - 100:
            held.popleft().close()
    time.sleep(0.001)
print(made)
