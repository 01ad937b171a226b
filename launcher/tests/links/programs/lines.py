"""Three writes a line."""
import socket, sys

host, port, name = sys.argv[-3:]
with socket.create_connection((host, int(port))) as stream:
    stream.sendall(name.encode())
    stream.sendall(b"\n")
    for n in range(20):
        stream.sendall(b"bob: ")
        stream.sendall(b"%d bob" % n)
        stream.sendall(b": hi\n")
    stream.shutdown(socket.SHUT_WR)
    while stream.recv(4096):
        pass
