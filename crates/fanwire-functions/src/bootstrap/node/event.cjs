// === One event ===

let handler;
let streaming = false;
let functionArn;
const environment = {};

// Called when the event loop has nothing left to do while an event is in progress.
let whenIdle = null;
// The event in progress; null while there is none.
let current = null;

// What JSON.stringify makes of a result; throws what AWS's runtime would.
function serialise(result) {
  let text;
  try {
    text = JSON.stringify(result === undefined ? null : result);
  } catch (_) {
    throw new Error('Unable to stringify response body');
  }
  return text === undefined ? 'null' : text;
}

class Invocation {
  respond(result) {
    if (current !== this) return;
    let text;
    try {
      text = serialise(result);
    } catch (error) {
      this.reject(error);
      return;
    }
    this.finish();
    send(RESPONSE, text);
  }

  reject(error) {
    if (current !== this) return;
    logError('Invoke Error', error);
    const payload = errorPayload(error);
    this.finish();
    send(ERROR, payload);
  }

  finish() {
    current = null;
    whenIdle = null;
    tellFiles();
    // One turn of the event loop, so that what the handler left behind (a closing
    // socket, a resolved promise) gets its chance before the next freeze.
    setImmediate(next);
  }
}

class Context {
  constructor(invocation, id, deadline) {
    this.callbackWaitsForEmptyEventLoop = true;
    this.functionVersion = environment.version;
    this.functionName = environment.name;
    this.memoryLimitInMB = environment.memory;
    this.logGroupName = environment.logGroup;
    this.logStreamName = environment.logStream;
    this.clientContext = undefined;
    this.identity = undefined;
    this.invokedFunctionArn = functionArn;
    this.awsRequestId = id;
    this.tenantId = undefined;
    this.getRemainingTimeInMillis = () => deadline - Date.now();
    // The three of the first Node.js runtime: they never wait for the event loop.
    this.done = (error, result) => {
      if (error === undefined || error === null) invocation.respond(result);
      else invocation.reject(error);
    };
    this.succeed = (result) => invocation.respond(result);
    this.fail = (error) => {
      invocation.reject(error === undefined || error === null ? 'handled' : error);
    };
  }
}

// A process that is debugged must not stand still: debuggers talk to its event loop.
let inspected = false;
function next() {
  if (inspected) whenFrame(takeEvent);
  else takeEvent();
}

function takeEvent() {
  readFrame();
  if (frameType !== EVENT) {
    leave();
  }
  const id = inbox.latin1Slice(frameStart, frameStart + REQUEST_ID_LENGTH);
  let at = frameStart + REQUEST_ID_LENGTH;
  const deadline = inbox.readDoubleBE(at);
  at += 8;
  const traceLength = inbox.readUInt16BE(at);
  at += 2;
  const trace = inbox.latin1Slice(at, at + traceLength);
  at += traceLength;
  const clientLength = inbox.readUInt32BE(at);
  at += 4;
  const clientContext = clientLength === 0 ? '' : inbox.utf8Slice(at, at + clientLength);
  at += clientLength;
  const body = inbox.utf8Slice(at, frameEnd);
  if (inbox.length > SCRATCH && inboxStart === inboxEnd) {
    // Do not keep the memory of one large event for ever.
    inbox = Buffer.allocUnsafeSlow(SCRATCH);
    inboxStart = inboxEnd = 0;
  }

  requestId = id;
  process.env._X_AMZN_TRACE_ID = trace;
  const invocation = new Invocation();
  current = invocation;
  const context = new Context(invocation, id, deadline);
  let event;
  try {
    event = JSON.parse(body);
    if (clientContext !== '') context.clientContext = JSON.parse(clientContext);
  } catch (error) {
    invocation.reject(error);
    return;
  }
  if (streaming) stream(invocation, event, context);
  else call(invocation, event, context);
}

function call(invocation, event, context) {
  // A handler that neither returns a promise nor calls back ends with null when the
  // event loop is empty.
  whenIdle = () => invocation.respond(null);
  const callback = (error, result) => {
    if (current !== invocation) return;
    if (error !== undefined && error !== null) {
      invocation.reject(error);
    } else if (context.callbackWaitsForEmptyEventLoop) {
      whenIdle = () => invocation.respond(result);
    } else {
      invocation.respond(result);
    }
  };
  try {
    const result = handler(event, context, callback);
    if (result && typeof result.then === 'function') result.then(context.succeed, context.fail);
  } catch (error) {
    invocation.reject(error);
  }
}

