"""The measuring picture and its figures (docs/MEASUREMENTS.md) for peers that are not ours.

The texture is the one our own test camera draws (the example `texture` of crates/media writes it), the path of the crop
and the strip are those of crates/media: so every peer codes the same pictures.
"""

import json
import os
import sys
import time

import numpy as np

CELLS = 48
SYNC = 0b10110010
LOOP = 80_000
MARGIN = (512, 128)
# Seconds at the start that no percentile counts.
SKIP_S = 3.0


def stamp_now():
    """Unix time in 0.1 ms, modulo 2^32."""
    return time.time_ns() // 100_000 & 0xFFFFFFFF


def age_ms(stamp, now):
    """Milliseconds from `stamp` to `now`, across the wrap."""
    delta = (now - stamp) & 0xFFFFFFFF
    return (delta - 2**32 if delta >= 2**31 else delta) / 10


def crc8(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (7 if crc & 0x80 else 0)) & 0xFF
    return crc


def code(stamp):
    """The 48 bits of a strip as an array of 0 and 1."""
    body = stamp.to_bytes(4, "big")
    word = SYNC << 40 | stamp << 8 | crc8(body)
    return np.array([word >> (CELLS - 1 - cell) & 1 for cell in range(CELLS)], np.uint8)


def read(luma):
    """The stamp of a luma plane, or None."""
    height, width = luma.shape
    rows = max(1, height // 16)
    band = luma[rows // 4 : max(rows // 4 + 1, rows - rows // 4)].astype(np.float32).mean(axis=0)
    edges = np.arange(CELLS + 1) * width / CELLS
    quarter = width / CELLS / 4
    bits = [band[int(a + quarter) : max(int(a + quarter) + 1, int(b - quarter))].mean() > 126 for a, b in zip(edges, edges[1:])]
    word = int("".join("1" if bit else "0" for bit in bits), 2)
    stamp = word >> 8 & 0xFFFFFFFF
    good = word >> 40 == SYNC and word & 0xFF == crc8(stamp.to_bytes(4, "big"))
    return stamp if good else None


def sway(phase, reach):
    half = LOOP // 2
    at, sign = phase % half, 1 if phase < half else -1
    swing = reach * 4 * at * (half - at) // (half * half)
    return reach + sign * swing


def offset(stamp):
    phase = stamp % LOOP
    return sway(phase, MARGIN[0] // 2 - 6) & ~1, sway(phase * 5 % LOOP, MARGIN[1] // 2 - 4) & ~1


class Picture:
    """Pictures of one size, cut from the texture."""

    def __init__(self, texture, width, height):
        wide, high = width + MARGIN[0], height + MARGIN[1]
        raw = np.fromfile(texture, np.uint8)
        luma, chroma = wide * high, (wide // 2) * (high // 2)
        assert raw.size == luma + 2 * chroma, f"{texture} is not a texture for {width}x{height}"
        self.size = width, height
        self.y = raw[:luma].reshape(high, wide)
        self.u = raw[luma : luma + chroma].reshape(high // 2, wide // 2)
        self.v = raw[luma + chroma :].reshape(high // 2, wide // 2)
        self.cell = np.arange(width) * CELLS // width

    def i420(self, stamp):
        width, height = self.size
        x, y = offset(stamp)
        luma = self.y[y : y + height, x : x + width].copy()
        blue = self.u[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2].copy()
        red = self.v[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2].copy()
        rows = height // 16
        luma[:rows] = np.where(code(stamp)[self.cell], 235, 16)
        blue[: (rows + 1) // 2] = red[: (rows + 1) // 2] = 128
        return b"".join(plane.tobytes() for plane in (luma, blue, red))

    def psnr(self, luma, stamp):
        """Luma PSNR of a shown picture of the full size against the one that was sent, below the strip."""
        width, height = self.size
        if luma.shape != (height, width):
            return None
        x, y = offset(stamp)
        top = height // 8
        sent = self.y[y + top : y + height, x : x + width].astype(np.float32)
        error = float(((luma[top:].astype(np.float32) - sent) ** 2).mean())
        return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def figures(shown, begin, end):
    """The figures of `shown`, a list of (unix seconds, stamp, PSNR or None) in the order of showing."""
    begin += SKIP_S
    counted = [row for row in shown if begin <= row[0] < end]
    if not counted:
        return {"frames": 0}
    at = np.array([row[0] for row in counted])
    delay = np.array([age_ms(stamp, int(t * 10_000)) for t, stamp, _ in counted])
    # Picture age every 5 ms: age of the newest picture, from the first one counted on.
    ticks = np.arange(at[0], end, 0.005)
    newest = np.searchsorted(at, ticks, side="right") - 1
    age = delay[newest] + (ticks - at[newest]) * 1000
    gaps = np.diff(at)
    quality = [row[2] for row in counted if row[2] is not None]

    def points(values):
        return {f"p{p}": round(float(np.percentile(values, p)), 1) for p in (50, 95, 99)}

    return {
        "frames": len(counted),
        "fps": round(len(counted) / (end - begin), 1),
        "frame_delay_ms": points(delay),
        "picture_age_ms": points(age),
        "stall_s": round(float(gaps[gaps > 0.2].sum()), 2),
        "psnr_db": round(float(np.mean(quality)), 1) if quality else None,
    }


def report(shown, begin, end):
    print(json.dumps(figures(shown, begin, end)), flush=True)


def gate():
    """Where GATE is set: says that all is loaded, and waits for the line that begins the measurement."""
    if os.environ.get("GATE"):
        print("prepared", flush=True)
        if not sys.stdin.readline():
            sys.exit("the bench is gone")


def is_gated():
    return bool(os.environ.get("GATE"))


def write_rows(shown, size):
    """Writes every picture to the file ROWS: unix time in us, delay in us, PSNR or -, width, height."""
    with open(os.environ["ROWS"], "w") as file:
        for at, stamp, psnr in shown:
            delay = age_ms(stamp, int(at * 10_000))
            quality = "-" if psnr is None else f"{psnr:.2f}"
            file.write(f"{at * 1e6:.0f} {delay * 1e3:.0f} {quality} {size[0]} {size[1]}\n")
