"""GStreamer as a peer: webrtcbin, x264 zerolatency at a fixed rate.

webrtcbin.py send|recv FOLDER TEXTURE WIDTH HEIGHT FPS SECONDS KBPS
Descriptions are exchanged, complete with candidates, through files in FOLDER. SECONDS count from the first picture shown;
then `recv` prints the figures as JSON. `send` runs until it is ended. Where GATE is set both wait for a line first,
SECONDS count from there, and `recv` writes every picture to the file ROWS instead.
"""

import os
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

import numpy as np  # noqa: E402

import measuring  # noqa: E402

side, folder, texture = sys.argv[1:4]
width, height, fps, seconds, kbps = map(int, sys.argv[4:9])

Gst.init(None)
loop = GLib.MainLoop()
picture = measuring.Picture(texture, width, height)
# Longest time to the first picture.
PATIENCE_S = 20
# GObject promises and replies that must outlive their callbacks.
kept = []


def publish(name, sdp):
    path = os.path.join(folder, name)
    with open(path + ".part", "w") as file:
        file.write(sdp)
    os.rename(path + ".part", path)


def await_text(name):
    path = os.path.join(folder, name)
    while not os.path.exists(path):
        time.sleep(0.01)
    with open(path) as file:
        return file.read()


def description(kind, sdp):
    message = GstSdp.SDPMessage.new_from_text(sdp)[1]
    return GstWebRTC.WebRTCSessionDescription.new(kind, message)


def when_gathered(element, then):
    done = []

    def check(*_):
        if element.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE and not done:
            done.append(True)
            then(element.get_property("local-description").sdp.as_text())

    element.connect("notify::ice-gathering-state", check)


def set_local(element, promise, name):
    promise.wait()
    reply = promise.get_reply()
    local = reply.get_value(name) if hasattr(reply, "get_value") else reply[name]
    kept.extend([promise, reply, local])
    element.emit("set-local-description", local, Gst.Promise.new())


def sender():
    pipeline = Gst.parse_launch(
        "webrtcbin name=peer bundle-policy=max-bundle latency=0 "
        "appsrc name=camera is-live=true format=time do-timestamp=true max-buffers=1 leaky-type=downstream "
        f"caps=video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast bitrate={kbps} vbv-buf-capacity=60 key-int-max={4 * fps} "
        "! video/x-h264,profile=constrained-baseline ! h264parse config-interval=-1 "
        "! rtph264pay aggregate-mode=zero-latency mtu=1200 config-interval=-1 "
        "! application/x-rtp,media=video,encoding-name=H264,payload=96 ! peer."
    )
    peer, camera = pipeline.get_by_name("peer"), pipeline.get_by_name("camera")
    peer.emit("get-transceiver", 0).set_property("do-nack", True)

    def offer(element):
        element.emit("create-offer", None, Gst.Promise.new_with_change_func(lambda p, *_: set_local(element, p, "offer")))

    def answered(sdp):
        publish("offer", sdp)

        def wait():
            answer = description(GstWebRTC.WebRTCSDPType.ANSWER, await_text("answer"))
            peer.emit("set-remote-description", answer, Gst.Promise.new())

        threading.Thread(target=wait, daemon=True).start()

    def film():
        start, count = time.time(), 0
        while True:
            time.sleep(max(0.0, start + count / fps - time.time()))
            count += 1
            camera.emit("push-buffer", Gst.Buffer.new_wrapped(picture.i420(measuring.stamp_now())))

    peer.connect("on-negotiation-needed", offer)
    when_gathered(peer, answered)
    threading.Thread(target=film, daemon=True).start()
    return pipeline, None


def receiver():
    pipeline = Gst.Pipeline.new("receiver")
    peer = Gst.ElementFactory.make("webrtcbin", "peer")
    peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
    peer.set_property("latency", 0)
    pipeline.add(peer)
    shown, begun = [], []

    def begin(at):
        # The first key frame may be sent before the connection is up, and then the first picture is the next one, some
        # seconds later: that is the time of the connection, not of the pictures.
        begun.append(at)
        if not measuring.is_gated():
            GLib.timeout_add(int(seconds * 1000), loop.quit)

    def take(sink):
        at = time.time()
        sample = sink.emit("pull-sample")
        caps = sample.get_caps().get_structure(0)
        wide, high = caps.get_value("width"), caps.get_value("height")
        stride = (wide + 3) & ~3
        ok, mapped = sample.get_buffer().map(Gst.MapFlags.READ)
        luma = np.frombuffer(mapped.data, np.uint8)[: stride * high].reshape(high, stride)[:, :wide]
        stamp = measuring.read(luma)
        if stamp is not None:
            if not begun:
                begin(at)
            # PSNR of every tenth picture: it costs more than decoding one.
            shown.append((at, stamp, picture.psnr(luma, stamp) if len(shown) % 10 == 0 else None))
        sample.get_buffer().unmap(mapped)
        return Gst.FlowReturn.OK

    def show(_, pad):
        screen = Gst.parse_bin_from_description(
            "rtph264depay ! h264parse ! avdec_h264 max-threads=1 ! videoconvert ! video/x-raw,format=I420 "
            "! appsink name=screen sync=false max-buffers=1 drop=true emit-signals=true",
            True,
        )
        pipeline.add(screen)
        screen.sync_state_with_parent()
        pad.link(screen.get_static_pad("sink"))
        screen.get_by_name("screen").connect("new-sample", take)

    def answer():
        offer = description(GstWebRTC.WebRTCSDPType.OFFER, await_text("offer"))

        def create(*_):
            done = Gst.Promise.new_with_change_func(lambda p, *_: set_local(peer, p, "answer"))
            peer.emit("create-answer", None, done)

        peer.emit("set-remote-description", offer, Gst.Promise.new_with_change_func(create))

    peer.connect("pad-added", show)
    when_gathered(peer, lambda sdp: publish("answer", sdp))
    threading.Thread(target=answer, daemon=True).start()

    def finish():
        if measuring.is_gated():
            measuring.write_rows(shown, (width, height))
        elif begun:
            measuring.report(shown, begun[0], begun[0] + seconds)
        else:
            print('{"frames": 0}')

    return pipeline, finish


measuring.gate()
pipeline, finish = sender() if side == "send" else receiver()
bus = pipeline.get_bus()
bus.add_signal_watch()


def failed(_, message):
    print(message.parse_error()[0].message, file=sys.stderr)
    loop.quit()


bus.connect("message::error", failed)
pipeline.set_state(Gst.State.PLAYING)
GLib.timeout_add_seconds(seconds + (0 if measuring.is_gated() else PATIENCE_S), loop.quit)
loop.run()
if finish:
    finish()
sys.stdout.flush()
# webrtcbin's threads do not end by themselves.
os._exit(0)
