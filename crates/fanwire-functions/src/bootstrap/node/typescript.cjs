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

// Decorators of the kind that came before the standard's, and `using` declarations, for
// what is compiled to use them.
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
  usingCtx() {
    const stack = [];
    const none = {};
    const failed = (error, before) => {
      if (before === none) return error;
      const both = new Error('An error was suppressed during disposal.');
      return Object.assign(both, { name: 'SuppressedError', error, suppressed: before });
    };
    const using = (isAsync, value) => {
      if (value === null || value === undefined) {
        if (isAsync) stack.push({ isAsync });
        return value;
      }
      let dispose = isAsync ? value[Symbol.asyncDispose || Symbol.for('Symbol.asyncDispose')] : undefined;
      if (dispose === undefined) dispose = value[Symbol.dispose || Symbol.for('Symbol.dispose')];
      if (typeof dispose !== 'function') throw new TypeError('Object is not disposable.');
      stack.push({ isAsync, value, dispose });
      return value;
    };
    return {
      e: none,
      u: (value) => using(false, value),
      a: (value) => using(true, value),
      d() {
        let error = this.e;
        const next = () => {
          for (let each; (each = stack.pop()) !== undefined; ) {
            try {
              const done = each.dispose && each.dispose.call(each.value);
              if (each.isAsync) {
                return Promise.resolve(done).then(next, (thrown) => {
                  error = failed(thrown, error);
                  return next();
                });
              }
            } catch (thrown) {
              error = failed(thrown, error);
            }
          }
          if (error !== none) throw error;
        };
        return next();
      },
    };
  },
};`;

// What the project's tools cannot load because they make CommonJS of it, and a bundle of
// ES modules, as SST makes, can.
function wantsModules(error) {
  return isError(error) && (FOR_IMPORT_ALONE.includes(error.code) || /Top-level await is currently not supported/.test(error.message));
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
    if (!wantsModules(error)) throw error;
    if (compiler) return importCompiled(compiler, file, settings);
    if (!esbuild) throw error;
    return loadWithEsbuild(esbuild, file, 'bundle');
  }
}

