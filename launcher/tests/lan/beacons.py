"""Says to be so many nodes at its own address, and sends back what it is asked with; prints how often it was connected to."""
import json, os, selectors, socket, sys, time

target, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 5000))
tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind(("", 47600))
tcp.listen(1024)
selector = selectors.DefaultSelector()
for each in (udp, tcp):
    each.setblocking(False)
    selector.register(each, selectors.EVENT_READ)
# The highest ids there are: whoever hears them has to dial.
ids = ["ff" + os.urandom(31).hex() for _ in range(count)]
sent = connected = 0
begun = time.monotonic()


def say(node, **more):
    beacon = {"id": node, "port": 47600, "boot": 1, **more}
    udp.sendto(b"P2PCHAT1 " + json.dumps(beacon, separators=(",", ":")).encode(), (target, 5000))


while (elapsed := time.monotonic() - begun) < seconds:
    while sent < count and sent < elapsed * 200:
        say(ids[sent])
        sent += 1
    for key, _ in selector.select(0.005):
        if key.fileobj is tcp:
            tcp.accept()[0].close()
            connected += 1
            continue
        data = udp.recvfrom(2048)[0]
        if data.startswith(b"P2PCHAT1 ") and (number := json.loads(data[9:]).get("ask")):
            # Which one was asked is not said: all answer, as far as they go.
            for node in ids[max(0, sent - 3):sent]:
                say(node, told=number)
print(connected)
