"""aiortc as a peer: its own H.264 encoder and its own rate control.

aiortc_peer.py send|recv FOLDER TEXTURE WIDTH HEIGHT FPS SECONDS
Descriptions are exchanged through files in FOLDER. Both print `prepared` and wait for a line on standard input (GATE);
SECONDS count from there; then `recv` writes every picture to the file ROWS (measuring.py).
"""

import asyncio
import fractions
import os
import sys
import time

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

import measuring

side, folder, texture = sys.argv[1:4]
width, height, fps, seconds = map(int, sys.argv[4:8])
picture = measuring.Picture(texture, width, height)
CLOCK_RATE = 90_000


class Camera(MediaStreamTrack):
    """The measuring picture at a steady rate; a frame that nobody fetched in time is left out."""

    kind = "video"

    def __init__(self):
        super().__init__()
        self.begun, self.count = time.time(), 0

    async def recv(self):
        self.count = max(self.count + 1, int((time.time() - self.begun) * fps))
        await asyncio.sleep(max(0.0, self.begun + self.count / fps - time.time()))
        raw = np.frombuffer(picture.i420(measuring.stamp_now()), np.uint8)
        frame = av.VideoFrame.from_ndarray(raw.reshape(height * 3 // 2, width), format="yuv420p")
        frame.pts, frame.time_base = self.count * CLOCK_RATE // fps, fractions.Fraction(1, CLOCK_RATE)
        return frame


def publish(name, sdp):
    path = os.path.join(folder, name)
    with open(path + ".part", "w") as file:
        file.write(sdp)
    os.rename(path + ".part", path)


async def await_description(name):
    path = os.path.join(folder, name)
    while not os.path.exists(path):
        await asyncio.sleep(0.01)
    with open(path) as file:
        return RTCSessionDescription(sdp=file.read(), type=name)


async def send(peer, until):
    peer.addTrack(Camera())
    codecs = RTCRtpSender.getCapabilities("video").codecs
    peer.getTransceivers()[0].setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])
    await peer.setLocalDescription(await peer.createOffer())
    publish("offer", peer.localDescription.sdp)
    await peer.setRemoteDescription(await await_description("answer"))
    await asyncio.sleep(until - time.time())


async def receive(peer, until):
    shown = []

    async def show(track):
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            at, plane = time.time(), frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
            stamp = measuring.read(luma)
            if stamp is not None:
                # PSNR of every tenth picture: it costs more than decoding one.
                shown.append((at, stamp, picture.psnr(luma, stamp) if len(shown) % 10 == 0 else None))

    tasks = []
    peer.on("track", lambda track: tasks.append(asyncio.ensure_future(show(track))))
    await peer.setRemoteDescription(await await_description("offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    publish("answer", peer.localDescription.sdp)
    await asyncio.sleep(until - time.time())
    measuring.write_rows(shown, (width, height))


async def main():
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    await (send if side == "send" else receive)(peer, time.time() + seconds)
    sys.stdout.flush()
    # Closing waits for the other end, which may be behind a link that is down.
    os._exit(0)


measuring.gate()
asyncio.run(main())
