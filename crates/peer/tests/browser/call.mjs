// Chromium as a caller. Prints one JSON object; exits 1 with the reason in it if anything is not as it should be.
//
//   FARWHEEL_BROWSER_DRIVER=FOLDER node call.mjs --server ws://127.0.0.1:8080/v1/ws --room hall --first other [options]
//
//   --first other|browser   who is in the room first; the one who comes later offers
//   --seconds 2             how long the call lasts once all was seen and heard
//   --screenshot FILE
//
// See run.mjs for what else has to be there.
import path from 'node:path';
import { parseArgs } from 'node:util';
import { browse, finish } from './browser.mjs';

const { values: options } = parseArgs({
  options: {
    server: { type: 'string' }, room: { type: 'string' }, token: { type: 'string' }, first: { type: 'string', default: 'other' },
    seconds: { type: 'string', default: '2' }, screenshot: { type: 'string' },
  },
});

/** What a run that came to its end still has to show. */
const doubt = report => {
  if (report.errors.length) return report.errors[0];
  if (report.directions.some(([, direction]) => direction !== 'sendrecv') || report.directions.length !== 3)
    return `directions: ${JSON.stringify(report.directions)}`;
  if (report.camera.pictures < 20) return `only ${report.camera.pictures} pictures of the camera were shown`;
  if (report.camera.stamped < 0.8 * report.camera.pictures)
    return `the strip was read from ${report.camera.stamped} of ${report.camera.pictures} pictures`;
  if (report.screen.pictures < 5) return `only ${report.screen.pictures} pictures of the screen were shown`;
  if (report.camera.size[0] === report.screen.size[0]) return `camera and screen are both ${report.camera.size[0]} wide`;
  return null;
};

await browse({
  file: 'call.html', screenshot: options.screenshot,
  args: ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
  run: page => page.evaluate(
    options => call(options).then(() => null, error => String(error.message ?? error)),
    { server: options.server, room: options.room, token: options.token, first: options.first, seconds: Number(options.seconds) },
  ),
  lacking: !options.server || !options.room ? 'give --server and --room' : null,
  doubt,
}).catch(error => finish({}, String(error.message ?? error)));
