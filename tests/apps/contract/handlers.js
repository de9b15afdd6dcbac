'use strict';

/** Prints an event so that the test sees it as the function did. */
const show = (marker, value) => console.log(`${marker} ${JSON.stringify(value)}`);

/** Waits until the test opens the door that `url` names. */
const waitAt = async (url) => (await fetch(url)).text();

/** What `$connect` answers is chosen by the query string of the handshake. */
exports.connect = async (event) => {
  show('CONNECT', event);
  const query = event.queryStringParameters ?? {};
  if (query.gate) await waitAt(query.gate);
  if (query.post) await require('./post').toSelf(event);
  switch (query.do) {
    case 'status':
      return { statusCode: Number(query.status), body: query.body };
    case 'text-status':
      return { statusCode: query.status };
    case 'protocol':
      return { statusCode: 200, headers: { 'Sec-WebSocket-Protocol': query.protocol } };
    case 'throw':
      throw new Error('refused by a failure');
    case 'null':
      return null;
    case 'text':
      return 'not an object';
    case 'no-status':
      return { body: 'no status' };
    case 'extra':
      return { statusCode: 200, Data: 'unknown key' };
    case 'never':
      return new Promise(() => setInterval(() => {}, 1000));
    case 'exit':
      return process.exit(3);
    default:
      return { statusCode: 200 };
  }
};

/** The result is ignored, so it is a failure, to show just that. */
exports.disconnect = async (event) => {
  show('DISCONNECT', event);
  throw new Error('nobody hears this');
};

/** Answers which route ran and what it got. */
exports.echo = async ({ requestContext, body }) => ({
  statusCode: 200,
  body: JSON.stringify({
    route: requestContext.routeKey,
    body,
    connectionId: requestContext.connectionId,
    requestId: requestContext.requestId,
  }),
});

/** Answers the whole event. */
exports.event = async (event) => ({ statusCode: 200, body: JSON.stringify(event) });

/** Does what the message says, to the letter. */
exports.result = async (event) => {
  const message = JSON.parse(event.body);
  if ('return' in message) return message.return;
  switch (message.do) {
    case 'nothing':
      return undefined;
    case 'throw':
      throw new Error('boom');
    case 'reject-text':
      return Promise.reject('just text');
    case 'exit':
      return process.exit(1);
    case 'never':
      return new Promise(() => setInterval(() => {}, 1000));
    default:
      throw new Error(`unknown: ${event.body}`);
  }
};

/** Answers once the test lets it through, with the label of the message. */
exports.gate = async ({ body }) => {
  const { url, label } = JSON.parse(body);
  if (url) await waitAt(url);
  return { statusCode: 200, body: label };
};

/** What a function can learn about itself. */
exports.context = async (event, context) => {
  const remaining = context.getRemainingTimeInMillis();
  return {
    event,
    env: process.env,
    cwd: process.cwd(),
    context: { ...context, remaining, functions: Object.keys(context).filter((key) => typeof context[key] === 'function').sort() },
  };
};

let calls = 0;

/** How many events this process has had, and which process it is. */
exports.count = async (event = {}) => {
  calls += 1;
  if (event.gate) await waitAt(event.gate);
  return { calls, pid: process.pid };
};

/** Every way to fail. */
exports.failure = async ({ how }) => {
  class OrderError extends Error {
    name = 'OrderError';
  }
  console.error(`about to fail: ${how}`);
  switch (how) {
    case 'throw':
      throw new OrderError('no such order');
    case 'text':
      throw 'just text';
    case 'exit':
      return process.exit(7);
    case 'signal':
      return process.kill(process.pid, 'SIGKILL');
    case 'never':
      return new Promise(() => setInterval(() => {}, 1000));
    case 'spin':
      for (;;);
    case 'uncaught':
      setTimeout(() => {
        throw new Error('nobody catches this');
      });
      return new Promise(() => setInterval(() => {}, 1000));
    case 'unhandled':
      Promise.reject(new Error('nobody handles this'));
      return new Promise(() => setInterval(() => {}, 1000));
    case 'circular': {
      const self = {};
      self.self = self;
      return self;
    }
    default:
      return 'fine';
  }
};

/** A result of as many bytes as asked for. */
exports.large = async ({ bytes }) => 'x'.repeat(bytes - 2);
