// === Finding the handler ===

function isModuleFolder(folder) {
  for (;;) {
    if (path.basename(folder) === 'node_modules') return false;
    try {
      const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
      return manifest.type === 'module';
    } catch (error) {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') return false;
    }
    const parent = path.dirname(folder);
    if (parent === folder) return false;
    folder = parent;
  }
}

// `import()` hidden from Node.js versions that cannot parse it is not needed: every
// version since 13.2 can.
function importFile(file, settings) {
  if (settings.sources) hookModules();
  return import(pathToFileURL(file).href);
}

async function loadModule(root, moduleRoot, name, settings) {
  const base = path.resolve(root, moduleRoot, name);
  const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false }) !== undefined;
  if (fs.existsSync(base) && fs.statSync(base).isFile()) return require(base);
  const asModule = isModuleFolder(path.dirname(base));
  if (isFile(base + '.js')) return asModule ? importFile(base + '.js', settings) : require(base + '.js');
  if (isFile(base + '.mjs')) return importFile(base + '.mjs', settings);
  if (isFile(base + '.cjs')) return require(base + '.cjs');
  for (const extension of ['.ts', '.mts', '.cts', '.tsx']) {
    if (isFile(base + extension)) {
      return loadTypeScript(base + extension, extension, asModule, settings);
    }
  }
  const found = require.resolve(name, { paths: [root, path.resolve(root, moduleRoot)] });
  return require(found);
}

async function loadHandler(root, text, settings) {
  if (text.includes('..')) {
    throw named(
      'Runtime.MalformedHandlerName',
      "'" + text + "' is not a valid handler name. Use absolute paths when specifying root directories in handler names.",
    );
  }
  const last = path.basename(text);
  const moduleRoot = text.substring(0, text.indexOf(last));
  const dot = last.indexOf('.');
  if (dot < 0) throw named('Runtime.MalformedHandlerName', 'Bad handler');
  const name = last.substring(0, dot);
  let loaded;
  try {
    loaded = await loadModule(root, moduleRoot, name, settings);
  } catch (error) {
    if (isSyntaxError(error)) throw syntaxError(error, path.resolve(root, moduleRoot, name + '.js'));
    if (error && (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND')) {
      throw named('Runtime.ImportModuleError', String(error), error);
    }
    throw error;
  }
  const find = (from) => last.substring(dot + 1).split('.').reduce((at, key) => at && at[key], from);
  // A CommonJS file that was imported has its exports under `default` where Node.js
  // could not tell their names.
  const found = find(loaded) || (loaded && find(loaded.default));
  if (!found) throw named('Runtime.HandlerNotFound', text + ' is undefined or not exported');
  if (typeof found !== 'function') {
    throw named('Runtime.HandlerNotFound', text + ' is not a function');
  }
  return found;
}

