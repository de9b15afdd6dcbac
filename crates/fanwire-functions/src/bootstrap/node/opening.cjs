'use strict';
// Runs one Lambda handler in Node.js for Fanwire.
//
// File descriptor 3 is a channel to the host: frames of a 4-byte big-endian length,
// a type byte and that many bytes less one (the host's src/channel.rs has the table).
// Between events this process is blocked in a read of the channel, as Lambda freezes
// a function between its events: no timer fires and no socket is served. While a
// handler runs, the event loop runs as usual.
//
// The semantics are those of AWS's Node.js runtime: how a handler is found, when a
// callback's result is sent, what an error looks like. Written for Node.js 18 and
// later, in syntax that earlier ones can read far enough to say so.

const fs = require('fs');
const path = require('path');
const util = require('util');
const { fileURLToPath, pathToFileURL } = require('url');

const CHANNEL = 3;

// Frames from the host.
const CONFIGURE = 1;
const EVENT = 2;
// Frames to the host.
const READY = 16;
const INIT_ERROR = 17;
const STDOUT = 18;
const STDERR = 19;
const RECORD = 20;
const RESPONSE = 21;
const ERROR = 22;
const FATAL_ERROR = 23;
const AWS_CALL = 24;
const LOADED = 25;

const HEADER = 5;
const REQUEST_ID_LENGTH = 36;
const OLDEST_NODE = 18;
// Exit statuses of AWS's runtime.
const EXIT_UNHANDLED_REJECTION = 128;
const EXIT_UNCAUGHT_EXCEPTION = 129;

