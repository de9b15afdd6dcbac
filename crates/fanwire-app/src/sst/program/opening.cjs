'use strict';
// What evaluates an sst.config.ts. Node.js runs it with one argument, the settings, and as
// little else as can be: standard input is where the description of the app goes.
//
// The parts share one scope and are joined in this order: reporting, what is allowed,
// outputs, placeholders, components, what SST has, globals, modules, and the end.

const fs = require('fs');
const path = require('path');
const vm = require('vm');
const { Module, createRequire, SourceMap, syncBuiltinESMExports } = require('module');
const { pathToFileURL, fileURLToPath } = require('url');

const settings = JSON.parse(process.argv[1]);
const ROOT = settings.root;
// What stands for the server's host and port until the server listens.
const ADDRESS = '${server:address}';

process.argv = [process.argv[0], settings.file];
process.chdir(ROOT);
Error.stackTraceLimit = 50;

// === Places in the user's files ===

// The files that were run, by path: what the transform says of their lines, where it does.
const sources = new Map();
// Every file that decided what the app is, also those that were looked for in vain.
const files = new Set();

const FRAME = /\(?(?:file:\/\/)?(\/[^()]*?):(\d+)(?::(\d+))?\)?$/;

// The first place in the user's files on a stack.
function placeOf(stack) {
  for (const line of String(stack).split('\n')) {
    const frame = FRAME.exec(line.trim());
    if (frame && sources.has(frame[1])) return mapped(frame[1], Number(frame[2]), Number(frame[3] || 1));
  }
  return null;
}

function mapped(file, line, column) {
  const map = sources.get(file);
  const entry = map ? map.findEntry(line - 1, column - 1) : {};
  if (entry.originalLine === undefined) return { file, line, column };
  return { file, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}

// Where the user's code is that called.
function here() {
  return placeOf(new Error().stack);
}

// === What is told ===

// A fault that is told in the user's words, with its remedy.
class Fault extends Error {
  constructor(message, help, place) {
    super(message);
    this.help = help;
    this.place = place;
  }
}

const notes = [];

// Something that does not keep the app from running.
function note(message, help, place = here()) {
  if (!notes.some((known) => known.message === message)) notes.push({ message, help, place });
}

let isTold = false;

// Writes the description and ends. Standard input is a socket of which this is the end.
function tell(description) {
  if (isTold) return;
  isTold = true;
  const bytes = Buffer.from(JSON.stringify({ files: [...files], notes, ...description }));
  for (let at = 0; at < bytes.length;) at += fs.writeSync(0, bytes, at);
  exit(0);
}

const exit = process.exit.bind(process);

function tellFault(error) {
  tell({ fault: describeFault(error) });
}

function describeFault(error) {
  const cause = causeOf(error);
  const isError = cause !== null && typeof cause === 'object' && typeof cause.stack === 'string';
  if (!isError) return { message: `it threw ${preview(cause)}`, place: null };
  const compiled = linkFault(cause);
  if (compiled) return compiled;
  const name = cause instanceof Fault || cause.name === 'Error' ? '' : `${cause.name}: `;
  const place = cause.place || placeOf(cause.stack) || placeOf(error.stack);
  return { message: name + cause.message, help: cause.help, place };
}

// `fetch failed` and its like say what is wrong in their cause.
function causeOf(error) {
  for (let at = error, depth = 0; at && depth < 8; at = at.cause, depth += 1) if (at instanceof Fault) return at;
  return error;
}

function preview(value) {
  try {
    return typeof value === 'string' ? JSON.stringify(value) : String(value);
  } catch (_) {
    return 'something';
  }
}

process.on('uncaughtException', tellFault);
process.on('unhandledRejection', tellFault);
process.on('beforeExit', () => {
  tellFault(new Fault('it waits for something that never happens', 'look for a promise that nobody resolves'));
});
