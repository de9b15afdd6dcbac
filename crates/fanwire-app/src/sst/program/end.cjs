
// === The whole ===

async function main() {
  Object.entries(globals).forEach(([name, value]) => define(name, value));
  removeNodeModules();
  addProviders([]);
  // `sst.config.ts` prints for people, and the description has a way of its own.
  for (const name of ['log', 'info', 'debug']) console[name] = console.error;
  forbidNetwork();
  forbidPrograms();
  forbidExit();
  ignoreWrites();
  syncBuiltinESMExports();
  const { namespace } = await importFile(fs.realpathSync(settings.file));
  const config = namespace.default;
  checkConfig(config);
  Object.assign(app, await config.app({ stage: app.stage }), { stage: app.stage });
  checkApp();
  addProviders(Object.keys(app.providers || {}));
  await settled(await config.run());
  await allSettled();
  tell(await description());
}

function checkConfig(config) {
  const place = { file: fs.realpathSync(settings.file), line: 1, column: 1 };
  if (config && (config.stacks || config.config)) {
    throw new Fault('this is a configuration of version 2 of SST', 'describe the app in a fanwire.toml; docs/fanwire-toml.md has the variables that version 2 reads', place);
  }
  if (!config || typeof config.app !== 'function' || typeof config.run !== 'function') {
    throw new Fault('there is no app() and run() here', 'export default $config({ app(input) { … }, async run() { … } })', place);
  }
}

function checkApp() {
  if (typeof app.name !== 'string' || !/^[A-Za-z][A-Za-z0-9-]*$/.test(app.name)) {
    const message = app.name ? `${preview(app.name)} is not a valid name of an app` : 'app() gives no name';
    throw new Fault(message, 'name: a letter, then letters, digits and hyphens', appPlace());
  }
  const { aws } = app.providers || {};
  if (isObject(aws) && aws.region && !settings.hasRegion) settings.region = String(aws.region);
}

// Where app() is, as near as a text tells.
function appPlace() {
  const file = fs.realpathSync(settings.file);
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  const line = lines.findIndex((text) => /\bname\s*:/.test(text) || /\bapp\s*[(:]/.test(text));
  return { file, line: Math.max(line, 0) + 1, column: 1 };
}

async function description() {
  const links = {};
  for (const [name, component] of linked) {
    if (isLinkable(component)) links[name] = await propertiesOf(component);
  }
  const functions = declared.functions.map(({ known, ...entry }) => entry);
  // Routes and the like name their functions.
  const named = (key, value) => (key === 'handler' && value && value.known ? value.key : value);
  const others = JSON.parse(JSON.stringify({ ...declared, functions: [] }, named));
  return { app: { name: app.name, region: settings.region }, ...others, functions, links };
}

main().catch(tellFault);
