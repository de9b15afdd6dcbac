
// === Modules ===

// The user's files are modules of our own loading, so that each import of a provider, of a
// file of the platform's or of TypeScript is what it should be, on every Node.js.

const EXTENSIONS = ['', '.ts', '.tsx', '.mts', '.js', '.mjs', '.cjs', '.json', '/index.ts', '/index.tsx', '/index.js', '/index.mjs'];

// Packages that only exist while SST deploys: their values are placeholders.
const PROVIDERS = /^(@pulumi|@pulumiverse|@sst-provider|@paynearme)\/|^pulumi-|^sst\/platform/;

const loaded = new Map();

async function importFile(file) {
  const module = await moduleOf(file);
  return evaluated(module);
}

async function evaluated(module) {
  await linkedUp(module);
  if (module.status === 'linked') module.running = module.evaluate();
  if (module.running) await module.running;
  if (module.status === 'errored') throw module.error;
  return module;
}

// One after the other: two that are linked at once would find each other half done.
let linking = Promise.resolve();

function linkedUp(module) {
  linking = linking.catch(() => {}).then(() => (module.status === 'unlinked' ? module.link(importedBy) : undefined));
  return linking;
}

function moduleOf(file) {
  if (!loaded.has(file)) loaded.set(file, makeModule(file));
  return loaded.get(file);
}

async function makeModule(file) {
  files.add(file);
  const text = fs.readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  if (file.endsWith('.json')) return synthetic({ default: JSON.parse(text) }, file);
  if (isCommonJs(file, text)) return synthetic(interop(createRequire(file)(file)), file);
  sources.set(file, null);
  const code = compiled(file, text);
  sources.set(file, mapOf(code));
  try {
    return sourceModule(file, code);
  } catch (error) {
    throw locatedSyntaxError(error, file, code);
  }
}

function sourceModule(file, code) {
  return new vm.SourceTextModule(code, {
    identifier: file,
    initializeImportMeta(meta) {
      Object.assign(meta, { url: pathToFileURL(file).href, filename: file, dirname: path.dirname(file) });
      meta.resolve = (name) => pathToFileURL(path.resolve(path.dirname(file), name)).href;
    },
    importModuleDynamically: async (name) => evaluated(await importedBy(name, { identifier: file })),
  });
}

function isCommonJs(file, text) {
  return /\.c[jt]s$/.test(file) || (/\.js$/.test(file) && /\bmodule\.exports\b/.test(text) && !/^\s*(import|export)\b/m.test(text));
}

function interop(exported) {
  return isObject(exported) ? { ...exported, default: exported } : { default: exported };
}

function synthetic(exported, identifier) {
  const names = Object.keys(exported);
  return new vm.SyntheticModule(names, function evaluate() {
    for (const name of names) this.setExport(name, exported[name]);
  }, { identifier });
}

// What an import of `name` in a module is.
async function importedBy(name, { identifier: from }) {
  const local = localFile(name, from);
  if (local) return moduleOf(local);
  if (PROVIDERS.test(name) || /(^|\/)\.sst\/platform\//.test(name)) return standIn(name, from);
  if (/^\.{0,2}\//.test(name)) {
    throw new Fault(`there is no file \`${name}\` that ${path.basename(from)} imports`, undefined, importPlace(name, from));
  }
  return packageModule(name, from);
}

function localFile(name, from) {
  if (/(^|\/)\.sst\/platform\//.test(name)) return undefined;
  const folder = path.dirname(from);
  if (/^\.{1,2}(\/|$)/.test(name)) return existing(path.resolve(folder, name));
  if (name.startsWith('file:')) return existing(fileURLToPath(name));
  if (path.isAbsolute(name)) return existing(name);
  return aliases(name).map(existing).find(Boolean);
}

function existing(base) {
  // TypeScript lets `./text.js` mean `./text.ts`.
  const written = /^(.*)\.([cm]?)jsx?$/.exec(base);
  const candidates = EXTENSIONS.map((extension) => base + extension);
  if (written) candidates.push(`${written[1]}.${written[2]}ts`, `${written[1]}.tsx`);
  const found = candidates.find((file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile());
  if (!found) candidates.slice(1, 2).forEach((file) => files.add(file));
  return found && fs.realpathSync(found);
}

// === Names that tsconfig.json gives paths to ===

let paths;

function aliases(name) {
  paths = paths || pathsOfProject();
  return paths.flatMap(({ before, after, targets, base }) => {
    if (!name.startsWith(before) || !name.endsWith(after) || name.length < before.length + after.length) return [];
    const middle = name.slice(before.length, name.length - after.length);
    return targets.map((target) => path.resolve(base, target.replace('*', middle)));
  });
}

function pathsOfProject() {
  const file = path.join(ROOT, 'tsconfig.json');
  files.add(file);
  try {
    // Comments and commas at the ends of lists, which JSON does not have.
    const text = fs.readFileSync(file, 'utf8').replace(/("(?:\\.|[^"\\])*")|\/\/.*|\/\*[^]*?\*\//g, '$1').replace(/,(\s*[}\]])/g, '$1');
    const { baseUrl = '.', paths: given = {} } = JSON.parse(text).compilerOptions || {};
    return Object.entries(given).map(([pattern, targets]) => {
      const [before, after] = pattern.includes('*') ? pattern.split('*') : [pattern, ''];
      return { before, after, targets: pattern.includes('*') || Array.isArray(targets) ? targets : [], base: path.resolve(ROOT, baseUrl) };
    });
  } catch (_) {
    return [];
  }
}

// === Packages ===

// A module of placeholders. Its exports have to be named: every name that the importer
// has at all is one.
function standIn(name, from) {
  const value = name === '@pulumi/pulumi' ? util : namespaceOf(name);
  const code = fs.readFileSync(from, 'utf8');
  const names = new Set(code.match(/[A-Za-z_$][\w$]*/g));
  names.delete('default');
  const exported = { default: value };
  for (const key of names) exported[key] = value[key];
  return synthetic(exported, name);
}

// `@pulumi/aws/s3` as `aws.s3`.
function namespaceOf(name) {
  const [, ...parts] = name.replace(/^pulumi-/, 'pulumi/').split('/').filter((part) => part !== '.');
  const [root, ...rest] = parts.map((part) => part.replace(/-(\w)/g, (_, letter) => letter.toUpperCase()));
  return rest.reduce((namespace, part) => namespace[part], provider(root || 'sst'));
}

async function packageModule(name, from) {
  const source = workspaceSource(name, from);
  if (source) return moduleOf(source);
  try {
    return synthetic({ ...(await nativeImport(name, from)) }, name);
  } catch (error) {
    if (error && (error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND')) {
      throw new Fault(`cannot find the package \`${name}\``, 'npm install', importPlace(name, from));
    }
    throw error;
  }
}

// A package of the same repository may be TypeScript as it is.
function workspaceSource(name, from) {
  try {
    const file = createRequire(from).resolve(name);
    return /\.[cm]?tsx?$/.test(file) && !file.includes('/node_modules/') ? fs.realpathSync(file) : undefined;
  } catch (_) {
    return undefined;
  }
}

async function nativeImport(name, from) {
  if (Module.isBuiltin ? Module.isBuiltin(name) : Module.builtinModules.includes(name.replace(/^node:/, ''))) return import(name);
  try {
    return await import(pathToFileURL(createRequire(from).resolve(name)).href);
  } catch (error) {
    // What is there for `import` alone is looked for from the project's folder.
    if (error.code !== 'MODULE_NOT_FOUND' && error.code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw error;
    return import(name);
  }
}

// Where a file imports something.
function importPlace(name, from) {
  const lines = fs.readFileSync(from, 'utf8').split('\n');
  const line = lines.findIndex((text) => text.includes(`'${name}'`) || text.includes(`"${name}"`));
  if (line < 0) return { file: from, line: 1, column: 1 };
  return { file: from, line: line + 1, column: lines[line].indexOf(name) + 1, found: true };
}
