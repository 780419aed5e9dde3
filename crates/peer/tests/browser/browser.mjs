// Starts Chromium with a page of this folder and lets it do its work. See run.mjs for what has to be there.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';

const here = path.dirname(new URL(import.meta.url).pathname);

/** Prints the result; a reason makes it a failure. */
export const finish = (result, reason) => {
  console.log(JSON.stringify({ ok: !reason, ...(reason ? { reason } : {}), ...result }));
  process.exitCode = reason ? 1 : 0;
};

/** What is missing before a browser is started, in words. */
const missing = () => {
  if (!process.env.FARWHEEL_BROWSER_DRIVER) return 'FARWHEEL_BROWSER_DRIVER names no folder with playwright-core';
  if (!fs.existsSync(browserPath)) return `${browserPath} is not there: install chromium`;
  const outside = Object.values(os.networkInterfaces()).flat().some(({ internal, family }) => !internal && family === 'IPv4');
  if (!outside) return 'no interface besides loopback has an IPv4 address: ip link add dummy0 type dummy, and give it one';
  return null;
};

const usual = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,LocalNetworkAccessChecksWebRTC',
  '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows'];
const types = { '.html': 'text/html', '.js': 'text/javascript' };
const browserPath = process.env.CHROMIUM ?? '/usr/bin/chromium';

/**
 * Opens `file`, has `run` use the page, and prints the page's `report`. A failure is, in this order: what `run` gives,
 * what the page has thrown, and what `doubt` says of the report, which it may change.
 */
export const browse = async ({ file, args = [], lacking, run, doubt, screenshot }) => {
  const reason = lacking ?? missing();
  if (reason) return finish({}, reason);
  const require = createRequire(path.join(process.env.FARWHEEL_BROWSER_DRIVER, 'package.json'));
  const { chromium } = require('playwright-core');
  const browser = await chromium.launch({ executablePath: browserPath, headless: true, args: [...usual, ...args] });
  try {
    const page = await browser.newPage();
    const thrown = [];
    page.on('pageerror', error => thrown.push(String(error)));
    await page.route('http://localhost/**', route => {
      const name = path.basename(new URL(route.request().url()).pathname) || file;
      const found = path.join(here, name);
      return fs.existsSync(found)
        ? route.fulfill({ contentType: types[path.extname(name)], body: fs.readFileSync(found) })
        : route.fulfill({ status: 404, body: '' });
    });
    await page.goto(`http://localhost/${file}`);
    const failed = await run(page);
    const report = await page.evaluate(() => globalThis.report);
    if (screenshot) await page.screenshot({ path: screenshot });
    const found = failed ?? thrown[0] ?? doubt(report);
    finish(report, found);
  } finally {
    await browser.close();
  }
};
