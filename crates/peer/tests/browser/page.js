// A driver in a browser, for tests: joins by rtcsig/1, connects to the robot, shows its pictures, drives it.
// run.mjs calls `drive`; everything it learns is in `report`.
const report = { steps: [], pictures: 0, stamped: 0, unstamped: 0, delays_ms: [], errors: [] };
globalThis.report = report;

const began = performance.now();
const since = () => Math.round(performance.now() - began);
const step = name => report.steps.push([since(), name]);
const hex = bytes => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), byte => byte.toString(16).padStart(2, '0')).join('');
const later = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Waits until `done` gives something; the message names what is waited for. */
const until = async (what, seconds, done) => {
  const limit = performance.now() + seconds * 1000;
  for (;;) {
    const value = done();
    if (value) return value;
    if (performance.now() > limit) throw new Error(`${what}: not within ${seconds} s`);
    await later(5);
  }
};

/** The WebSocket with hello and join done. */
const join = ({ server, room, token, role = 'driver' }) => new Promise((resolve, reject) => {
  const socket = new WebSocket(server, 'rtcsig.v1.json');
  const seat = { self: null, peers: new Map(), onsignal: null, early: [] };
  seat.send = message => socket.send(JSON.stringify(message));
  socket.onerror = () => reject(new Error(`no WebSocket to ${server}`));
  socket.onclose = ({ code, reason }) => { report.closed = [code, reason]; reject(new Error(`server closed: ${code} ${reason}`)); };
  socket.onopen = () => seat.send({
    type: 'hello', protocol: 'rtcsig/1', client: { name: 'browser test', version: '1' },
    auth: token ? { token } : { anonymous: true, name: 'browser' },
  });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    switch (message.type) {
      case 'hello_ok':
        seat.ice = message.ice_servers;
        seat.send({ type: 'join', room, role });
        setInterval(() => seat.send({ type: 'ping', t: Date.now() }), message.heartbeat_ms);
        break;
      case 'joined':
        seat.self = message.self;
        for (const peer of message.peers) seat.peers.set(peer.id, peer);
        resolve(seat);
        break;
      case 'peer_joined': seat.peers.set(message.peer.id, message.peer); break;
      case 'peer_left': seat.peers.delete(message.peer); break;
      case 'signal': seat.onsignal ? seat.onsignal(message) : seat.early.push(message); break;
      case 'error': report.errors.push(`${message.code}: ${message.message}`); break;
    }
  };
});

/** The connection to the robot: the newcomer offers. */
const connect = async seat => {
  const robot = await until('a robot in the room', 20, () => [...seat.peers.values()].find(peer => peer.role === 'robot'));
  step('robot found');
  const link = { conn: hex(8), polite: seat.self.id < robot.id, answered: false, early: [] };
  const say = (kind, data) => seat.send({ type: 'signal', to: robot.id, conn: link.conn, kind, data });
  const peer = link.peer = new RTCPeerConnection({ iceServers: seat.ice });
  const channel = (label, id, lossy) => {
    const made = peer.createDataChannel(label, { negotiated: true, id, ...(lossy ? { ordered: false, maxRetransmits: 0 } : {}) });
    made.binaryType = 'arraybuffer';
    return made;
  };
  link.control = channel('control', 0, true);
  link.telemetry = channel('telemetry', 1, true);
  link.event = channel('event', 2, false);
  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.ontrack = ({ track, receiver, streams }) => {
    step('track');
    receiver.jitterBufferTarget = 0;
    document.querySelector('video').srcObject = streams[0] ?? new MediaStream([track]);
  };
  peer.onicecandidate = ({ candidate }) => candidate ? say('candidate', candidate.toJSON()) : say('candidates_end');
  peer.onconnectionstatechange = () => step(`connection ${peer.connectionState}`);
  seat.onsignal = async ({ from, conn, kind, data }) => {
    if (from !== robot.id || conn !== link.conn) return;
    if (kind === 'answer') {
      await peer.setRemoteDescription({ type: 'answer', sdp: data.sdp });
      link.answered = true;
      for (const candidate of link.early.splice(0)) await peer.addIceCandidate(candidate);
    } else if (kind === 'candidate') {
      link.answered ? await peer.addIceCandidate(data) : link.early.push(data);
    } else if (kind === 'bye') {
      report.errors.push('the robot said bye');
    }
  };
  await peer.setLocalDescription();
  say('offer', { sdp: peer.localDescription.sdp });
  step('offered');
  seat.early.splice(0).forEach(seat.onsignal);
  await until('connection and channels', 10, () => peer.connectionState === 'connected'
    && [link.control, link.telemetry, link.event].every(one => one.readyState === 'open'));
  step('channels open');
  return link;
};

/** Watches the pictures as they are shown. */
const watch = () => {
  const video = document.querySelector('video'), seen = { frame: null, at: 0 };
  video.play().catch(error => report.errors.push(`play: ${error}`));
  const shown = (_, { rtpTimestamp, width, height }) => {
    const now = performance.timeOrigin + performance.now();
    report.pictures += 1;
    if (report.pictures === 1) step('first picture');
    report.size = [width, height];
    if (rtpTimestamp !== undefined) {
      seen.frame = Math.floor(rtpTimestamp / 90) & 0xffff;
      seen.at = performance.now();
    }
    const stamp = strip.read(video);
    if (stamp === null) report.unstamped += 1;
    else {
      report.stamped += 1;
      const behind = (Math.floor(now * 10) % 2 ** 32 - stamp) | 0;
      report.delays_ms.push(behind / 10);
    }
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
  return seen;
};

/** Takes the lease, arms, drives `metres` straight on, stops. */
const steer = async (link, seen, metres) => {
  let fast = null, heard = 0, travelled = 0, request = 0;
  const answers = new Map(), told = [];
  link.telemetry.onmessage = ({ data }) => {
    const next = wire.decodeFast(data);
    if (!next) return;
    if (fast && next.speed_cm_s !== null) travelled += Math.abs(next.speed_cm_s) / 100 * Math.max(0, next.car_us - fast.car_us) / 1e6;
    if (!fast || next.car_us > fast.car_us) [fast, heard] = [next, performance.now()];
    report.telemetry = next;
  };
  link.event.onmessage = ({ data }) => {
    const event = JSON.parse(typeof data === 'string' ? data : new TextDecoder().decode(data));
    event.re === undefined ? told.push(event) : answers.set(event.re, event);
  };
  const echo = () => fast && { car_ms: Math.floor(fast.car_us / 1000) % 2 ** 32, hold_ms: Math.round(performance.now() - heard) };
  const ask = async (body, want) => {
    const id = ++request;
    link.event.send(new TextEncoder().encode(JSON.stringify({ id, ...body })));
    const answer = await until(`answer to ${body.type}`, 5, () => answers.get(id));
    if (answer.type !== want) throw new Error(`${body.type} was answered by ${JSON.stringify(answer)}`);
    step(`${body.type}: ${answer.type}`);
    return answer;
  };

  report.welcome = await ask({ type: 'hello', name: 'browser', version: '1', role: 'driver' }, 'welcome');
  const { epoch } = await ask({ type: 'lease_request' }, 'lease_granted');
  await until('telemetry', 5, () => fast);

  let sequence = 0, controls = { flags: 0, axes: [0, 0, 0, 0] }, earlier = [];
  const send = () => {
    const displayed = seen.frame === null ? null
      : { frame: seen.frame, unchanged_ms: Math.round(performance.now() - seen.at) };
    link.control.send(wire.encodeCommand({ lease: epoch, sequence: ++sequence, echo: echo(), displayed, controls, earlier }));
    earlier = [controls, ...earlier].slice(0, 2);
  };
  const timer = setInterval(send, 20);
  try {
    await until('nothing stands against arming', 8, () => fast.arm_block === 0 && fast.lease === epoch);
    controls = { flags: wire.FLAGS.deadman | wire.FLAGS.arm, axes: [0, 0, 0, 0] };
    const now = echo();
    await ask({ type: 'arm', epoch, car_ms_echo: now.car_ms, hold_ms: now.hold_ms }, 'done');
    await until('armed', 3, () => fast.state === 1);
    travelled = 0;
    controls = { flags: wire.FLAGS.deadman | wire.FLAGS.arm, axes: [16384, 0, 0, 0] };
    await until(`${metres} m`, 20, () => travelled >= metres);
    report.metres = travelled;
    report.at_speed = { ...fast };
    step('driven');
    controls = { flags: 0, axes: [0, 0, 0, 0] };
    await until('standstill after the dead man\'s control is released', 10, () => Math.abs(fast.speed_cm_s) < 5);
    step('stands');
    await ask({ type: 'disarm' }, 'done');
  } finally {
    clearInterval(timer);
    report.told = told.map(({ type }) => type);
  }
};

/** Everything; throws with a reason. */
globalThis.drive = async ({ server, room, token, metres, seconds, golden }) => {
  const wrong = wire.disagreements(golden);
  if (wrong.length) throw new Error(`golden vectors: ${wrong.join('; ')}`);
  step('golden vectors agree');
  const seat = await join({ server, room, token });
  step('joined');
  const link = await connect(seat);
  const seen = watch();
  await until('the first picture', 5, () => report.pictures > 0);
  if (metres > 0) await steer(link, seen, metres);
  await later(seconds * 1000);
  const stats = [...(await link.peer.getStats()).values()];
  const video = stats.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video') ?? {};
  report.video = Object.fromEntries(['framesDecoded', 'framesDropped', 'keyFramesDecoded', 'packetsLost', 'packetsReceived',
    'pliCount', 'nackCount', 'freezeCount', 'jitterBufferDelay', 'jitterBufferEmittedCount', 'totalDecodeTime', 'decoderImplementation']
    .map(name => [name, video[name]]));
  const pair = stats.find(({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded');
  const kind = id => stats.find(one => one.id === id)?.candidateType;
  report.pair = pair && { local: kind(pair.localCandidateId), remote: kind(pair.remoteCandidateId), rtt_ms: pair.currentRoundTripTime * 1000 };
};
