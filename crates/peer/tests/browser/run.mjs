// Chromium as the other end. Prints one JSON object; exits 1 with the reason in it if anything is not as it should be.
//
//   FARWHEEL_BROWSER_DRIVER=FOLDER node run.mjs --server ws://127.0.0.1:8080/v1/ws --room yard [options]
//
//   --metres 3       how far to drive; 0: only watch
//   --seconds 2      how long to watch after that
//   --strip required|absent   whether the pictures carry the measuring strip (default required)
//   --token TOKEN    for the signalling server
//   --screenshot FILE
//
// FOLDER holds node_modules/playwright-core; CHROMIUM names another browser than /usr/bin/chromium. Chromium gathers no
// candidates on loopback, so some other interface must be up with an address (in a network namespace of its own: one of
// type dummy, and a default route).
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { browse, finish } from './browser.mjs';

const here = path.dirname(new URL(import.meta.url).pathname);
const golden = name => JSON.parse(fs.readFileSync(path.join(here, '../../../proto/golden', name), 'utf8'));
const quantile = (sorted, q) => sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] : null;

const { values: options } = parseArgs({ options: {
  server: { type: 'string' }, room: { type: 'string' }, token: { type: 'string' }, screenshot: { type: 'string' },
  metres: { type: 'string', default: '3' }, seconds: { type: 'string', default: '2' }, strip: { type: 'string', default: 'required' },
} });

/** What a run that came to its end still has to show. */
const doubt = report => {
  const delays = report.delays_ms.sort((a, b) => a - b);
  delete report.delays_ms;
  report.frame_delay_ms = { p50: quantile(delays, 0.5), p95: quantile(delays, 0.95), p99: quantile(delays, 0.99) };
  if (report.errors.length) return report.errors[0];
  if (report.pictures < 10) return `only ${report.pictures} pictures were shown`;
  if (options.strip === 'required') {
    if (report.stamped < 0.9 * report.pictures) return `the strip was read from ${report.stamped} of ${report.pictures} pictures`;
    if (!(report.frame_delay_ms.p50 >= 0 && report.frame_delay_ms.p50 < 1000)) return `a picture is ${report.frame_delay_ms.p50} ms old when it is shown`;
  }
  if (Number(options.metres) > 0 && !(report.metres >= Number(options.metres))) return `driven ${report.metres} m`;
  return null;
};

await browse({
  file: 'page.html', screenshot: options.screenshot,
  lacking: !options.server || !options.room ? 'give --server and --room' : null,
  run: page => page.evaluate(options => drive(options).then(() => null, error => String(error.message ?? error)), {
    server: options.server, room: options.room, token: options.token,
    metres: Number(options.metres), seconds: Number(options.seconds),
    golden: { commands: golden('drive_command.json'), telemetry: golden('telemetry_fast.json') },
  }),
  doubt,
}).catch(error => finish({}, String(error.message ?? error)));
