"""A peer of the old kind, written from the description of its protocol alone.

Says what happens as JSON lines; is told what to send as {"ip": …, "msg": …} on its standard input.
"""
import asyncio, json, socket, sys

PRESENCE = b"HEY THERE.."


def say(**what):
    print(json.dumps(what), flush=True)


class Ear(asyncio.DatagramProtocol):
    def __init__(self):
        self.peers = set()

    def datagram_received(self, data, address):
        if data == PRESENCE and address[0] not in self.peers:
            self.peers.add(address[0])
            say(peer=address[0])


async def announce():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        while True:
            sender.sendto(PRESENCE, ("255.255.255.255", 5000))
            await asyncio.sleep(2)


async def take(reader, writer):
    data = await reader.read(1000)
    try:
        say(message=data.decode(), ip=writer.get_extra_info("peername")[0])
    except UnicodeDecodeError:
        say(broken=len(data))
    writer.close()


async def send(order):
    _, writer = await asyncio.open_connection(order["ip"], 6000)
    writer.write(order["msg"].encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    say(sent=order["msg"])


async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Ear, local_addr=("0.0.0.0", 5000))
    await asyncio.start_server(take, "0.0.0.0", 6000)
    announcing = asyncio.create_task(announce())
    say(ready=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await send(json.loads(line))
    announcing.cancel()


asyncio.run(main())
