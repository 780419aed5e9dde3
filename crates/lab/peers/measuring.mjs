// The measuring picture and its figures (docs/MEASUREMENTS.md) in a browser; the twin of measuring.py.
// Evaluated in the page as a classic script, so it declares one global object and imports nothing.
globalThis.measuring = (() => {
  const CELLS = 48, SYNC = [1, 0, 1, 1, 0, 0, 1, 0], LOOP = 80000, MARGIN = [512, 128];

  const stampNow = () => Math.floor((performance.timeOrigin + performance.now()) * 10) % 2 ** 32;

  const crc8 = bytes => bytes.reduce((crc, byte) => {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1 ^ (crc & 0x80 ? 7 : 0)) & 0xff;
    return crc;
  }, 0);

  const bytesOf = stamp => [stamp >>> 24, stamp >>> 16 & 255, stamp >>> 8 & 255, stamp & 255];

  const bitsOf = stamp => {
    const body = bytesOf(stamp);
    return [...SYNC, ...[...body, crc8(body)].flatMap(byte => [7, 6, 5, 4, 3, 2, 1, 0].map(bit => byte >> bit & 1))];
  };

  /** The stamp of a picture whose mean luma in columns [from, to) of the strip's middle rows `mean` gives; or null. */
  const decode = (width, mean) => {
    const bits = Array.from({ length: CELLS }, (_, cell) => {
      const from = Math.floor(width * (cell + 0.25) / CELLS);
      return mean(from, Math.max(from + 1, Math.floor(width * (cell + 0.75) / CELLS))) > 126 ? 1 : 0;
    });
    if (SYNC.some((bit, i) => bits[i] !== bit)) return null;
    const bytes = Array.from({ length: 5 }, (_, i) => parseInt(bits.slice(8 + i * 8, 16 + i * 8).join(''), 2));
    if (crc8(bytes.slice(0, 4)) !== bytes[4]) return null;
    return bytes.slice(0, 4).reduce((value, byte) => value * 256 + byte, 0);
  };

  const sway = (phase, reach) => {
    const half = LOOP / 2, at = phase % half, sign = phase < half ? 1 : -1;
    return reach + sign * Math.floor(reach * 4 * at * (half - at) / (half * half));
  };

  const offset = stamp => {
    const phase = stamp % LOOP, even = n => n - n % 2;
    return [even(sway(phase, MARGIN[0] / 2 - 6)), even(sway(phase * 5 % LOOP, MARGIN[1] / 2 - 4))];
  };

  /** An I420 texture (ArrayBuffer) as a bitmap that a canvas can draw from. */
  const bitmap = (buffer, width, height) => {
    const wide = width + MARGIN[0], high = height + MARGIN[1];
    const yuv = new VideoFrame(buffer, { format: 'I420', codedWidth: wide, codedHeight: high, timestamp: 0 });
    return createImageBitmap(yuv);
  };

  const draw = (canvas, texture, width, height, stamp) => {
    const [x, y] = offset(stamp), rows = Math.floor(height / 16);
    canvas.drawImage(texture, x, y, width, height, 0, 0, width, height);
    canvas.fillStyle = '#000';
    canvas.fillRect(0, 0, width, rows);
    canvas.fillStyle = '#fff';
    bitsOf(stamp).forEach((bit, cell) => {
      const from = Math.ceil(width * cell / CELLS);
      if (bit) canvas.fillRect(from, 0, Math.ceil(width * (cell + 1) / CELLS) - from, rows);
    });
  };

  /** Reads the stamp of a WebCodecs VideoFrame, of which only the strip is copied. */
  const read = async (frame, scratch) => {
    const { x, y, width, height } = frame.visibleRect, rows = Math.max(2, Math.floor(height / 16) & ~1);
    const rect = { x, y, width, height: rows };
    const need = frame.allocationSize({ rect });
    if (!scratch.bytes || scratch.bytes.length < need) scratch.bytes = new Uint8Array(need);
    const [plane] = await frame.copyTo(scratch.bytes, { rect });
    const packed = /^(RGB|BGR)/.test(frame.format) ? 4 : 1, green = packed === 4 ? 1 : 0;
    const first = rows >> 2, last = rows - first;
    return decode(width, (from, to) => {
      let sum = 0;
      for (let row = first; row < last; row++)
        for (let column = from; column < to; column++) sum += scratch.bytes[plane.offset + row * plane.stride + column * packed + green];
      return sum / ((last - first) * (to - from));
    });
  };

  return { stampNow, draw, bitmap, read };
})();
