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
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

const here = path.dirname(new URL(import.meta.url).pathname);
const golden = name => JSON.parse(fs.readFileSync(path.join(here, '../../../proto/golden', name), 'utf8'));
const quantile = (sorted, q) => sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] : null;

const { values: options } = parseArgs({ options: {
  server: { type: 'string' }, room: { type: 'string' }, token: { type: 'string' }, screenshot: { type: 'string' },
  metres: { type: 'string', default: '3' }, seconds: { type: 'string', default: '2' }, strip: { type: 'string', default: 'required' },
} });

const finish = (result, reason) => {
  console.log(JSON.stringify({ ok: !reason, ...(reason ? { reason } : {}), ...result }));
  process.exitCode = reason ? 1 : 0;
};

/** What is missing before a browser is started, in words. */
const missing = () => {
  if (!options.server || !options.room) return 'give --server and --room';
  if (!process.env.FARWHEEL_BROWSER_DRIVER) return 'FARWHEEL_BROWSER_DRIVER names no folder with playwright-core';
  if (!fs.existsSync(browserPath)) return `${browserPath} is not there: install chromium`;
  const outside = Object.values(os.networkInterfaces()).flat().some(({ internal, family }) => !internal && family === 'IPv4');
  if (!outside) return 'no interface besides loopback has an IPv4 address: ip link add dummy0 type dummy, and give it one';
  return null;
};

const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,LocalNetworkAccessChecksWebRTC',
  '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows'];
const types = { '.html': 'text/html', '.js': 'text/javascript' };
const browserPath = process.env.CHROMIUM ?? '/usr/bin/chromium';

const main = async () => {
  const lacking = missing();
  if (lacking) return finish({}, lacking);
  const require = createRequire(path.join(process.env.FARWHEEL_BROWSER_DRIVER, 'package.json'));
  const { chromium } = require('playwright-core');
  const browser = await chromium.launch({ executablePath: browserPath, headless: true, args });
  try {
    const page = await browser.newPage();
    const thrown = [];
    page.on('pageerror', error => thrown.push(String(error)));
    await page.route('http://localhost/**', route => {
      const name = path.basename(new URL(route.request().url()).pathname) || 'page.html';
      const file = path.join(here, name);
      return fs.existsSync(file)
        ? route.fulfill({ contentType: types[path.extname(name)], body: fs.readFileSync(file) })
        : route.fulfill({ status: 404, body: '' });
    });
    await page.goto('http://localhost/page.html');
    const reason = await page.evaluate(options => drive(options).then(() => null, error => String(error.message ?? error)), {
      server: options.server, room: options.room, token: options.token,
      metres: Number(options.metres), seconds: Number(options.seconds),
      golden: { commands: golden('drive_command.json'), telemetry: golden('telemetry_fast.json') },
    });
    const report = await page.evaluate(() => globalThis.report);
    if (options.screenshot) await page.screenshot({ path: options.screenshot });
    const delays = report.delays_ms.sort((a, b) => a - b);
    delete report.delays_ms;
    report.frame_delay_ms = { p50: quantile(delays, 0.5), p95: quantile(delays, 0.95), p99: quantile(delays, 0.99) };
    finish(report, reason ?? thrown[0] ?? doubt(report));
  } finally {
    await browser.close();
  }
};

/** What a run that came to its end still has to show. */
const doubt = report => {
  if (report.errors.length) return report.errors[0];
  if (report.pictures < 10) return `only ${report.pictures} pictures were shown`;
  if (options.strip === 'required') {
    if (report.stamped < 0.9 * report.pictures) return `the strip was read from ${report.stamped} of ${report.pictures} pictures`;
    if (!(report.frame_delay_ms.p50 >= 0 && report.frame_delay_ms.p50 < 1000)) return `a picture is ${report.frame_delay_ms.p50} ms old when it is shown`;
  }
  if (Number(options.metres) > 0 && !(report.metres >= Number(options.metres))) return `driven ${report.metres} m`;
  return null;
};

await main().catch(error => finish({}, String(error.message ?? error)));
