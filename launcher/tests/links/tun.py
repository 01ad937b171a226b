"""Makes a TUN device of this name, and hands it over through the socket that is the standard input."""
import fcntl, os, socket, struct, sys

# linux/if_tun.h
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", sys.argv[1].encode(), IFF_TUN | IFF_NO_PI))
socket.send_fds(socket.socket(fileno=0), [b"\0"], [tun])
