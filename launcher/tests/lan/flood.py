"""Forges presence: datagrams under made-up addresses of the network, so many a second for so long."""
import random, socket, struct, sys, time

target, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
payload = b"HEY THERE.."
udp = struct.pack("!HHHH", 40000, 5000, 8 + len(payload), 0) + payload
begun, sent = time.monotonic(), 0
while (elapsed := time.monotonic() - begun) < seconds:
    while sent < elapsed * rate:
        source = bytes([10, 77, random.randrange(1, 255), random.randrange(1, 255)])
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, socket.inet_aton(target))
        raw.sendto(head + udp, (target, 0))
        sent += 1
    time.sleep(0.001)
print(sent)
