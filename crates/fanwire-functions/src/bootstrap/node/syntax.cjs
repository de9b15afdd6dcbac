// === Where a syntax error is ===

// How Node.js begins the stack of one in CommonJS: the file and the line, then the
// line's text with a mark below.
const LOCATED = /^(file:\/\/)?\/.*:\d+\n/;
// What esbuild and tsx write.
const NOT_COMPILED = /^(.+):(\d+):(\d+): ERROR: (.*)$/m;
// The file just saved is the first that is looked at, so few are.
const MOST_CHECKED = 20;

function isSyntaxError(error) {
  return error instanceof SyntaxError || (isError(error) && NOT_COMPILED.test(error.message));
}

// The platform's error for one, with a stack that begins with its place.
function syntaxError(error, file) {
  const compiled = NOT_COMPILED.exec(error.message);
  if (compiled) {
    const [, name, line, column, text] = compiled;
    const made = named('Runtime.UserCodeSyntaxError', 'SyntaxError: ' + text);
    const place = path.resolve(path.dirname(file), name);
    noteFile(place);
    made.stack = [place + ':' + line, lineOf(place, line), ' '.repeat(column) + '^', '', made.message].join('\n');
    return made;
  }
  const made = named('Runtime.UserCodeSyntaxError', String(error), error);
  const [, frame = ''] = made.stack.split('\n');
  // Earlier versions of Node.js do not tell it for ES modules.
  if (!LOCATED.test(made.stack) && frame.includes('node:internal/modules/esm/')) {
    made.stack = placeInModules(error.message, file) + made.stack;
  }
  return made;
}

function lineOf(file, line) {
  try {
    return fs.readFileSync(file, 'utf8').split('\n')[line - 1] || '';
  } catch (_) {
    return '';
  }
}

// Has Node.js itself check what was loaded, the latest first, and say where it fails.
function placeInModules(message, file) {
  const { spawnSync } = require('child_process');
  collectModules();
  const changed = (name) => {
    const found = fs.statSync(name, { throwIfNoEntry: false });
    return found === undefined ? 0 : found.mtimeMs;
  };
  const files = [...noted, file].filter((name) => /\.m?js$/.test(name));
  files.sort((a, b) => changed(b) - changed(a));
  for (const name of files.slice(0, MOST_CHECKED)) {
    const { stderr } = spawnSync(process.execPath, ['--check', name], { encoding: 'utf8', timeout: 5000 });
    const end = stderr ? stderr.indexOf('\nSyntaxError: ' + message) : -1;
    if (end > 0) return stderr.slice(0, end) + '\n';
  }
  return '';
}

