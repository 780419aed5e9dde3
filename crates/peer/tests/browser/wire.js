// The wire formats of docs/PROTOCOL.md as a browser speaks them, written from the document and checked against the
// golden vectors in crates/proto/golden. A classic script: it declares one global object.
globalThis.wire = (() => {
  const NONE16 = 0xffff;
  const FLAGS = { deadman: 1, arm: 2, emergencyStop: 4 };

  /** A drive command; axes are wire steps in the order throttle, steer, pan, tilt. */
  const encodeCommand = ({ lease, sequence, echo, displayed, controls, earlier }) => {
    const view = new DataView(new ArrayBuffer(50));
    view.setUint8(0, 1);
    view.setUint8(1, 1);
    view.setUint8(2, controls.flags);
    view.setUint8(3, earlier.length);
    view.setUint32(4, lease, true);
    view.setUint32(8, sequence, true);
    view.setUint32(12, echo ? echo.car_ms : 0, true);
    view.setUint16(16, echo ? Math.min(echo.hold_ms, NONE16 - 1) : NONE16, true);
    controls.axes.forEach((axis, n) => view.setInt16(18 + 2 * n, axis, true));
    view.setUint16(26, displayed ? displayed.frame : 0, true);
    view.setUint16(28, displayed ? Math.min(displayed.unchanged_ms, NONE16 - 1) : NONE16, true);
    earlier.forEach(({ flags, axes }, which) => {
      const at = 30 + 10 * which;
      view.setUint8(at, flags);
      axes.forEach((axis, n) => view.setInt16(at + 2 + 2 * n, axis, true));
    });
    return new Uint8Array(view.buffer);
  };

  /** The fields of fast telemetry that a driver needs; null for any other datagram. */
  const decodeFast = buffer => {
    const view = new DataView(buffer);
    if (view.byteLength < 52 || view.getUint8(0) !== 1 || view.getUint8(1) !== 2) return null;
    const some16 = at => view.getUint16(at, true) === NONE16 ? null : view.getUint16(at, true);
    const speed = view.getInt16(44, true);
    return {
      state: view.getUint8(2),
      reason: view.getUint8(3),
      car_us: Number(view.getBigUint64(8, true)),
      lease: view.getUint32(16, true),
      sequence: view.getUint32(20, true),
      throttle: view.getInt16(24, true),
      loop_age_ms: some16(28),
      picture_age_ms: some16(30),
      arm_block: view.getUint8(42),
      speed_cm_s: speed === -32768 ? null : speed,
    };
  };

  const bytesOf = hex => Uint8Array.from(hex.match(/../g), byte => parseInt(byte, 16));
  const hexOf = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');

  /** What does not agree with the golden vectors, in words. */
  const disagreements = ({ commands, telemetry }) => {
    const wrong = [];
    for (const { name, hex, fields } of commands.vectors) {
      const got = hexOf(encodeCommand(fields));
      if (got !== hex) wrong.push(`command "${name}": ${got}, want ${hex}`);
    }
    for (const { name, hex, fields } of telemetry.vectors) {
      const got = decodeFast(bytesOf(hex).buffer);
      for (const [field, value] of Object.entries(got ?? {})) {
        if (value !== fields[field]) wrong.push(`telemetry "${name}": ${field} is ${value}, want ${fields[field]}`);
      }
      if (!got) wrong.push(`telemetry "${name}" is not read`);
    }
    return wrong;
  };

  return { FLAGS, encodeCommand, decodeFast, disagreements };
})();
