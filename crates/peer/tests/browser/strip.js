// Reads the measuring strip (docs/MEASUREMENTS.md) from a picture as it is shown. A classic script.
globalThis.strip = (() => {
  const CELLS = 48, SYNC = 0b10110010;
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true });

  const crc8 = value => {
    let crc = 0;
    for (const shift of [24, 16, 8, 0]) {
      crc ^= value >>> shift & 255;
      for (let bit = 0; bit < 8; bit++) crc = (crc & 128 ? crc << 1 ^ 7 : crc << 1) & 255;
    }
    return crc;
  };

  /** The stamp in the picture that `video` shows, in 0.1 ms modulo 2^32; null if it has no strip. */
  const read = video => {
    const { videoWidth: width, videoHeight: height } = video;
    const rows = Math.floor(height / 16);
    if (rows < 2) return null;
    if (canvas.width !== width || canvas.height !== rows) Object.assign(canvas, { width, height: rows });
    context.drawImage(video, 0, 0, width, rows, 0, 0, width, rows);
    const { data } = context.getImageData(0, 0, width, rows);
    const bit = cell => {
      const left = Math.ceil(width * (cell + 0.25) / CELLS), right = Math.floor(width * (cell + 0.75) / CELLS);
      let sum = 0, count = 0;
      for (let y = rows >> 2; y < rows - (rows >> 2); y++)
        for (let x = left; x < Math.max(right, left + 1); x++, count++) sum += data[4 * (y * width + x) + 1];
      return sum / count > 128 ? 1 : 0;
    };
    const number = (from, bits) => {
      let value = 0;
      for (let cell = from; cell < from + bits; cell++) value = value * 2 + bit(cell);
      return value;
    };
    if (number(0, 8) !== SYNC) return null;
    const stamp = number(8, 32);
    return number(40, 8) === crc8(stamp) ? stamp : null;
  };

  return { read };
})();
