
// === What the project's code may not do while it is read ===

const NETWORK = 'give the value by an environment variable, in .env, and read it from process.env';
const PROGRAM = NETWORK;

// Our own compilers start programs.
let isOurs = false;

function ours(run) {
  isOurs = true;
  try {
    return run();
  } finally {
    isOurs = false;
  }
}

function refuseNetwork(what) {
  return new Fault(`Fanwire reads it without a network, and it asks for ${what}`, NETWORK);
}

function forbidNetwork() {
  const net = require('net');
  net.Socket.prototype.connect = function connect(...args) {
    const [to] = Array.isArray(args[0]) ? args[0] : args;
    const { host, hostname, port, path: file } = to && typeof to === 'object' ? to : { port: to, host: args[1] };
    const error = refuseNetwork(file || [host || hostname || 'localhost', port].filter(Boolean).join(':'));
    process.nextTick(() => this.destroy(error));
    return this;
  };
  const dns = require('dns');
  for (const library of [dns, dns.promises]) {
    for (const name of Object.keys(library).filter((key) => /^(lookup|resolve|reverse)/.test(key))) {
      library[name] = (host) => {
        throw refuseNetwork(host);
      };
    }
  }
  require('dgram').Socket.prototype.send = function send() {
    throw refuseNetwork('a datagram to be sent');
  };
  globalThis.fetch = async (request) => {
    throw refuseNetwork((request && request.url) || String(request));
  };
}

function forbidPrograms() {
  const library = require('child_process');
  for (const name of ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync']) {
    const start = library[name];
    library[name] = function (command, ...rest) {
      if (isOurs) return start.call(this, command, ...rest);
      throw new Fault(`Fanwire reads it without starting programs, and it starts \`${command}\``, PROGRAM);
    };
  }
  const threads = require('worker_threads');
  threads.Worker = class Worker extends threads.Worker {
    constructor(...args) {
      if (!isOurs) throw new Fault('Fanwire reads it without further threads, and it starts one', PROGRAM);
      super(...args);
    }
  };
}

function forbidExit() {
  const refuse = () => {
    throw new Fault('it ends the program that reads it (process.exit)', 'throw an error that says why');
  };
  process.exit = refuse;
  process.reallyExit = process.reallyExit.bind(process);
  process.abort = refuse;
}

// What is written while it is read would be written again at each save, and for nothing.
function ignoreWrites() {
  const names = ['appendFile', 'chmod', 'copyFile', 'cp', 'mkdir', 'rename', 'rm', 'rmdir', 'symlink', 'unlink', 'writeFile'];
  const ignored = (file) => note(`\`${file}\` is not written or changed while Fanwire reads sst.config.ts`);
  for (const name of names) {
    const { [`${name}Sync`]: now, [name]: later } = fs;
    fs[`${name}Sync`] = (file, ...rest) => (isOurs ? now(file, ...rest) : ignored(file));
    fs[name] = (file, ...rest) => {
      if (isOurs) return later(file, ...rest);
      ignored(file);
      return process.nextTick(rest.at(-1), null);
    };
    fs.promises[name] = async (file) => ignored(file);
  }
}
