// Chromium as the other end of `farwheel manual answer`, as somebody would do it in a browser's console: prints the offer
// after "console: ", takes the answer as a line, says hello, prints what it hears after "heard: ".
//
//   FARWHEEL_BROWSER_DRIVER=FOLDER node by_hand.mjs
//
// FOLDER holds node_modules/playwright-core; CHROMIUM names another browser than /usr/bin/chromium.
import path from 'node:path';
import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(path.join(process.env.FARWHEEL_BROWSER_DRIVER, 'package.json'));
const { chromium } = require('playwright-core');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync',
    '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,LocalNetworkAccessChecksWebRTC'],
});
try {
  const page = await browser.newPage();
  await page.exposeFunction('heard', text => console.log(`heard: ${text}`));
  const offer = await page.evaluate(async () => {
    const pc = globalThis.pc = new RTCPeerConnection();
    const channel = pc.createDataChannel('event', { negotiated: true, id: 2 });
    channel.binaryType = 'arraybuffer';
    channel.onopen = () => channel.send('hello from the console');
    channel.onmessage = ({ data }) => globalThis.heard(typeof data === 'string' ? data : new TextDecoder().decode(data));
    await pc.setLocalDescription();
    while (pc.iceGatheringState !== 'complete') {
      await new Promise(resolve => pc.addEventListener('icegatheringstatechange', resolve, { once: true }));
    }
    return JSON.stringify(pc.localDescription);
  });
  console.log(`console: ${offer}`);
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { value: answer } = await lines.next();
  await page.evaluate(text => globalThis.pc.setRemoteDescription(JSON.parse(text)), answer);
  // Until the test has heard enough.
  await lines.next();
} finally {
  await browser.close();
}
