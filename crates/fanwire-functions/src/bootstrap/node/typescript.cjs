// === TypeScript ===

function canStripTypes() {
  return Boolean(process.features && process.features.typescript);
}

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

// Has every TypeScript file that is required compiled by the project's own TypeScript,
// with the options of its tsconfig.json, as a CommonJS module. Types are not checked.
// Says false for a version that compiles no single files.
function installTypeScript(folder, file) {
  const { Module, createRequire } = require('module');
  const ts = createRequire(file)(folder);
  if (typeof ts.transpileModule !== 'function') return false;
  const compilerOptions = compilerOptionsFor(ts, path.dirname(file));
  const compile = (module, name) => {
    const source = fs.readFileSync(name, 'utf8');
    const built = ts.transpileModule(source, { compilerOptions, fileName: name, reportDiagnostics: true });
    // Those without a file are about options, which do not keep it from being compiled.
    const isFault = (each) => each.file && each.category === ts.DiagnosticCategory.Error;
    const fault = built.diagnostics.find(isFault);
    if (fault) {
      const { line, character } = fault.file.getLineAndCharacterOfPosition(fault.start);
      const text = ts.flattenDiagnosticMessageText(fault.messageText, ' ');
      noteFile(name);
      throw new SyntaxError(name + ':' + (line + 1) + ':' + character + ': ERROR: ' + text);
    }
    module._compile(built.outputText, name);
  };
  for (const extension of ['.ts', '.cts', '.mts', '.tsx']) Module._extensions[extension] = compile;
  // TypeScript lets `./text.js` mean `./text.ts`, before it is compiled.
  const resolve = Module._resolveFilename;
  Module._resolveFilename = function resolveTypeScript(request, ...rest) {
    try {
      return resolve.call(this, request, ...rest);
    } catch (error) {
      const written = /^(\.{1,2}\/.*\.[cm]?)js$/.exec(request);
      if (!written) throw error;
      return resolve.call(this, written[1] + 'ts', ...rest);
    }
  };
  if (process.setSourceMapsEnabled) process.setSourceMapsEnabled(true);
  return true;
}

function compilerOptionsFor(ts, folder) {
  const found = ts.findConfigFile(folder, ts.sys.fileExists);
  const { config = {} } = found ? ts.readConfigFile(found, ts.sys.readFile) : {};
  // Which files the project has is of no interest, and takes long to find out.
  const host = Object.assign({}, ts.sys, { readDirectory: () => [] });
  const { options } = ts.parseJsonConfigFileContent(config, host, found ? path.dirname(found) : folder);
  return Object.assign(options, {
    module: ts.ModuleKind.CommonJS,
    moduleResolution: undefined,
    target: ts.ScriptTarget.ES2022,
    esModuleInterop: true,
    verbatimModuleSyntax: false,
    sourceMap: false,
    inlineSourceMap: true,
  });
}

// The host looked for the project's tsx, esbuild and TypeScript before it started this
// process: with tsx the loader is in place already.
async function loadTypeScript(file, extension, asModule, settings) {
  try {
    return await loadUnbundled(file, extension, asModule, settings);
  } catch (error) {
    // Deployed, such a handler is a bundle.
    if (!settings.esbuild || !error || !FOR_IMPORT_ALONE.includes(error.code)) throw error;
    return loadWithEsbuild(settings.esbuild, file, 'bundle');
  }
}

async function loadUnbundled(file, extension, asModule, settings) {
  if (settings.tsx || canStripTypes()) {
    if (extension === '.mts' || (extension !== '.cts' && asModule)) return importFile(file, settings);
    return require(file);
  }
  if (settings.esbuild) return loadWithEsbuild(settings.esbuild, file, 'external');
  if (settings.typescript && installTypeScript(settings.typescript, file)) return require(file);
  throw named(
    'Runtime.ImportModuleError',
    'Error: ' + file + ' is TypeScript, which Node.js ' + process.versions.node +
      ' does not run by itself. Install tsx, esbuild or TypeScript 5 in the project (npm install --save-dev tsx),' +
      ' or use Node.js 22.18 or later.',
  );
}

