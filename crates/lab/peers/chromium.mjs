// Chromium to Chromium as a peer: canvas capture, H.264, jitter buffer target 0, pictures read as they leave the decoder.
// node chromium.mjs TEXTURE WIDTH HEIGHT FPS SECONDS; prints rows for measuring.py (chromium_figures.py).
// SENDER_NAMESPACE and RECEIVER_NAMESPACE: the network namespace of each end. Where GATE is set it prints `prepared`, waits for
// a line on its standard input, counts SECONDS from there and writes every picture to the file ROWS instead, as measuring.py does.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';

const [texture, width, height, fps, seconds] = process.argv.slice(2).map((value, i) => i ? Number(value) : value);
const require = createRequire(path.join(process.env.FARWHEEL_BROWSER_DRIVER, 'package.json'));
const { chromium } = require('playwright-core');
const here = path.dirname(new URL(import.meta.url).pathname);
// Chromium reaches its full size only after its estimator has grown.
const WARM_UP_S = Number(process.env.WARM_UP_S ?? 12);

const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,LocalNetworkAccessChecksWebRTC', '--autoplay-policy=no-user-gesture-required',
  '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows'];

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'farwheel-bench-'));
process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }));
const program = namespace => {
  if (!namespace) return '/usr/bin/chromium';
  const script = path.join(scratch, namespace);
  fs.writeFileSync(script, `#!/bin/sh\nexec ip netns exec ${namespace} /usr/bin/chromium "$@"\n`, { mode: 0o755 });
  return script;
};

const open = async namespace => {
  const browser = await chromium.launch({ executablePath: program(namespace), headless: true, args });
  const page = await browser.newPage();
  page.on('pageerror', error => process.stderr.write(`${error}\n`));
  await page.route('http://localhost/**', route => route.request().url().endsWith('/texture')
    ? route.fulfill({ contentType: 'application/octet-stream', body: fs.readFileSync(texture) })
    : route.fulfill({ contentType: 'text/html', body: '<!doctype html><canvas></canvas>' }));
  await page.goto('http://localhost/');
  await page.addScriptTag({ content: fs.readFileSync(path.join(here, 'measuring.mjs'), 'utf8') });
  await page.evaluate(() => {
    globalThis.peer = new RTCPeerConnection();
    globalThis.local = async description => {
      await peer.setLocalDescription(description);
      while (peer.iceGatheringState !== 'complete') await new Promise(resolve => peer.addEventListener('icegatheringstatechange', resolve, { once: true }));
      return peer.localDescription.toJSON();
    };
  });
  return { browser, page };
};

const { GATE, ROWS, SENDER_NAMESPACE, RECEIVER_NAMESPACE } = process.env;
const [sender, receiver] = await Promise.all([open(SENDER_NAMESPACE), open(RECEIVER_NAMESPACE)]);
if (GATE) {
  console.log('prepared');
  await new Promise(resolve => process.stdin.once('data', resolve));
  process.stdin.unref();
}
const start = Date.now();

const offer = await sender.page.evaluate(async ({ width, height, fps }) => {
  const texture = await measuring.bitmap(await (await fetch('/texture')).arrayBuffer(), width, height);
  const canvas = document.querySelector('canvas');
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d', { alpha: false, desynchronized: true });
  const stream = canvas.captureStream(0), [track] = stream.getVideoTracks();
  track.contentHint = 'motion';
  const transceiver = peer.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
  transceiver.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter(codec => codec.mimeType === 'video/H264'));
  const start = performance.now();
  let count = 0;
  const film = () => {
    measuring.draw(context, texture, width, height, measuring.stampNow());
    track.requestFrame();
    count += 1;
    setTimeout(film, Math.max(0, start + count * 1000 / fps - performance.now()));
  };
  film();
  return local(await peer.createOffer());
}, { width, height, fps });

const answer = await receiver.page.evaluate(async offer => {
  globalThis.shown = [];
  peer.ontrack = async ({ receiver, track }) => {
    receiver.jitterBufferTarget = 0;
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1 }).readable.getReader(), scratch = {};
    for (;;) {
      const { value: frame, done } = await reader.read();
      if (done) return;
      const at = (performance.timeOrigin + performance.now()) / 1000, { width, height } = frame.visibleRect;
      const stamp = await measuring.read(frame, scratch);
      frame.close();
      if (stamp !== null) shown.push([at, stamp, width, height]);
    }
  };
  await peer.setRemoteDescription(offer);
  return local(await peer.createAnswer());
}, offer);

await sender.page.evaluate(answer => peer.setRemoteDescription(answer), answer);
const from = GATE ? start : Date.now() + WARM_UP_S * 1000, begin = from / 1000;
await new Promise(resolve => setTimeout(resolve, from + seconds * 1000 - Date.now()));
const rows = await receiver.page.evaluate(() => shown);
if (GATE) {
  const delay = (at, stamp) => {
    const ticks = (Math.floor(at * 1e4) - stamp) % 2 ** 32;
    return (ticks < -(2 ** 31) ? ticks + 2 ** 32 : ticks >= 2 ** 31 ? ticks - 2 ** 32 : ticks) * 100;
  };
  fs.writeFileSync(ROWS, rows.map(([at, stamp, width, height]) => `${Math.round(at * 1e6)} ${delay(at, stamp)} - ${width} ${height}\n`).join(''));
} else {
  console.log(JSON.stringify({ begin, end: begin + seconds, rows }));
}
await Promise.all([sender.browser.close(), receiver.browser.close()]);
