
// === TypeScript without its types ===

// What compiles, in the order of preference: what the project has itself, what Fanwire
// has, and Node.js.
const COMPILERS = [projectEsbuild, projectTypeScript, ownCommand, nodeItself];

let compile;

// The code of a file as JavaScript, with a map to where it came from, or none.
function compiled(file, text) {
  if (!/\.[cm]?tsx?$/.test(file)) return text;
  if (compile === undefined) compile = ours(firstCompiler) || null;
  // Much configuration has no types at all, and runs as it is.
  return compile ? ours(() => compile(file, text)) : text;
}

function firstCompiler() {
  for (const make of COMPILERS) {
    const made = make();
    if (made) return made;
  }
  return undefined;
}

function fromProject(name) {
  // Where another tool brought it along.
  for (const host of [null, 'tsx', 'vite', 'wrangler', 'drizzle-kit']) {
    try {
      const require = createRequire(path.join(ROOT, 'sst.config.ts'));
      return host ? createRequire(require.resolve(`${host}/package.json`))(name) : require(name);
    } catch (_) {}
  }
  return undefined;
}

function projectEsbuild() {
  const esbuild = fromProject('esbuild');
  if (!esbuild || typeof esbuild.transformSync !== 'function') return undefined;
  return (file, text) =>
    esbuild.transformSync(text, {
      loader: file.endsWith('x') ? 'tsx' : 'ts',
      format: 'esm',
      target: `node${process.versions.node}`,
      sourcefile: file,
      sourcemap: 'inline',
      tsconfigRaw: {},
      logLevel: 'silent',
    }).code;
}

function projectTypeScript() {
  const ts = fromProject('typescript');
  if (!ts || typeof ts.transpileModule !== 'function') return undefined;
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, inlineSourceMap: true, jsx: ts.JsxEmit.ReactJSX };
  return (file, text) => {
    const built = ts.transpileModule(text, { compilerOptions, fileName: file, reportDiagnostics: true });
    const fault = built.diagnostics.find((each) => each.file && each.category === ts.DiagnosticCategory.Error);
    if (!fault) return built.outputText;
    const { line, character } = fault.file.getLineAndCharacterOfPosition(fault.start);
    throw new Fault(ts.flattenDiagnosticMessageText(fault.messageText, ' '), undefined, { file, line: line + 1, column: character + 1 });
  };
}

function ownCommand() {
  const [program, ...args] = settings.typescript;
  if (!program) return undefined;
  const { spawnSync } = require('child_process');
  // A file comes with what it imports.
  const known = new Map();
  return (file) => {
    if (!known.has(file)) {
      const ran = spawnSync(program, [...args, file], { encoding: 'utf8', maxBuffer: 1 << 28 });
      if (ran.error) throw ran.error;
      if (ran.status !== 0) throw ownFault(ran.stderr.trim());
      Object.entries(JSON.parse(ran.stdout).modules).forEach(([name, { code }]) => known.set(name, code));
    }
    return known.get(file);
  };
}

function ownFault(told) {
  const [, file, line, column, message] = /^(\/.*):(\d+):(\d+): ERROR: (.*)/m.exec(told) || [];
  if (!file) return new Fault(told);
  files.add(file);
  return new Fault(message, undefined, { file, line: Number(line), column: Number(column) + 1 });
}

function nodeItself() {
  const { stripTypeScriptTypes } = require('module');
  if (!stripTypeScriptTypes) return undefined;
  return (file, text) => {
    try {
      return stripTypeScriptTypes(text);
    } catch (error) {
      const [, line, marked = ''] = /^:(\d+)\n([^]*?)\n\n/.exec(error.stack) || [];
      const [mark = ''] = /^ *\^/m.exec(marked) || [];
      throw line ? new Fault(error.message, undefined, { file, line: Number(line), column: mark.length || 1 }) : error;
    }
  };
}

// A fault that a compiler, or Node.js itself, found in the text of a file.
function compileFault(error) {
  const [first] = Array.isArray(error.errors) ? error.errors : [];
  if (first && first.location) {
    const { file, line, column } = first.location;
    return { message: first.text, place: { file: path.resolve(ROOT, file), line, column: column + 1 } };
  }
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
  const isUncompiled = compile === null && /\.[cm]?tsx?$/.test(file);
  const help = isUncompiled ? 'if this is TypeScript: npm install --save-dev tsx, or use Node.js 22.18 or later' : undefined;
  const place = line ? mapped(file, Number(line), mark.indexOf('^') + 1) : { file, line: 1, column: 1 };
  return new Fault(error.message, help, place);
}

const INLINE_MAP = /\/\/# sourceMappingURL=data:application\/json[^,]*;base64,([A-Za-z0-9+/=]+)\s*$/;

function mapOf(code) {
  const found = INLINE_MAP.exec(code);
  return found ? new SourceMap(JSON.parse(Buffer.from(found[1], 'base64').toString())) : null;
}
