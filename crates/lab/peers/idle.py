#!/usr/bin/env python3
"""Memory that an idle signalling connection costs the server: 2000 connections, each in a room, over plain WebSocket
or, with a certificate and a key, over TLS.

    python3 crates/lab/peers/idle.py target/debug/farwheel-signaling [CERT KEY]
"""

import json
import resource
import socket
import ssl
import struct
import subprocess
import sys

CONNECTIONS = 2000
PEERS_PER_ROOM = 4
WARM_UP = 50


def main():
    program, *tls = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    command = [program, "serve", "--listen", "127.0.0.1:0", "--log", "off"]
    command += ["--sessions-per-ip", "5000", "--handshakes-per-second", "5000"]
    context = None
    if tls:
        command += ["--cert", tls[0], "--key", tls[1]]
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().split(":")[2].split("/")[0])
        kept = [connect(port, context, n) for n in range(WARM_UP)]
        before = resident_kib(server.pid)
        kept += [connect(port, context, WARM_UP + n) for n in range(CONNECTIONS)]
        after = resident_kib(server.pid)
    finally:
        server.kill()
        server.wait()
    each = (after - before) / CONNECTIONS
    print(f"{each:.1f} KiB for each of {CONNECTIONS} idle connections ({'TLS' if tls else 'plain'}), {len(kept)} open")


def connect(port, context, number):
    stream = socket.create_connection(("127.0.0.1", port))
    if context:
        stream = context.wrap_socket(stream)
    stream.sendall(
        b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Protocol: rtcsig.v1.json\r\n\r\n"
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += stream.recv(1)
    send(stream, {"type": "hello", "protocol": "rtcsig/1", "client": {"name": "idle", "version": "1"},
                  "auth": {"anonymous": True, "name": f"n{number}"}})
    expect(stream, "welcome", "hello_ok")
    send(stream, {"type": "join", "room": f"r{number // PEERS_PER_ROOM}", "role": "viewer"})
    expect(stream, "joined")
    return stream


def send(stream, message):
    text = json.dumps(message).encode()
    length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0xFE]) + struct.pack(">H", len(text))
    stream.sendall(b"\x81" + length + b"\0\0\0\0" + text)


def expect(stream, *types):
    """Reads one message of each of these types, in order."""
    data = b""
    for wanted in types:
        while True:
            length, offset = (data[1] & 127, 2) if len(data) >= 2 else (0, 2)
            if length == 126 and len(data) >= 4:
                length, offset = struct.unpack(">H", data[2:4])[0], 4
            if len(data) >= 4 and len(data) >= offset + length:
                break
            data += stream.recv(65536)
        message, data = json.loads(data[offset:offset + length]), data[offset + length:]
        assert message["type"] == wanted, message


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


main()
