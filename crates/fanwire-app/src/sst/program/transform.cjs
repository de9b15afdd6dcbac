
// === TypeScript without its types ===

// What was compiled: a file comes with what it imports.
const compiledFiles = new Map();

// The code of a file as JavaScript, with a map to where it came from, or none. Without a
// compiler it runs as it is: much configuration has no types at all.
function compiled(file, text) {
  const [program, ...args] = settings.typescript;
  if (!program || !/\.[cm]?tsx?$/.test(file)) return text;
  if (!compiledFiles.has(file)) {
    const { spawnSync } = require('child_process');
    const ran = ours(() => spawnSync(program, [...args, file], { encoding: 'utf8', maxBuffer: 1 << 28 }));
    if (ran.error) throw ran.error;
    if (ran.status !== 0) throw compilerFault(ran.stderr.trim());
    const modules = Object.entries(JSON.parse(ran.stdout).modules);
    modules.forEach(([name, { code }]) => compiledFiles.set(name, code));
    // The first is this file, whose path may have had symbolic links.
    compiledFiles.set(file, modules[0][1].code);
  }
  return compiledFiles.get(file);
}

function compilerFault(told) {
  const [, file, line, column, message] = /^(\/.*):(\d+):(\d+): ERROR: (.*)/m.exec(told) || [];
  if (!file) return new Fault(told);
  files.add(file);
  return new Fault(message, undefined, { file, line: Number(line), column: Number(column) + 1 });
}

// A fault that Node.js found as it put modules together.
function linkFault(error) {
  const [, name] = /^The requested module '(.+)' does not provide an export/.exec(error.message) || [];
  if (!name) return undefined;
  const importer = [...sources.keys()].find((file) => importPlace(name, file).found);
  return { message: error.message, place: importer ? importPlace(name, importer) : null };
}

// Node.js does not tell where in a module a syntax error is, but for when it only checks.
function locatedSyntaxError(error, file, code) {
  const { spawnSync } = require('child_process');
  const args = ['--no-warnings', '--input-type=module', '--check', '-'];
  const { stderr } = ours(() => spawnSync(process.execPath, args, { input: code, encoding: 'utf8' }));
  const [, line, mark = ''] = /^\[stdin\]:(\d+)\n.*\n(.*)\n/.exec(stderr) || [];
  const place = line ? mapped(file, Number(line), mark.indexOf('^') + 1) : { file, line: 1, column: 1 };
  return new Fault(error.message, undefined, place);
}

const INLINE_MAP = /\/\/# sourceMappingURL=data:application\/json[^,]*;base64,([A-Za-z0-9+/=]+)\s*$/;

function mapOf(code) {
  const found = INLINE_MAP.exec(code);
  return found ? new SourceMap(JSON.parse(Buffer.from(found[1], 'base64').toString())) : null;
}
