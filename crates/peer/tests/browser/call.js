// A caller in a browser, for tests: joins by rtcsig/1, sends its devices' sound and pictures and a drawn screen, shows and
// hears what comes back. call.mjs calls `call`; everything it learns is in `report`.
const TONE_HZ = 1000;

/** What a browser sends: sound and picture of its (fake) devices, and a canvas for a screen. */
const ownMedia = async () => {
  const devices = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360, frameRate: 30 } });
  const canvas = Object.assign(document.createElement('canvas'), { width: 800, height: 600 });
  const pen = canvas.getContext('2d');
  let n = 0;
  setInterval(() => {
    pen.fillStyle = `hsl(${n * 7 % 360} 80% 50%)`;
    pen.fillRect(0, 0, 800, 600);
    pen.fillStyle = 'black';
    pen.fillText(`picture ${++n}`, 40, 40);
  }, 100);
  return {
    sound: devices.getAudioTracks()[0], camera: devices.getVideoTracks()[0],
    screen: canvas.captureStream(10).getVideoTracks()[0],
  };
};

/** Level of the tone and of what lies beside it, in dB. */
const listen = (context, stream) => {
  const analyser = context.createAnalyser();
  analyser.fftSize = 4096;
  analyser.smoothingTimeConstant = 0;
  context.createMediaStreamSource(stream).connect(analyser);
  const bins = new Float32Array(analyser.frequencyBinCount);
  const bin = hz => Math.round(hz * analyser.fftSize / context.sampleRate);
  return () => {
    analyser.getFloatFrequencyData(bins);
    const most = (from, to) => Math.max(...bins.slice(bin(from), bin(to)));
    return { tone: most(TONE_HZ - 40, TONE_HZ + 40), beside: Math.max(most(200, TONE_HZ - 300), most(TONE_HZ + 300, 6000)) };
  };
};

/** Counts the pictures of one track as they are shown. */
const count = (name, video) => {
  const seen = report[name] = { pictures: 0, stamped: 0 };
  const shown = (_, { width, height }) => {
    seen.pictures += 1;
    seen.size = [width, height];
    if (strip.read(video) !== null) seen.stamped += 1;
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
};

/** Everything; throws with a reason. `first` says who is in the room first: 'browser' waits to be offered a call. */
globalThis.call = async ({ server, room, token, first, seconds }) => {
  const own = await ownMedia();
  step('own media');
  const context = new AudioContext();
  const seat = await join({ server, room, token, role: 'caller' });
  step('joined');
  // The newcomer offers: whoever is there first learns from the offer who it is.
  const isCaller = ({ role }) => role === 'caller';
  const link = { other: null, conn: hex(8), early: [], described: false };
  if (first === 'other')
    link.other = (await until('another caller', 30, () => [...seat.peers.values()].find(isCaller))).id;
  const say = (kind, data) => seat.send({ type: 'signal', to: link.other, conn: link.conn, kind, data });
  const peer = new RTCPeerConnection({ iceServers: seat.ice });
  const channel = (label, id) => Object.assign(peer.createDataChannel(label, { negotiated: true, id }), { binaryType: 'arraybuffer' });
  const event = channel('event', 2), file = channel('file', 3);
  const told = [];
  event.onmessage = ({ data }) => told.push(JSON.parse(typeof data === 'string' ? data : new TextDecoder().decode(data)));
  let bytes = 0;
  file.onmessage = ({ data }) => { bytes += data.byteLength; file.send(data); };
  let heard = null;
  peer.ontrack = ({ track, transceiver, receiver }) => {
    receiver.jitterBufferTarget = 0;
    const stream = new MediaStream([track]);
    if (track.kind === 'audio') {
      // Without an element that plays it, Chromium gives a remote stream's sound to nobody.
      document.querySelector('#sound').srcObject = stream;
      heard = listen(context, stream);
    } else {
      const name = peer.getTransceivers().filter(one => one.receiver.track.kind === 'video').indexOf(transceiver) ? 'screen' : 'camera';
      const video = document.querySelector(`#${name}`);
      video.srcObject = stream;
      count(name, video);
      video.play().catch(error => report.errors.push(`play: ${error}`));
    }
  };
  peer.onicecandidate = ({ candidate }) => candidate ? say('candidate', candidate.toJSON()) : say('candidates_end');
  peer.onconnectionstatechange = () => step(`connection ${peer.connectionState}`);
  const describe = async (type, { sdp }) => {
    await peer.setRemoteDescription({ type, sdp });
    link.described = true;
    for (const candidate of link.early.splice(0)) await peer.addIceCandidate(candidate);
  };
  seat.onsignal = async ({ from, conn, kind, data }) => {
    if (kind === 'offer' && first === 'browser' && !link.described) {
      Object.assign(link, { other: from, conn });
      await describe('offer', data);
      const tracks = [own.sound, own.camera, own.screen];
      for (const [n, transceiver] of peer.getTransceivers().entries()) {
        transceiver.direction = 'sendrecv';
        await transceiver.sender.replaceTrack(tracks[n]);
      }
      await peer.setLocalDescription();
      say('answer', { sdp: peer.localDescription.sdp });
      step('answered');
    } else if (from !== link.other || conn !== link.conn) {
      return;
    } else if (kind === 'answer') {
      await describe('answer', data);
      step('answer taken');
    } else if (kind === 'candidate') {
      link.described ? await peer.addIceCandidate(data) : link.early.push(data);
    } else if (kind === 'bye') {
      report.bye = true;
    }
  };
  if (first === 'other') {
    for (const track of [own.sound, own.camera, own.screen]) peer.addTransceiver(track, { direction: 'sendrecv' });
    await peer.setLocalDescription();
    say('offer', { sdp: peer.localDescription.sdp });
    step('offered');
  }
  const early = seat.early.splice(0);
  for (const signal of early) await seat.onsignal(signal);
  await until('connection and channels', 30, () => peer.connectionState === 'connected'
    && [event, file].every(one => one.readyState === 'open'));
  report.directions = peer.getTransceivers().map(({ mid, currentDirection }) => [mid, currentDirection]);
  step('channels open');
  event.send(new TextEncoder().encode(JSON.stringify({ type: 'hello', name: 'Browser', version: '1' })));
  await until('the other one\'s hello', 10, () => told.some(({ type, name }) => type === 'hello' && name === 'Test'));
  await until('a picture of each', 15, () => report.camera?.pictures > 0 && report.screen?.pictures > 0);
  step('first pictures');
  await until('sound', 15, () => heard);
  // The other end sends back what it hears: now that is a tone.
  const tone = new OscillatorNode(context, { frequency: TONE_HZ }), out = context.createMediaStreamDestination();
  tone.connect(new GainNode(context, { gain: 0.5 })).connect(out);
  tone.start();
  await peer.getSenders().find(({ track }) => track?.kind === 'audio').replaceTrack(out.stream.getAudioTracks()[0]);
  report.level = await until('the tone', 15, () => {
    const level = heard();
    return level.tone > -50 && level.tone > level.beside + 20 ? level : null;
  });
  step('the tone comes back');
  await later(seconds * 1000);
  const stats = [...(await peer.getStats()).values()];
  const of = (type, kind) => stats.filter(one => one.type === type && one.kind === kind);
  const pick = (from, names) => from.map(one => Object.fromEntries(names.map(name => [name, one[name]])));
  report.inbound = pick([...of('inbound-rtp', 'audio'), ...of('inbound-rtp', 'video')],
    ['kind', 'mid', 'packetsReceived', 'packetsLost', 'framesDecoded', 'frameWidth', 'nackCount', 'pliCount', 'concealedSamples', 'totalSamplesReceived', 'jitterBufferDelay']);
  report.outbound = pick([...of('outbound-rtp', 'audio'), ...of('outbound-rtp', 'video')],
    ['kind', 'mid', 'packetsSent', 'framesEncoded', 'frameWidth', 'nackCount', 'pliCount', 'encoderImplementation', 'targetBitrate']);
  report.file_bytes = bytes;
  event.send(new TextEncoder().encode(JSON.stringify({ type: 'mute_request' })));
  await until('the other one\'s end', 10, () => report.bye || peer.connectionState !== 'connected');
  peer.close();
};
