// === Logs ===

// The id of the event in progress, or of the last one; undefined during init.
let requestId;

function record(level, message) {
  send(RECORD, new Date().toISOString() + '\t' + requestId + '\t' + level + '\t' + message);
}

function patchConsole() {
  const levels = {
    log: 'INFO',
    info: 'INFO',
    debug: 'DEBUG',
    warn: 'WARN',
    error: 'ERROR',
    fatal: 'FATAL',
  };
  for (const name of Object.keys(levels)) {
    const level = levels[name];
    console[name] = (...args) => record(level, util.format(...args));
  }
  console.trace = function trace(...args) {
    const at = { name: 'Trace', message: util.format(...args) };
    Error.captureStackTrace(at, trace);
    record('TRACE', at.stack);
  };
}

// `process.stdout` and `process.stderr` are made at first use, which costs a good
// millisecond: patch them then, not before.
function patchStream(name, type) {
  const original = Object.getOwnPropertyDescriptor(process, name);
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get() {
      const stream = original.get.call(process);
      stream.write = (chunk, encoding, done) => {
        if (typeof encoding === 'function') {
          done = encoding;
          encoding = undefined;
        }
        if (typeof chunk === 'string' && (!encoding || /^utf-?8$/i.test(encoding))) {
          send(type, chunk);
        } else {
          sendBytes(type, typeof chunk === 'string' ? Buffer.from(chunk, encoding) : Buffer.from(chunk));
        }
        if (done) process.nextTick(done);
        return true;
      };
      Object.defineProperty(process, name, {
        configurable: true,
        enumerable: true,
        value: stream,
      });
      return stream;
    },
  });
}

