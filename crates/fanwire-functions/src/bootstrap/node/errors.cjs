// === Errors ===

function isError(value) {
  return util.types.isNativeError(value) || value instanceof Error;
}

function named(type, message, cause) {
  const error = new Error(message);
  error.name = type;
  if (cause && cause.stack) error.stack = cause.stack;
  return error;
}

// The payload that callers get.
function errorPayload(error) {
  try {
    if (isError(error)) {
      return JSON.stringify({
        errorType: String(error.name),
        errorMessage: String(error.message),
        trace: String(error.stack || '').split('\n'),
      });
    }
    return JSON.stringify({ errorType: typeof error, errorMessage: String(error), trace: [] });
  } catch (_) {
    return JSON.stringify({
      errorType: 'handled',
      errorMessage: 'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
      trace: [],
    });
  }
}

// The same for people: with the error's own properties, such as `code`.
function logError(title, error) {
  let text;
  try {
    text = isError(error)
      ? JSON.stringify(
          Object.assign(
            { errorType: error.name, errorMessage: error.message },
            error,
            { stack: String(error.stack || '').split('\n') },
          ),
        )
      : errorPayload(error);
  } catch (_) {
    text = errorPayload(error);
  }
  record('ERROR', title + ' \t' + text);
}

