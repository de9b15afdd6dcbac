// === Which files were loaded ===

// Every file of the project that was loaded, and those that the host was not yet told.
const noted = new Set();
let untold = [];
// Looks for what the ES module hooks noted; they may run in a thread of their own.
let collectModules = () => {};
let modulesHooked = false;

function noteFile(file) {
  if (noted.has(file) || file.includes('/node_modules/')) return;
  noted.add(file);
  untold.push(file);
}

function noteUrl(url) {
  if (url.startsWith('file:')) noteFile(fileURLToPath(url));
}

// Called at the end of every turn: costs next to nothing when nothing was loaded.
function tellFiles() {
  collectModules();
  if (untold.length === 0) return;
  send(LOADED, untold.join('\0'));
  untold = [];
}

// A static import at the start of a statement, or a dynamic one anywhere.
const IMPORTS = /(^|[;\n])\s*import\b|\bimport\(/;

// Reports what `require` loads. A file is noted before it is compiled, so one with a
// syntax error is too.
function installSources() {
  const { Module, registerHooks } = require('module');
  if (registerHooks) hookModules();
  const { load, _compile: compile } = Module.prototype;
  Module.prototype.load = function (file) {
    noteFile(file);
    return load.apply(this, arguments);
  };
  Module.prototype._compile = function (text, file) {
    // On earlier versions the hooks of ES modules take a thread: only where there are any.
    if (!modulesHooked && IMPORTS.test(text) && !file.includes('/node_modules/')) hookModules();
    return compile.apply(this, arguments);
  };
}

// In the thread of the hooks.
const RESOLVE_HOOK = `
  let port;
  export function initialize(data) { port = data.port; }
  export async function resolve(specifier, context, next) {
    const resolved = await next(specifier, context);
    if (resolved.url.startsWith('file:')) port.postMessage(resolved.url);
    return resolved;
  }`;

// Reports what `import` loads. Node.js before 18.19 cannot tell.
function hookModules() {
  if (modulesHooked) return;
  modulesHooked = true;
  const { register, registerHooks } = require('module');
  if (registerHooks) {
    registerHooks({
      resolve(specifier, context, next) {
        const resolved = next(specifier, context);
        noteUrl(resolved.url);
        return resolved;
      },
    });
  } else if (register) {
    const { MessageChannel, receiveMessageOnPort } = require('worker_threads');
    const { port1, port2 } = new MessageChannel();
    const hook = 'data:text/javascript,' + encodeURIComponent(RESOLVE_HOOK);
    register(hook, { data: { port: port2 }, transferList: [port2] });
    // What was resolved before the module ran is here by the time that it has run.
    collectModules = () => {
      for (let got; (got = receiveMessageOnPort(port1)) !== undefined; ) noteUrl(got.message);
    };
  }
}

