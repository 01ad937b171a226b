"""Floods with answers of mDNS that name ever new nodes: so many packets a second, each with as many records as fit, for so long."""
import os, socket, struct, sys, time

own, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
sender.bind((own, 5353))
SERVICE = b"\x08_p2pchat\x04_tcp\x05local\x00"


def packet():
    records, count = b"", 0
    for _ in range(20):
        instance = os.urandom(4).hex().encode()
        target = bytes([len(instance)]) + instance + SERVICE
        records += SERVICE + struct.pack("!HHIH", 12, 1, 4500, len(target)) + target
        records += target + struct.pack("!HHIH", 33, 0x8001, 120, 6 + len(target)) + struct.pack("!HHH", 0, 0, 47600) + target
        txt = b"id=" + os.urandom(32).hex().encode()
        records += target + struct.pack("!HHIH", 16, 0x8001, 4500, len(txt) + 1) + bytes([len(txt)]) + txt
        records += target + struct.pack("!HHIH", 1, 0x8001, 120, 4) + bytes([10, 77, 1]) + os.urandom(1)
        count += 4
    return struct.pack("!HHHHHH", 0, 0x8400, 0, count, 0, 0) + records


packets = [packet() for _ in range(2000)]
begun, sent = time.monotonic(), 0
while (elapsed := time.monotonic() - begun) < seconds:
    while sent < elapsed * rate:
        sender.sendto(packets[sent % len(packets)], ("224.0.0.251", 5353))
        sent += 1
    time.sleep(0.001)
print(sent)
