// === The channel ===

const SCRATCH = 64 * 1024;
let inbox = Buffer.allocUnsafeSlow(SCRATCH);
let inboxStart = 0;
let inboxEnd = 0;
const outbox = Buffer.allocUnsafeSlow(SCRATCH);

const pause = new Int32Array(new SharedArrayBuffer(4));

// User code that opened fd 3 may have made it non-blocking: then wait, do not spin.
function isRetry(error) {
  if (error.code === 'EINTR') return true;
  if (error.code !== 'EAGAIN') return false;
  Atomics.wait(pause, 0, 0, 1);
  return true;
}

function writeAll(buffer, length) {
  let written = 0;
  while (written < length) {
    try {
      written += fs.writeSync(CHANNEL, buffer, written, length - written);
    } catch (error) {
      if (isRetry(error)) continue;
      leave(); // The host is gone: so are we.
    }
  }
}

function send(type, text) {
  // A UTF-16 unit takes at most three bytes of UTF-8.
  if (text.length * 3 + HEADER <= SCRATCH) {
    const length = outbox.utf8Write(text, HEADER);
    outbox.writeUInt32BE(length + 1, 0);
    outbox[4] = type;
    writeAll(outbox, length + HEADER);
  } else {
    sendBytes(type, Buffer.from(text));
  }
}

function sendBytes(type, bytes) {
  outbox.writeUInt32BE(bytes.length + 1, 0);
  outbox[4] = type;
  writeAll(outbox, HEADER);
  writeAll(bytes, bytes.length);
}

// Makes room for `count` bytes from inboxStart on.
function makeRoom(count) {
  if (inboxStart === inboxEnd) {
    inboxStart = inboxEnd = 0;
  }
  if (inboxStart + count > inbox.length) {
    const target = count > inbox.length ? Buffer.allocUnsafeSlow(count) : inbox;
    inbox.copy(target, 0, inboxStart, inboxEnd);
    inboxEnd -= inboxStart;
    inboxStart = 0;
    inbox = target;
  }
}

// Makes `count` bytes available from inboxStart on, blocking until they are there.
function need(count) {
  if (inboxEnd - inboxStart >= count) return;
  makeRoom(count);
  while (inboxEnd - inboxStart < count) {
    let got = 0;
    try {
      got = fs.readSync(CHANNEL, inbox, inboxEnd, inbox.length - inboxEnd, null);
    } catch (error) {
      if (isRetry(error)) continue;
    }
    if (got === 0) leave(); // End of file: the host is gone.
    inboxEnd += got;
  }
}

// The type and the bounds of the next frame's payload, which stays in the inbox until
// the next call.
let frameType = 0;
let frameStart = 0;
let frameEnd = 0;
function readFrame() {
  need(HEADER);
  const length = inbox.readUInt32BE(inboxStart) - 1;
  need(HEADER + length);
  frameType = inbox[inboxStart + 4];
  frameStart = inboxStart + HEADER;
  frameEnd = frameStart + length;
  inboxStart = frameEnd;
}

// Calls `done` when the next frame is whole, and lets the event loop run until then.
function whenFrame(done) {
  const have = inboxEnd - inboxStart;
  const count = have < HEADER ? HEADER : inbox.readUInt32BE(inboxStart) + HEADER - 1;
  if (have >= count && have > HEADER) {
    done();
    return;
  }
  makeRoom(count);
  fs.read(CHANNEL, inbox, inboxEnd, inbox.length - inboxEnd, null, (error, got) => {
    if (error && !isRetry(error)) leave();
    if (!error && got === 0) leave();
    inboxEnd += error ? 0 : got;
    whenFrame(done);
  });
}

const reallyExit = process.reallyExit.bind(process);
function leave() {
  reallyExit(0);
}

