// === TypeScript ===

// What CommonJS answers where a package is there for `import` alone, such as `sst/aws/realtime`.
const FOR_IMPORT_ALONE = ['ERR_PACKAGE_PATH_NOT_EXPORTED', 'ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE'];

// Compiles a TypeScript file and what it imports by relative path with the project's
// esbuild, and runs the result as a CommonJS module in the file's place. With its
// packages in it, where `packages` is 'bundle', those need not be there for `require`.
function loadWithEsbuild(esbuild, file, packages) {
  const { Module, createRequire } = require('module');
  const folder = path.dirname(file);
  const built = createRequire(file)(esbuild).buildSync({
    entryPoints: [file],
    absWorkingDir: folder,
    bundle: true,
    packages,
    platform: 'node',
    target: 'node' + process.versions.node,
    format: 'cjs',
    sourcemap: 'inline',
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(file).href) },
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  Object.keys(built.metafile.inputs).forEach((input) => noteFile(path.resolve(folder, input)));
  const compiled = new Module(file, null);
  compiled.filename = file;
  compiled.paths = Module._nodeModulePaths(folder);
  if (process.setSourceMapsEnabled) process.setSourceMapsEnabled(true);
  compiled._compile(built.outputFiles[0].text, file);
  return compiled.exports;
}

// The most that the compiler may write.
const MOST_COMPILED = 256 * 1024 * 1024;

// Compiles a file and what it imports of its project with Fanwire's own compiler.
function compileWith({ program, args }, file) {
  const { spawnSync } = require('child_process');
  const { status, stdout, stderr, error } = spawnSync(program, [...args, file], {
    encoding: 'utf8',
    maxBuffer: MOST_COMPILED,
  });
  if (error) throw error;
  if (status !== 0) throw new SyntaxError(stderr.trim());
  return JSON.parse(stdout);
}

// Decorators of the kind that came before the standard's, for what is compiled to use them.
const BABEL_HELPERS = `globalThis.babelHelpers = {
  decorate(decorators, target, key, described) {
    const of = arguments.length < 3 ? target : described === null ? Object.getOwnPropertyDescriptor(target, key) : described;
    const made = decorators.reduceRight((value, decorator) => {
      const got = arguments.length < 3 ? decorator(value) : arguments.length > 3 ? decorator(target, key, value) : decorator(target, key);
      return got || value;
    }, of);
    if (arguments.length > 3 && made) Object.defineProperty(target, key, made);
    return made;
  },
  decorateParam: (index, decorator) => (target, key) => decorator(target, key, index),
  decorateMetadata: (key, value) => (typeof Reflect.metadata === 'function' ? Reflect.metadata(key, value) : () => {}),
};`;

// In the thread of the hooks: what was compiled is where its imports lead, and what it is.
const COMPILED_HOOKS = `
  import { createRequire } from 'node:module';
  import { fileURLToPath, pathToFileURL } from 'node:url';
  let modules, compile;
  export function initialize({ compiled, compiler, source }) {
    modules = new Map(Object.entries(compiled.modules));
    compile = (file) => {
      const made = new Function('require', source)(createRequire(import.meta.url))(compiler, file).modules;
      for (const [name, module] of Object.entries(made)) modules.set(name, module);
    };
  }
  function moduleAt(url) {
    if (!url || !url.startsWith('file:')) return undefined;
    return modules.get(fileURLToPath(url));
  }
  export async function resolve(specifier, context, next) {
    const from = moduleAt(context.parentURL);
    const lead = from && from.imports[specifier];
    if (lead && modules.has(lead)) return { url: pathToFileURL(lead).href, shortCircuit: true };
    try {
      return await next(specifier, context);
    } catch (error) {
      // Bundlers find what Node.js asks to be written out.
      if (!lead) throw error;
      return { url: pathToFileURL(lead).href, shortCircuit: true };
    }
  }
  export async function load(url, context, next) {
    if (/^file:.*\\.([cm]ts|tsx?)$/.test(url) && !moduleAt(url)) compile(fileURLToPath(url));
    const module = moduleAt(url);
    if (!module) return next(url, context);
    if (module.format === 'commonjs') return { format: 'commonjs', shortCircuit: true };
    return { format: 'module', source: module.code, shortCircuit: true };
  }`;

// Runs a TypeScript file, and all that it imports, as Fanwire's own compiler makes it.
function importCompiled(compiler, file, settings) {
  const { Module, register } = require('module');
  if (!register) {
    throw named('Runtime.ImportModuleError', 'Error: ' + file + ' is TypeScript, which needs Node.js 18.19 or later.');
  }
  const compiled = compileWith(compiler, file);
  const modules = new Map(Object.entries(compiled.modules));
  for (const name of [...modules.keys(), ...compiled.configs]) noteFile(name);
  const load = (module, name) => {
    if (!modules.has(name)) {
      for (const [each, made] of Object.entries(compileWith(compiler, name).modules)) modules.set(each, made);
    }
    const { code, format } = modules.get(name);
    if (format === 'module') {
      throw Object.assign(new Error('require() of the ES module ' + name + ' is not supported'), { code: 'ERR_REQUIRE_ESM' });
    }
    module._compile(code, name);
  };
  for (const extension of ['.ts', '.cts', '.mts', '.tsx']) Module._extensions[extension] = load;
  if (process.setSourceMapsEnabled) process.setSourceMapsEnabled(true);
  require('vm').runInThisContext(BABEL_HELPERS);
  const hooks = 'data:text/javascript,' + encodeURIComponent(COMPILED_HOOKS);
  const source = 'const MOST_COMPILED = ' + MOST_COMPILED + '; return ' + compileWith;
  register(hooks, { data: { compiled, compiler, source } });
  return importFile(file, settings);
}

// The host looked for the project's tsx and esbuild before it started this process: with
// tsx the loader is in place already.
async function loadTypeScript(file, extension, asModule, settings) {
  const { tsx, esbuild, compiler } = settings;
  if (!tsx && !esbuild) {
    if (compiler) return importCompiled(compiler, file, settings);
    throw named(
      'Runtime.ImportModuleError',
      'Error: ' + file + ' is TypeScript, and there is nothing here that compiles it.' +
        ' Install tsx or esbuild in the project (npm install --save-dev tsx).',
    );
  }
  try {
    if (!tsx) return loadWithEsbuild(esbuild, file, 'external');
    if (extension === '.mts' || (extension !== '.cts' && asModule)) return await importFile(file, settings);
    return require(file);
  } catch (error) {
    // Deployed, such a handler is a bundle.
    if (!error || !FOR_IMPORT_ALONE.includes(error.code)) throw error;
    if (esbuild) return loadWithEsbuild(esbuild, file, 'bundle');
    if (compiler) return importCompiled(compiler, file, settings);
    throw error;
  }
}

