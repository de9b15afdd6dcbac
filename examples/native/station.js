'use strict';

// A weather station that knows nothing of WebSockets: plain HTTP on port 4010.

const http = require('node:http');

http
  .createServer((request, response) => {
    response.end(`clear sky, for ${request.headers['x-owner']}`);
  })
  .listen(4010, '127.0.0.1', () => console.log('the station listens'));
