// === TypeScript compiled by Fanwire ===

// What the hooks do. Its text goes to a thread of Node.js's, too, so it uses nothing
// from outside but its parameters.
function compiledHooks(require, compiler, isModuleFolder, note) {
  const fs = require('fs');
  const path = require('path');
  const { Module, createRequire, registerHooks } = require('module');
  const { spawnSync } = require('child_process');
  const { fileURLToPath, pathToFileURL } = require('url');

  const TYPESCRIPT = /\.(?:[cm]?ts|tsx)$/;
  const JAVASCRIPT = /\.(?:[cm]?js|jsx|json)$/;
  const WHOLE = '*';
  const MARK = 'fanwire';
  // The most that the compiler may write, in bytes.
  const MOST_COMPILED = 256 * 1024 * 1024;
  // What Node.js answers where a bundler would still find something.
  const NOT_FOUND = [
    'ERR_MODULE_NOT_FOUND',
    'ERR_UNSUPPORTED_DIR_IMPORT',
    'ERR_PACKAGE_PATH_NOT_EXPORTED',
    'ERR_UNSUPPORTED_RESOLVE_REQUEST',
  ];

  const isOurs = (file) => TYPESCRIPT.test(file) || (JAVASCRIPT.test(file) && !file.includes('/node_modules/'));
  const fileOf = (url) => (url && url.startsWith('file:') && !url.includes('?') ? fileURLToPath(url) : '');

  // Everything that was compiled, by file.
  const known = new Map();

  // A file as JavaScript. One answer holds what the file leads to, as well.
  function compiled(file) {
    if (!known.has(file)) {
      const { error, status, stdout, stderr } = spawnSync(compiler.program, [...compiler.args, file], {
        encoding: 'utf8',
        maxBuffer: MOST_COMPILED,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      if (error) throw error;
      note(file);
      if (status !== 0) throw new SyntaxError(stderr.trim());
      const { modules, configs } = JSON.parse(stdout);
      configs.forEach(note);
      for (const [name, module] of Object.entries(modules)) known.set(name, module);
      // The path may have been one with symbolic links.
      known.set(file, known.get(file) || Object.values(modules)[0]);
    }
    return known.get(file);
  }

  // --- Where imports lead ---

  // Goes on with what is there now, or will be: hooks of a thread answer promises.
  function after(run, done, failed) {
    let value;
    try {
      value = run();
    } catch (error) {
      return failed(error);
    }
    return value && typeof value.then === 'function' ? value.then(done, failed) : done(value);
  }

  function resolve(specifier, context, next) {
    const parent = fileOf(context.parentURL);
    const isRequired = (context.conditions || []).includes('require');
    if (isRequired || !known.has(parent)) {
      return after(() => next(specifier, context), noted, (error) => { throw error; });
    }
    const { imports, names, inModulePackage } = compiled(parent);
    const lead = imports[specifier];
    const done = (resolved) => linked(noted(resolved), names[specifier], inModulePackage);
    if (lead && isOurs(lead)) return done(at(lead));
    return after(
      () => next(specifier, context),
      done,
      (error) => {
        const found = NOT_FOUND.includes(error.code) && (lead || findLikeBundlers(specifier, parent));
        if (!found) throw error;
        return done(at(found));
      },
    );
  }

  const at = (file) => ({ url: pathToFileURL(file).href, format: formatOf(file), shortCircuit: true });

  function formatOf(file) {
    if (isOurs(file)) return compiled(file).format;
    if (/\.[cm]js$/.test(file)) return file.endsWith('.mjs') ? 'module' : 'commonjs';
    return isModuleFolder(path.dirname(file)) ? 'module' : 'commonjs';
  }

  function noted(resolved) {
    const file = fileOf(resolved.url);
    if (file) note(file);
    return resolved;
  }

  function findLikeBundlers(specifier, parent) {
    const from = createRequire(parent);
    for (const request of [specifier, specifier.replace(/\.([cm]?)js$/, '.$1ts')]) {
      try {
        return from.resolve(request);
      } catch (_) {
        // Then in the next way.
      }
    }
    return findAmongTargets(specifier, parent);
  }

  // A package of the workspace may give several places for a path in its `exports`, where
  // Node.js looks at the first only, and TypeScript and bundlers at what is there.
  function findAmongTargets(specifier, parent) {
    const [, name, rest] = /^((?:@[^/]+\/)?[^/.][^/]*)(?:\/(.*))?$/.exec(specifier) || [];
    if (name === undefined) return undefined;
    const subpath = rest === undefined ? '.' : './' + rest;
    for (const folder of Module._nodeModulePaths(path.dirname(parent))) {
      const root = path.join(folder, name);
      let targets;
      try {
        targets = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).exports || {};
      } catch (_) {
        continue;
      }
      for (const [pattern, value] of Object.entries(targets)) {
        const [before, end] = pattern.split('*');
        const fits = end === undefined ? pattern === subpath : subpath.startsWith(before) && subpath.endsWith(end);
        if (!fits || !Array.isArray(value)) continue;
        const star = end === undefined ? '' : subpath.slice(before.length, subpath.length - end.length);
        const files = value.filter((each) => typeof each === 'string');
        const found = files.map((each) => path.join(root, each.replaceAll('*', star))).find((file) => fs.existsSync(file));
        if (found) return fs.realpathSync(found);
      }
    }
    return undefined;
  }

  // --- CommonJS among ES modules, as bundlers have it ---

  // The module itself, or one between that has the names that are asked for. Nothing is
  // between where all names are passed on: there Node.js's guess has to do.
  function linked(resolved, names, nodeDefaults) {
    const file = fileOf(resolved.url);
    if (!names || !file || !isCommon(file, resolved.format)) return resolved;
    const url = new URL(resolved.url);
    url.searchParams.set(MARK, JSON.stringify({ names, nodeDefaults }));
    return { url: url.href, format: 'module', shortCircuit: true };
  }

  function isCommon(file, format) {
    if (file.endsWith('.json')) return !isOurs(file);
    if (isOurs(file)) return compiled(file).format === 'commonjs';
    return format ? format.startsWith('commonjs') : !file.endsWith('.mjs');
  }

  const quoted = (text) => JSON.stringify(text);

  function moduleBetween(file, names, nodeDefaults) {
    const exported = names.filter((name) => name !== WHOLE).map((name, at) => {
      return `const e${at} = named(${quoted(name)}); export { e${at} as ${quoted(name)} };`;
    });
    // What is asked of it by no name that can be told.
    if (names.includes(WHOLE)) {
      if (!names.includes('default')) exported.push('const d = named("default"); export { d as default };');
      if (!isOurs(file)) exported.push(`export * from ${quoted(pathToFileURL(file).href)};`);
    }
    return `import { createRequire } from 'node:module';
      const all = createRequire(${quoted(file)})(${quoted(file)});
      const hasDefault = ${!nodeDefaults} && Boolean(all && all.__esModule);
      function named(name) {
        if (name === 'default' && !hasDefault) return all;
        return all === null || all === undefined ? undefined : all[name];
      }
      ${exported.join('\n')}`;
  }

  // --- What they load ---

  const asModule = (source) => ({ format: 'module', source, shortCircuit: true });

  function load(url, context, next) {
    if ((context.conditions || []).includes('require')) return next(url, context);
    const mark = url.startsWith('file:') && url.includes('?') && new URL(url).searchParams.get(MARK);
    if (mark) {
      const { names, nodeDefaults } = JSON.parse(mark);
      const real = new URL(url);
      real.searchParams.delete(MARK);
      return asModule(moduleBetween(fileURLToPath(real), names, nodeDefaults));
    }
    const file = fileOf(url);
    if (!isOurs(file)) return next(url, context);
    const { format, code } = compiled(file);
    if (format === 'module') return asModule(code);
    if (TYPESCRIPT.test(file)) return asModule(moduleBetween(file, ['default'], true));
    return next(url, Object.assign({}, context, { format: 'commonjs' }));
  }

  // The extensions of TypeScript for `require`, and for the search of files above.
  function hookRequire() {
    for (const extension of ['.ts', '.tsx', '.mts', '.cts', '.jsx']) Module._extensions[extension] = loadRequired;
    const find = Module._resolveFilename;
    Module._resolveFilename = function resolveRequired(request, parent, ...rest) {
      try {
        return find.call(this, request, parent, ...rest);
      } catch (error) {
        const written = /^(\.{1,2}\/.*\.[cm]?)js$/.exec(request);
        if (!written || !parent || !parent.filename || !isOurs(parent.filename)) throw error;
        return find.call(this, written[1] + 'ts', parent, ...rest);
      }
    };
  }

  function loadRequired(module, file) {
    const { format, code } = compiled(file);
    if (format === 'commonjs') return module._compile(code, file);
    // What it imports is found by the hooks, which must be those of this thread.
    if (registerHooks) return module._compile(code, file, 'module');
    const error = new Error(file + ' is an ES module: `import` it, or use Node.js 22.15 or later, where `require` takes it, too');
    throw Object.assign(error, { code: 'ERR_REQUIRE_ESM' });
  }

  return { resolve, load, hookRequire };
}

// Runs a TypeScript file, and all that it imports, as Fanwire's own compiler makes it.
function importCompiled(compiler, file, settings) {
  installCompiled(compiler);
  return importFile(file, settings);
}

let isCompiledInstalled = false;

// Has `import` and `require` take TypeScript from now on.
function installCompiled(compiler) {
  if (isCompiledInstalled) return;
  isCompiledInstalled = true;
  const { register, registerHooks } = require('module');
  if (!register) {
    throw named(
      'Runtime.ImportModuleError',
      'Error: TypeScript needs Node.js 18.19 or later; this is ' + process.versions.node + ' at ' + process.execPath + '.',
    );
  }
  const hooks = compiledHooks(require, compiler, isModuleFolder, noteFile);
  hooks.hookRequire();
  process.setSourceMapsEnabled(true);
  require('vm').runInThisContext(BABEL_HELPERS);
  // They tell of all that is imported, so nothing else need.
  const collectOthers = collectModules;
  modulesHooked = true;
  if (registerHooks) {
    registerHooks({ resolve: hooks.resolve, load: hooks.load });
    return;
  }
  // Earlier versions run such hooks in a thread of their own.
  const { MessageChannel, receiveMessageOnPort } = require('worker_threads');
  const { port1, port2 } = new MessageChannel();
  const text = `
    import { createRequire } from 'node:module';
    let hooks;
    export function initialize({ compiler, port }) {
      const require = createRequire('file:///');
      const fs = require('fs');
      const path = require('path');
      hooks = (${compiledHooks})(require, compiler, ${isModuleFolder}, (file) => port.postMessage(file));
      hooks.hookRequire();
    }
    export const resolve = async (...all) => hooks.resolve(...all);
    export const load = async (...all) => hooks.load(...all);`;
  register('data:text/javascript,' + encodeURIComponent(text), { data: { compiler, port: port2 }, transferList: [port2] });
  collectModules = () => {
    collectOthers();
    for (let got; (got = receiveMessageOnPort(port1)) !== undefined; ) noteFile(got.message);
  };
}
