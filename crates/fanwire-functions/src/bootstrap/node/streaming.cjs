// === Response streaming, collected ===

const HANDLER_STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HTTP_INTEGRATION = 'application/vnd.awslambda.http-integration-response';

function responseStream() {
  const { Writable } = require('stream');
  const chunks = [];
  const keep = (chunk) => {
    chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk));
  };
  const prelude = () => {
    if (collected._onBeforeFirstWrite) collected._onBeforeFirstWrite(keep);
    collected._onBeforeFirstWrite = undefined;
  };
  const collected = new Writable({
    write(chunk, _, done) {
      prelude();
      keep(chunk);
      done();
    },
    final(done) {
      prelude();
      done();
    },
  });
  collected.setContentType = () => {};
  const finished = new Promise((resolve, reject) => {
    collected.once('finish', () => resolve(Buffer.concat(chunks)));
    collected.once('error', reject);
  });
  // An error is told through the handler's own promise too.
  finished.catch(() => {});
  return { collected, finished };
}

function stream(invocation, event, context) {
  const { collected, finished } = responseStream();
  const fail = (error) => invocation.reject(error);
  const complete = (body) => {
    if (current !== invocation) return;
    invocation.finish();
    sendBytes(RESPONSE, body);
  };
  // With nothing left to run, a stream that nobody ended is over, and so is a handler
  // that waits for what cannot come.
  whenIdle = () => {
    collected.end();
    setImmediate(() => finished.then(complete, fail));
  };
  const run = async () => {
    await handler(event, collected, context);
    return finished;
  };
  run().then(complete, fail);
}

function installGlobal() {
  globalThis.awslambda = {
    streamifyResponse(streamed) {
      streamed[HANDLER_STREAMING] = 'response';
      return streamed;
    },
    HttpResponseStream: {
      from(underlying, prelude) {
        underlying.setContentType(HTTP_INTEGRATION);
        underlying._onBeforeFirstWrite = (write) => {
          write(JSON.stringify(prelude));
          write(new Uint8Array(8));
        };
        return underlying;
      },
    },
  };
}

