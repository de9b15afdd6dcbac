// === Life ===

// An error that no handler catches ends the process, after the caller was told.
function die(status, title, error) {
  logError(title, error);
  tellFiles();
  send(handler === undefined ? INIT_ERROR : FATAL_ERROR, errorPayload(error));
  process.exit(status);
}

function listen() {
  process.on('beforeExit', () => {
    const wake = whenIdle;
    whenIdle = null;
    if (wake) wake();
  });
  process.on('uncaughtException', (error) => {
    die(EXIT_UNCAUGHT_EXCEPTION, 'Uncaught Exception', error);
  });
  process.on('unhandledRejection', (reason, promise) => {
    const error = named('Runtime.UnhandledPromiseRejection', String(reason));
    error.reason = reason;
    error.promise = promise;
    die(EXIT_UNHANDLED_REJECTION, 'Unhandled Promise Rejection', error);
  });
}

async function main() {
  readFrame();
  if (frameType !== CONFIGURE) leave();
  const settings = JSON.parse(inbox.utf8Slice(frameStart, frameEnd));
  functionArn = settings.arn;
  inspected = Boolean(settings.inspect);
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    throw named(
      'Runtime.Unsupported',
      'Node.js ' + process.versions.node + ' at ' + process.execPath + ' is too old: Fanwire runs handlers on Node.js ' +
        OLDEST_NODE + ' or later. Put a later `node` first on the PATH.',
    );
  }
  environment.name = process.env.AWS_LAMBDA_FUNCTION_NAME;
  environment.version = process.env.AWS_LAMBDA_FUNCTION_VERSION;
  environment.memory = process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE;
  environment.logGroup = process.env.AWS_LAMBDA_LOG_GROUP_NAME;
  environment.logStream = process.env.AWS_LAMBDA_LOG_STREAM_NAME;
  patchConsole();
  patchStream('stdout', STDOUT);
  patchStream('stderr', STDERR);
  installGlobal();
  if (settings.sources) installSources();
  if (settings.redirect) installRedirect(settings.redirect);
  listen();
  const found = await loadHandler(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER, settings);
  streaming = found[HANDLER_STREAMING] === 'response';
  handler = found;
  tellFiles();
  send(READY, '');
  next();
}

main().catch((error) => {
  logError('Uncaught Exception', error);
  tellFiles();
  send(INIT_ERROR, errorPayload(error));
  process.exit(1);
});
